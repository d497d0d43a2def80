//! HL7 sessions that are silent for hours, and are then used as if nothing had been.

use std::time::Duration;

use aya::maps::{Array, Map, MapData};
use cordon_integration::programs::mllp::{Session, Speaker};
use cordon_integration::programs::plan;
use cordon_integration::steps::{check_losses, wait_until};
use cordon_integration::wires::{Wires, keeps_house};
use cordon_lab::{Gateway, Lab, Result};
use cordon_verdict::abi::{AGE_SECONDS, Control};

const HL7: u16 = 2575;

/// Longer than a kernel keeps an acknowledgement to itself (200 milliseconds).
const ACKNOWLEDGED: Duration = Duration::from_millis(500);

/// What firewalls commonly give a silent TCP session.
const OTHERS: Duration = Duration::from_secs(3600);
/// What Cordon gives it is a day and a half. Less than the age of flows comes round in.
const OURS: Duration = Duration::from_secs(37 * 3600);

/// The silence before something is said, who then speaks first, and whether the gateway still knows of the session.
const SILENCES: [(Duration, Speaker, bool); 6] = [
    (OTHERS, Speaker::Client, true),
    (OTHERS, Speaker::Server, true),
    (OURS, Speaker::Client, false),
    (OURS, Speaker::Server, false),
    // Once more: what was picked up is a flow like any other.
    (OTHERS, Speaker::Server, true),
    (OURS, Speaker::Client, false),
];

#[test]
fn a_session_is_used_after_it_was_silent() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let (central, interfaces, ct) = (
        lab.host("central-1")?,
        lab.host("interfaces")?,
        lab.host("ct-1")?,
    );
    let wires = Wires::tap(&lab)?;
    // One that a device opened, and one that was opened to a device.
    let mut sessions = [
        Session::open(&central, &interfaces, HL7)?,
        Session::open(&interfaces, &ct, HL7)?,
    ];
    let rules = ["results", "orders"];
    for (number, session) in sessions.iter_mut().enumerate() {
        for speaker in [Speaker::Client, Speaker::Server] {
            session
                .exchange(speaker)
                .unwrap_or_else(|error| panic!("session {number}: {error}"));
        }
        assert_eq!(known(gateway, session)?.as_deref(), Some(rules[number]));
    }

    for (silence, speaker, remembered) in SILENCES {
        fall_silent(&wires)?;
        advance(gateway, silence);
        for (number, session) in sessions.iter_mut().enumerate() {
            let what = format!("session {number}, silent for {silence:?}, {speaker:?} speaks");
            match remembered {
                true => assert!(known(gateway, session)?.is_some(), "{what}"),
                false => wait_until(&format!("{what}: it is forgotten"), || {
                    Ok(known(gateway, session)?.is_none())
                })?,
            }
            session
                .exchange(speaker)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(
                known(gateway, session)?.as_deref(),
                Some(rules[number]),
                "{what}"
            );
        }
    }

    // Nobody connected anew, and nothing was sent twice, because nothing was lost.
    let ports = sessions.each_ref().map(Session::port);
    fall_silent(&wires)?;
    let wires = wires.stop()?;
    let lost = wires.lost(|seen| !keeps_house(seen));
    assert!(lost.is_empty(), "{lost:?}");
    for way in wires.ways() {
        for seen in way.entered.iter().filter(|seen| seen.is_tcp_to(HL7)) {
            assert!(
                ports.contains(&seen.ports.0),
                "another connection: {seen:?}"
            );
        }
    }
    check_losses(&lab)
}

/// Waits until all that was said is acknowledged: an acknowledgement may wait for something to go with.
fn fall_silent(wires: &Wires) -> Result<()> {
    let mut before = usize::MAX;
    wait_until("nobody says anything", || {
        let now = wires.entered(|_| true)?;
        let silent = now == before;
        before = now;
        if !silent {
            std::thread::sleep(ACKNOWLEDGED);
        }
        Ok(silent)
    })
}

/// Has so much time pass, as far as the age of flows is concerned. While it does, nobody says anything.
fn advance(gateway: &Gateway, silence: Duration) {
    let pin = gateway.pins().join("cordon/CONTROL");
    let data = MapData::from_pin(pin).expect("is pinned");
    let map = Map::from_map_data(data).expect("is a map");
    let mut control: Array<_, u64> = map.try_into().expect("an array");
    let read = || Control::unpack(control.get(&0, 0).expect("reads"));
    let before = read();
    let ticks = silence.as_secs().div_ceil(AGE_SECONDS) as u16;
    let tick = before.tick.wrapping_add(ticks);
    let after = Control { tick, ..before };
    control.set(0, after.pack(), 0).expect("writes");
}

/// The rule by which the gateway knows a session, if it does.
fn known(gateway: &Gateway, session: &Session) -> Result<Option<String>> {
    let answer = gateway.json(&["flows"])?;
    let flows = answer["flows"].as_array().expect("a list");
    let port = session.port();
    let is_it = |flow: &&serde_json::Value| {
        [&flow["from"], &flow["to"]]
            .iter()
            .any(|end| end["port"] == port)
    };
    let rule = flows.iter().find(is_it).map(|flow| flow["rule"].as_str());
    Ok(rule.flatten().map(str::to_owned))
}
