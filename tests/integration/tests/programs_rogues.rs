//! Rogue DHCP servers and router advertisements do not pass the gateway.

use std::net::IpAddr;

use cordon_integration::programs::addresses::{Client, IpVersion, dnsmasq, radvd};
use cordon_integration::programs::{metric, must, net, plan, set};
use cordon_integration::steps::wait_until;
use cordon_lab::{
    CapturedFrame, Device, Direction, Host, Lab, Mac, Process, Result, Tap, UDP, Wire,
};

/// A device with a rogue DHCP server and rogue router advertisements.
struct Rogue {
    name: &'static str,
    vlan: u16,
    /// The addresses that it offers: IPv4 and IPv6.
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

/// The number of unanswered requests after which a client counts as without an offer.
const REQUESTS: usize = 2;

#[test]
fn rogue_dhcp_servers_and_routers_are_not_heard() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let mut running = Vec::new();
    let mut visitors = Vec::new();
    for (number, rogue) in ROGUES.iter().enumerate() {
        running.extend(start(&lab, rogue)?);
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
    for (rogue, offered) in attempt(&lab, &visitors)? {
        assert_eq!(offered, [true, true], "{} through a bridge", rogue.name);
        wait_until("the router has accepted the advertisement", || {
            accepts_advertisement(&lab, rogue)
        })?;
        let counts = frames_of(&lab, rogue, &wire, Direction::Received)?;
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }
    drop(wire);
    drop(bridge);
    must(lab.router(), &["ip", "-6", "route", "flush", "proto", "ra"])?;

    lab.gateway().start_with_policy()?;
    let (inside, outside) = (lab.tap(Wire::Access)?, lab.tap(Wire::Core)?);
    for (rogue, offered) in attempt(&lab, &visitors)? {
        assert_eq!(
            offered,
            [false, false],
            "{} through the gateway",
            rogue.name
        );
        wait_until("the rogue has sent offers and advertisements", || {
            let counts = frames_of(&lab, rogue, &inside, Direction::Sent)?;
            Ok(counts.iter().all(|count| *count > 0))
        })?;
        assert_eq!(
            frames_of(&lab, rogue, &outside, Direction::Received)?,
            [0, 0]
        );
        assert!(!accepts_advertisement(&lab, rogue)?);
    }
    for guard in ["dhcp-guard", "ra-guard"] {
        let series = format!("cordon_dropped_packets_total{{reason=\"{guard}\"}}");
        assert!(metric(&lab, &series)? > 0.0, "{guard}");
    }
    drop(running);
    Ok(())
}

/// Starts a rogue's DHCP server and router advertisements.
fn start(lab: &Lab, rogue: &Rogue) -> Result<Vec<Process>> {
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
    let options = "prefix fd00:bad::/64 { AdvAutonomous on; };";
    let router = radvd(&host, lab.directory(), &[(Host::INTERFACE, options)])?;
    Ok(vec![server, router])
}

/// Requests IPv4 and IPv6 addresses in each VLAN from the far side of the gateway, and returns whether they were
/// offered. A visitor in the VLAN itself also requests an address, so that the rogue's broadcast answers reach the
/// gateway.
fn attempt(lab: &Lab, visitors: &[Host]) -> Result<Vec<(&'static Rogue, [bool; 2])>> {
    let client = |rogue: &Rogue, version| {
        Client::probe(
            lab.router(),
            &format!("vlan-{}", rogue.vlan),
            lab.directory(),
            version,
        )
    };
    // All at the same time, because clients wait seconds between requests.
    let mut clients = Vec::new();
    for (rogue, visitor) in ROGUES.iter().zip(visitors) {
        let near = Client::probe(visitor, Host::INTERFACE, lab.directory(), IpVersion::V4)?;
        clients.push((
            rogue,
            near,
            [client(rogue, IpVersion::V4)?, client(rogue, IpVersion::V6)?],
        ));
    }
    let mut offered = Vec::new();
    for (rogue, mut near, [mut four, mut six]) in clients {
        near.bound()?;
        offered.push((
            rogue,
            [
                four.is_offered_within(REQUESTS)?,
                six.is_offered_within(REQUESTS)?,
            ],
        ));
    }
    Ok(offered)
}

/// The number of a rogue's frames to DHCP clients, and of its router advertisements.
fn frames_of(lab: &Lab, rogue: &Rogue, wire: &Tap, direction: Direction) -> Result<[usize; 2]> {
    let mac = lab.host(rogue.name)?.mac();
    let theirs = |seen: &CapturedFrame| seen.direction == direction && seen.source == mac;
    let to_clients =
        |seen: &CapturedFrame| theirs(seen) && seen.protocol == UDP && seen.ports.0 == 67;
    // Router advertisements are its only frames to the all-nodes address.
    let all: IpAddr = "ff02::1".parse().expect("an address");
    let to_all = |seen: &CapturedFrame| theirs(seen) && seen.ips.is_some_and(|(_, to)| to == all);
    Ok([wire.count(to_clients)?, wire.count(to_all)?])
}

/// Whether the core router has a default route to a rogue.
fn accepts_advertisement(lab: &Lab, rogue: &Rogue) -> Result<bool> {
    let interface = format!("vlan-{}", rogue.vlan);
    let routes = must(
        lab.router(),
        &[
            "ip", "-6", "route", "show", "dev", &interface, "proto", "ra",
        ],
    )?;
    Ok(routes.contains("fe80::bad"))
}
