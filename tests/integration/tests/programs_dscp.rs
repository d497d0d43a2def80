//! The gateway does not change the DSCP of packets or the priority (PCP) of VLAN tags.

use cordon_integration::programs::{must, plan, serve};
use cordon_integration::wires::Wires;
use cordon_lab::{CapturedFrame, Host, Lab, Result};

/// iperf3's port.
const PORT: u16 = 5201;

/// Marks of a packet.
struct Mark {
    /// The DSCP by name.
    dscp: &'static str,
    /// The traffic class byte that contains it.
    class: u8,
    /// The priority in the VLAN tag.
    priority: u8,
}

/// Different marks for the two directions.
const OUT: Mark = Mark {
    dscp: "ef",
    class: 0xb8,
    priority: 5,
};
const BACK: Mark = Mark {
    dscp: "af41",
    class: 0x88,
    priority: 3,
};

#[test]
fn dscp_and_tag_priority_are_unchanged() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    lab.gateway().start_with_policy()?;
    let station = lab.host("station-1")?;
    mark(&station, &OUT)?;
    lab.mark(station.name(), OUT.priority)?;
    lab.mark("core-230", BACK.priority)?;
    for name in ["records", "records6"] {
        let server = lab.host(name)?;
        mark(&server, &BACK)?;
        let _serving = serve(&server, &["iperf3", "--server"], server.at(PORT))?;
        let address = server.ip().to_string();
        let wires = Wires::tap(&lab)?;
        must(
            &station,
            &["iperf3", "--client", &address, "--bytes", "500K"],
        )?;
        must(&station, &["ping", "-c", "5", "-i", "0.1", &address])?;
        let wires = wires.stop()?;
        let ours = |seen: &CapturedFrame| {
            let ends = |(from, to)| [from, to].contains(&server.ip());
            seen.ips.is_some_and(ends)
        };
        for (direction, mark) in [(&wires.outward, OUT), (&wires.inward, BACK)] {
            // All frames of the VLAN have the priority, including ARP and flooded frames.
            let in_vlan = |seen: &&CapturedFrame| seen.vlan == Some(230);
            let left: Vec<&CapturedFrame> = direction.left.iter().filter(in_vlan).collect();
            let entered = direction.entered.iter().filter(in_vlan);
            assert!(left.len() >= 10);
            for seen in entered.chain(left) {
                assert_eq!(seen.priority, Some(mark.priority), "{seen:?}");
                // Packets between the two hosts have the DSCP, including the first one of a flow.
                if ours(seen) {
                    assert_eq!(seen.traffic_class, mark.class, "{seen:?}");
                }
            }
        }
    }
    Ok(())
}

/// Makes a host mark all its packets.
fn mark(host: &Host, mark: &Mark) -> Result<()> {
    let chain = "add table inet marks; add chain inet marks out { type route hook output priority mangle; }";
    let rule = |family| format!("add rule inet marks out {family} dscp set {}", mark.dscp);
    for line in [chain, &rule("ip"), &rule("ip6")] {
        must(host, &["nft", line])?;
    }
    Ok(())
}
