//! Long transfers, both ways, with packets of 1500 and of 9000 bytes: what a bridge carries without sending anything twice,
//! the gateway does.

use cordon_integration::programs::{cable, must, plan, serve, set};
use cordon_integration::steps::wait_until;
use cordon_lab::{Direct, Direction, Host, Lab, Result, Seen, Wire};
use serde_json::Value;

const PORT: u16 = 5201;
const BYTES: u64 = 200_000_000;
/// More than a window.
const ON_THE_WAY: u64 = 1_000_000;
/// Queues between namespaces are 256 frames long. A window of less does not overflow them, whoever is in between.
const WINDOW: &str = "128K";

#[test]
fn nothing_is_sent_twice_that_a_bridge_would_have_carried() -> Result<()> {
    for mtu in [1500, 9000] {
        let cable = cable(mtu)?;
        let ends = [cable.inside(), cable.outside()];
        for end in ends {
            be_patient(end)?;
        }
        let _server = serve(
            cable.outside(),
            &["iperf3", "--server"],
            cable.outside().at(PORT),
        )?;

        let bridge = cable.bridge()?;
        let bare = both_ways(&cable, mtu)?;
        drop(bridge);
        cable.gateway().start_with_policy()?;
        let judged = both_ways(&cable, mtu)?;
        println!(
            "packets of {mtu} bytes sent again: {bare:?} by way of a bridge, {judged:?} by way of the gateway"
        );
        assert!(
            judged[0] <= bare[0] && judged[1] <= bare[1],
            "{judged:?}, bare {bare:?}"
        );
    }
    Ok(())
}

#[test]
fn the_largest_frames_have_tags() -> Result<()> {
    let mut plan = plan()?;
    plan.mtu = 9000;
    let lab = Lab::raise(plan)?;
    lab.gateway().start_with_policy()?;
    let (station, records) = (lab.host("station-1")?, lab.host("records")?);
    let wire = lab.tap(Wire::Core)?;
    // With headers of IP and ICMP, 9000 bytes.
    let address = records.ip().to_string();
    must(
        &station,
        &["ping", "-c", "3", "-M", "do", "-s", "8972", &address],
    )?;
    let seen = wire.stop()?;
    for direction in [Direction::Received, Direction::Sent] {
        let whole = |seen: &&Seen| seen.direction == direction && seen.length == 9000 + 18;
        let whole: Vec<&Seen> = seen.iter().filter(whole).collect();
        assert_eq!(whole.len(), 3, "{seen:?}");
        assert!(whole.iter().all(|seen| seen.vlan == Some(230)), "{whole:?}");
    }
    Ok(())
}

/// Packets that were sent again: from the workstation to the server, and back.
fn both_ways(cable: &Direct, mtu: u32) -> Result<[u64; 2]> {
    Ok([
        transfer(cable, mtu, &[])?,
        transfer(cable, mtu, &["--reverse"])?,
    ])
}

fn transfer(cable: &Direct, mtu: u32, more: &[&str]) -> Result<u64> {
    let (client, server) = (cable.inside(), cable.outside());
    let before = frames(client)?;
    let (address, bytes) = (server.ip().to_string(), BYTES.to_string());
    let line = [
        "iperf3", "--json", "--client", &address, "--bytes", &bytes, "--window", WINDOW,
    ];
    // The server may still be busy saying farewell to the last one.
    let mut said = Value::Null;
    wait_until("iperf3 has been served", || {
        let output = client.exec(&[&line[..], more].concat())?;
        said = serde_json::from_str(&output.stdout).unwrap_or_default();
        Ok(output.success())
    })?;
    let end = &said["end"];
    let received = end["sum_received"]["bytes"].as_u64().expect("a number");
    // The client ends when it has sent all, and the server then leaves unread what is on the way.
    assert!(received >= BYTES - ON_THE_WAY, "{end}");
    // It is frames of that size that have been on the cable.
    let frames = frames(client)? - before;
    let least = BYTES / u64::from(mtu);
    assert!(
        (least..4 * least).contains(&frames),
        "{frames} frames of {mtu} bytes"
    );
    Ok(end["sum_sent"]["retransmits"].as_u64().expect("a number"))
}

/// On a busy machine an answer may be late. TCP then asks for it by sending the last packet again, although none is
/// lost (tail loss probes, RFC 8985 §7; the retransmission timer). Here only a loss is to have anything sent again.
fn be_patient(host: &Host) -> Result<()> {
    set(host, "ipv4/tcp_early_retrans", "0")?;
    must(
        host,
        &[
            "ip",
            "route",
            "change",
            "10.23.0.0/24",
            "dev",
            "eth0",
            "rto_min",
            "10s",
        ],
    )
    .map(drop)
}

/// Frames that went over a host's cable, both ways.
fn frames(host: &Host) -> Result<u64> {
    let said = must(host, &["ip", "-json", "-stats", "link", "show", "eth0"])?;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let count = |way: &str| {
        said[0]["stats64"][way]["packets"]
            .as_u64()
            .expect("a number")
    };
    Ok(count("rx") + count("tx"))
}
