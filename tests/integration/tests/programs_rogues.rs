//! Intruders that would give others addresses and be their router: nothing of it gets past the gateway.

use std::net::IpAddr;

use cordon_integration::programs::addresses::{Asks, Client, dnsmasq, radvd};
use cordon_integration::programs::{counted, must, net, plan, set};
use cordon_integration::steps::wait_until;
use cordon_lab::{Device, Direction, Host, Lab, Mac, Process, Result, Seen, Tap, UDP, Wire};

/// A device that does what it should not.
struct Rogue {
    name: &'static str,
    vlan: u16,
    /// What it would give.
    ranges: [&'static str; 2],
}

const ROGUES: [Rogue; 2] = [
    Rogue {
        name: "guest",
        vlan: 299,
        ranges: [
            "10.29.0.200,10.29.0.210,255.255.255.0,1h",
            "fd00:29::bad:1,fd00:29::bad:99,64,1h",
        ],
    },
    Rogue {
        name: "pump-1",
        vlan: 225,
        ranges: [
            "10.25.0.200,10.25.0.210,255.255.255.0,1h",
            "fd00:25::bad:1,fd00:25::bad:99,64,1h",
        ],
    },
];

/// A client on the far side of the gateway asks so often before it is taken to be left alone.
const TIMES: usize = 2;

#[test]
fn nobody_is_given_addresses_by_intruders() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let mut running = Vec::new();
    let mut visitors = Vec::new();
    for (number, rogue) in ROGUES.iter().enumerate() {
        running.extend(begin(&lab, rogue)?);
        set(
            lab.router(),
            &format!("ipv6/conf/vlan-{}/accept_ra", rogue.vlan),
            "2",
        )?;
        visitors.push(lab.plug_in(Device {
            name: format!("visitor-{number}"),
            mac: Mac([0x02, 0x00, 0x5e, 0x99, 0x00, number as u8]),
            vlan: rogue.vlan,
            addresses: vec![net("192.0.2.1/32")],
        })?);
    }

    let bridge = lab.bridge()?;
    let wire = lab.tap(Wire::Core)?;
    for (rogue, given) in attempt(&lab, &visitors)? {
        assert_eq!(given, [true, true], "{} by way of a bridge", rogue.name);
        wait_until("the router believes in another", || {
            is_led_astray(&lab, rogue)
        })?;
        let said = said_by(&lab, rogue, &wire, Direction::Received)?;
        assert!(said.iter().all(|count| *count > 0), "{said:?}");
    }
    drop(wire);
    drop(bridge);
    must(lab.router(), &["ip", "-6", "route", "flush", "proto", "ra"])?;

    lab.gateway().start_with_policy()?;
    let (inside, outside) = (lab.tap(Wire::Access)?, lab.tap(Wire::Core)?);
    for (rogue, given) in attempt(&lab, &visitors)? {
        assert_eq!(
            given,
            [false, false],
            "{} by way of the gateway",
            rogue.name
        );
        wait_until("it was tried", || {
            let said = said_by(&lab, rogue, &inside, Direction::Sent)?;
            Ok(said.iter().all(|count| *count > 0))
        })?;
        assert_eq!(said_by(&lab, rogue, &outside, Direction::Received)?, [0, 0]);
        assert!(!is_led_astray(&lab, rogue)?);
    }
    for guard in ["dhcp-guard", "ra-guard"] {
        let series = format!("cordon_dropped_packets_total{{reason=\"{guard}\"}}");
        assert!(counted(&lab, &series)? > 0.0, "{guard}");
    }
    drop(running);
    Ok(())
}

/// Has a rogue give addresses, and call itself a router.
fn begin(lab: &Lab, rogue: &Rogue) -> Result<Vec<Process>> {
    let host = lab.host(rogue.name)?;
    set(&host, "ipv6/conf/all/forwarding", "1")?;
    must(
        &host,
        &["ip", "addr", "add", "fe80::bad/64", "dev", Host::INTERFACE],
    )?;
    let [four, six] = rogue.ranges.map(|range| format!("--dhcp-range={range}"));
    let server = dnsmasq(
        &host,
        lab.directory(),
        &[
            "--port=0",
            "--dhcp-authoritative",
            "--dhcp-broadcast",
            &four,
            &six,
        ],
    )?;
    let says = "prefix fd00:bad::/64 { AdvAutonomous on; };";
    let router = radvd(&host, lab.directory(), &[(Host::INTERFACE, says)])?;
    Ok(vec![server, router])
}

/// Somebody on the far side asks for addresses in each VLAN, of IPv4 and of IPv6: whether they were offered any. And so
/// does a visitor in the VLAN itself, whom the switch lets be answered, for everybody to hear.
fn attempt(lab: &Lab, visitors: &[Host]) -> Result<Vec<(&'static Rogue, [bool; 2])>> {
    let ask = |rogue: &Rogue, asks| {
        Client::curious(
            lab.router(),
            &format!("vlan-{}", rogue.vlan),
            lab.directory(),
            asks,
        )
    };
    // All at the same time: they leave seconds between one question and the next.
    let mut clients = Vec::new();
    for (rogue, visitor) in ROGUES.iter().zip(visitors) {
        let near = Client::curious(visitor, Host::INTERFACE, lab.directory(), Asks::V4)?;
        clients.push((rogue, near, [ask(rogue, Asks::V4)?, ask(rogue, Asks::V6)?]));
    }
    let mut given = Vec::new();
    for (rogue, mut near, [mut four, mut six]) in clients {
        near.bound()?;
        given.push((rogue, [four.asked(TIMES)?, six.asked(TIMES)?]));
    }
    Ok(given)
}

/// How much a rogue said there to DHCP clients, and as a router.
fn said_by(lab: &Lab, rogue: &Rogue, wire: &Tap, direction: Direction) -> Result<[usize; 2]> {
    let mac = lab.host(rogue.name)?.mac();
    let theirs = |seen: &Seen| seen.direction == direction && seen.source == mac;
    let to_clients = |seen: &Seen| theirs(seen) && seen.protocol == UDP && seen.ports.0 == 67;
    // Of ICMPv6, only advertisements go to all on the link.
    let all: IpAddr = "ff02::1".parse().expect("an address");
    let to_all = |seen: &Seen| theirs(seen) && seen.ips.is_some_and(|(_, to)| to == all);
    Ok([wire.count(to_clients)?, wire.count(to_all)?])
}

/// Whether the core router has come to believe that a rogue is one.
fn is_led_astray(lab: &Lab, rogue: &Rogue) -> Result<bool> {
    let interface = format!("vlan-{}", rogue.vlan);
    let routes = must(
        lab.router(),
        &[
            "ip", "-6", "route", "show", "dev", &interface, "proto", "ra",
        ],
    )?;
    Ok(routes.contains("fe80::bad"))
}
