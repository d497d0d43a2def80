//! HL7 sessions work after they were idle for hours.

use std::time::Duration;

use aya::maps::{Array, Map, MapData};
use cordon_integration::programs::mllp::{Sender, Session};
use cordon_integration::programs::plan;
use cordon_integration::steps::{check_losses, wait_until};
use cordon_integration::wires::{Wires, is_resolution_or_membership};
use cordon_lab::{Gateway, Lab, Result};
use cordon_verdict::abi::{AGE_SECONDS, Control};

const HL7: u16 = 2575;

/// Longer than a kernel delays an acknowledgement (200 milliseconds).
const DELAYED_ACK: Duration = Duration::from_millis(500);

/// A common idle timeout of firewalls for TCP.
const COMMON_TIMEOUT: Duration = Duration::from_secs(3600);
/// Longer than Cordon's idle timeout of one and a half days, and shorter than the wrap-around of the flow age.
const PAST_TIMEOUT: Duration = Duration::from_secs(37 * 3600);

/// Idle time, the end that sends first after it, and whether the gateway still has the session's flow.
const IDLE_PERIODS: [(Duration, Sender, bool); 6] = [
    (COMMON_TIMEOUT, Sender::Client, true),
    (COMMON_TIMEOUT, Sender::Server, true),
    (PAST_TIMEOUT, Sender::Client, false),
    (PAST_TIMEOUT, Sender::Server, false),
    // Again, with the flow that was created in the middle of its session.
    (COMMON_TIMEOUT, Sender::Server, true),
    (PAST_TIMEOUT, Sender::Client, false),
];

#[test]
fn sessions_work_after_long_idle_periods() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let (central, interfaces, ct) = (
        lab.host("central-1")?,
        lab.host("interfaces")?,
        lab.host("ct-1")?,
    );
    let wires = Wires::tap(&lab)?;
    // One session that a device opened, and one that was opened to a device.
    let mut sessions = [
        Session::open(&central, &interfaces, HL7)?,
        Session::open(&interfaces, &ct, HL7)?,
    ];
    let rules = ["results", "orders"];
    for (number, session) in sessions.iter_mut().enumerate() {
        for sender in [Sender::Client, Sender::Server] {
            session
                .exchange(sender)
                .unwrap_or_else(|error| panic!("session {number}: {error}"));
        }
        assert_eq!(rule_of(gateway, session)?.as_deref(), Some(rules[number]));
    }

    for (idle, sender, is_kept) in IDLE_PERIODS {
        wait_for_quiet(&wires)?;
        advance_flow_age(gateway, idle);
        for (number, session) in sessions.iter_mut().enumerate() {
            let what = format!("session {number}, idle for {idle:?}, {sender:?} sends");
            match is_kept {
                true => assert!(rule_of(gateway, session)?.is_some(), "{what}"),
                false => wait_until(&format!("{what}: the flow is removed"), || {
                    Ok(rule_of(gateway, session)?.is_none())
                })?,
            }
            session
                .exchange(sender)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(
                rule_of(gateway, session)?.as_deref(),
                Some(rules[number]),
                "{what}"
            );
        }
    }

    // There were no new connections, and no retransmissions because no frame was lost.
    let ports = sessions.each_ref().map(Session::port);
    wait_for_quiet(&wires)?;
    let wires = wires.stop()?;
    let lost = wires.lost(|seen| !is_resolution_or_membership(seen));
    assert!(lost.is_empty(), "{lost:?}");
    for direction in wires.directions() {
        for seen in direction.entered.iter().filter(|seen| seen.is_tcp_to(HL7)) {
            assert!(
                ports.contains(&seen.ports.0),
                "another connection: {seen:?}"
            );
        }
    }
    check_losses(&lab)
}

/// Waits until no more frames are sent, so that delayed acknowledgements are out.
fn wait_for_quiet(wires: &Wires) -> Result<()> {
    let mut before = usize::MAX;
    wait_until("no more frames are sent", || {
        let now = wires.entered(|_| true)?;
        let is_quiet = now == before;
        before = now;
        if !is_quiet {
            std::thread::sleep(DELAYED_ACK);
        }
        Ok(is_quiet)
    })
}

/// Advances the tick of the control word, by which the gateway computes the age of flows. No frames may be sent
/// meanwhile.
fn advance_flow_age(gateway: &Gateway, idle: Duration) {
    let pin = gateway.pins().join("cordon/CONTROL");
    let data = MapData::from_pin(pin).expect("the map is pinned");
    let map = Map::from_map_data(data).expect("the pin is a map");
    let mut control: Array<_, u64> = map.try_into().expect("the map is an array");
    let read = || Control::unpack(control.get(&0, 0).expect("the map can be read"));
    let before = read();
    let ticks = idle.as_secs().div_ceil(AGE_SECONDS) as u16;
    let tick = before.tick.wrapping_add(ticks);
    let after = Control { tick, ..before };
    control
        .set(0, after.pack(), 0)
        .expect("the map can be written");
}

/// The rule of a session's flow, if the gateway has the flow.
fn rule_of(gateway: &Gateway, session: &Session) -> Result<Option<String>> {
    let answer = gateway.json(&["flows"])?;
    let flows = answer["flows"].as_array().expect("a list");
    let port = session.port();
    let is_session = |flow: &&serde_json::Value| {
        [&flow["from"], &flow["to"]]
            .iter()
            .any(|end| end["port"] == port)
    };
    let rule = flows
        .iter()
        .find(is_session)
        .map(|flow| flow["rule"].as_str());
    Ok(rule.flatten().map(str::to_owned))
}
