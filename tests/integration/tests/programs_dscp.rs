//! How urgent a packet is, its sender says in the packet (DSCP), and the switch in the tag (PCP). The gateway leaves both.

use cordon_integration::programs::{must, plan, serve};
use cordon_integration::wires::Wires;
use cordon_lab::{Host, Lab, Result, Seen};

/// A port that is measured at.
const PORT: u16 = 5201;

/// What marks a packet: DSCP by its name, the byte that it is in, and the priority in the tag.
struct Mark {
    dscp: &'static str,
    class: u8,
    priority: u8,
}

/// Voice and alarms go out, something else comes back.
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
fn marks_are_left_as_they_are() -> Result<()> {
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
        let ours = |seen: &Seen| {
            let ends = |(from, to)| [from, to].contains(&server.ip());
            seen.ips.is_some_and(ends)
        };
        let lost = wires.lost(ours);
        assert!(lost.is_empty(), "{lost:?}");
        for (way, mark) in [(&wires.outward, OUT), (&wires.inward, BACK)] {
            // Everything in that VLAN has a priority: also what is flooded, and what is said to find each other.
            let in_vlan = |seen: &&Seen| seen.vlan == Some(230);
            let left: Vec<&Seen> = way.left.iter().filter(in_vlan).collect();
            let entered = way.entered.iter().filter(in_vlan);
            assert!(left.len() >= 10);
            for seen in entered.chain(left) {
                assert_eq!(seen.priority, Some(mark.priority), "{seen:?}");
                // A packet of these two. What opened a flow is among them.
                if ours(seen) {
                    assert_eq!(seen.traffic_class, mark.class, "{seen:?}");
                }
            }
        }
    }
    Ok(())
}

/// Has a host mark all it sends.
fn mark(host: &Host, mark: &Mark) -> Result<()> {
    let chain = "add table inet marks; add chain inet marks out { type route hook output priority mangle; }";
    let rule = |family| format!("add rule inet marks out {family} dscp set {}", mark.dscp);
    for line in [chain, &rule("ip"), &rule("ip6")] {
        must(host, &["nft", line])?;
    }
    Ok(())
}
