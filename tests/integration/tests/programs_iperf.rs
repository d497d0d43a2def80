//! Long transfers in both directions, with packets of 1500 and of 9000 bytes: the gateway causes no more
//! retransmissions than a bridge.

use cordon_integration::programs::{cable, must, plan, serve, set};
use cordon_integration::steps::wait_until;
use cordon_lab::{CapturedFrame, Direct, Direction, Host, Lab, Result, Wire};
use serde_json::Value;

const PORT: u16 = 5201;
const BYTES: u64 = 200_000_000;
/// Bytes that may be unread at the end of a transfer: more than a window.
const IN_FLIGHT: u64 = 1_000_000;
/// The queues between namespaces hold 256 frames. This window does not overflow them.
const WINDOW: &str = "128K";

#[test]
fn the_gateway_causes_no_more_retransmissions_than_a_bridge() -> Result<()> {
    for mtu in [1500, 9000] {
        let cable = cable(mtu)?;
        let ends = [cable.inside(), cable.outside()];
        for end in ends {
            retransmit_only_losses(end)?;
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
            "retransmissions with packets of {mtu} bytes: {bare:?} through a bridge, {judged:?} through the gateway"
        );
        assert!(
            judged[0] <= bare[0] && judged[1] <= bare[1],
            "{judged:?}, bare {bare:?}"
        );
    }
    Ok(())
}

#[test]
fn tagged_frames_of_9018_bytes_pass() -> Result<()> {
    let mut plan = plan()?;
    plan.mtu = 9000;
    let lab = Lab::raise(plan)?;
    lab.gateway().start_with_policy()?;
    let (station, records) = (lab.host("station-1")?, lab.host("records")?);
    let wire = lab.tap(Wire::Core)?;
    // 9000 bytes with the IP and ICMP headers.
    let address = records.ip().to_string();
    must(
        &station,
        &["ping", "-c", "3", "-M", "do", "-s", "8972", &address],
    )?;
    let seen = wire.stop()?;
    for direction in [Direction::Received, Direction::Sent] {
        let whole = |seen: &&CapturedFrame| seen.direction == direction && seen.length == 9000 + 18;
        let whole: Vec<&CapturedFrame> = seen.iter().filter(whole).collect();
        assert_eq!(whole.len(), 3, "{seen:?}");
        assert!(whole.iter().all(|seen| seen.vlan == Some(230)), "{whole:?}");
    }
    Ok(())
}

/// Retransmissions of a transfer to the server, and of one from it.
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
    // The server may still be ending the previous session.
    let mut result = Value::Null;
    wait_until("iperf3 has been served", || {
        let output = client.exec(&[&line[..], more].concat())?;
        result = serde_json::from_str(&output.stdout).unwrap_or_default();
        Ok(output.success())
    })?;
    let end = &result["end"];
    let received = end["sum_received"]["bytes"].as_u64().expect("a number");
    // The client ends after its last write, and the server does not read the rest in flight.
    assert!(received >= BYTES - IN_FLIGHT, "{end}");
    // The frames on the cable had the MTU's size.
    let frames = frames(client)? - before;
    let least = BYTES / u64::from(mtu);
    assert!(
        (least..4 * least).contains(&frames),
        "{frames} frames of {mtu} bytes"
    );
    Ok(end["sum_sent"]["retransmits"].as_u64().expect("a number"))
}

/// Disables retransmissions that are not caused by loss: on a busy machine an acknowledgement may be late, and TCP
/// sends tail loss probes (RFC 8985 §7) or its retransmission timer expires.
fn retransmit_only_losses(host: &Host) -> Result<()> {
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

/// Frames on a host's cable, in both directions.
fn frames(host: &Host) -> Result<u64> {
    let output = must(host, &["ip", "-json", "-stats", "link", "show", "eth0"])?;
    let links: Value = serde_json::from_str(&output).expect("the output is JSON");
    let count = |direction: &str| {
        links[0]["stats64"][direction]["packets"]
            .as_u64()
            .expect("a number")
    };
    Ok(count("rx") + count("tx"))
}
