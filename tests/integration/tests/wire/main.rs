//! Switches that keep devices apart, real hosts at them, and the gateway between: a VLAN for each device, ports of one
//! VLAN that are protected from each other, and a way to the core with two tags. What devices say to each other passes
//! by rule and only by rule, through the XDP and tc programs that the daemon loaded.

mod carrier;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cordon_integration::steps::{check_losses, quarantine, release, wait_until};
use cordon_lab::{Device, Direction, Host, Lab, Plan, Remote, Result, Seen, Tap, Wire};
use cordon_policy::{GATEWAY_MAC, Posture};

use carrier::{Carrier, Tags};

const DICOM: u16 = 104;
const DISCOVERY: u16 = 3702;
const HL7: u16 = 2575;
const WITHIN: Duration = Duration::from_secs(5);
/// How long what must not come is waited for.
const QUIET: Duration = Duration::from_millis(500);

/// The clinic of the examples, with an archive and an interface engine behind its router.
fn plan() -> Result<Plan> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../control/policy/examples");
    let mut plan = Plan::from_policy(&examples.join("crozer-outpatient"))?;
    for (name, last) in [("pacs", [4, 10]), ("interfaces", [7, 10])] {
        plan.remotes.push(Remote {
            name: name.to_owned(),
            address: Ipv4Addr::new(10, 200, last[0], last[1]).into(),
            default: false,
        });
    }
    Ok(plan)
}

fn v6(host: &Host) -> IpAddr {
    let mut addresses = host.addresses().iter();
    *addresses.find(|ip| ip.is_ipv6()).expect("has one")
}

/// Whether all of three echo requests are answered.
fn pings(from: &Host, to: IpAddr) -> Result<bool> {
    Ok(from.ping(to, 3)? == 3)
}

/// Whether what listens at `to` is reached.
fn connects(from: &Host, to: &Host, ip: IpAddr, port: u16, within: Duration) -> Result<bool> {
    // What listened there a moment ago, a program that another test starts just now may still hold.
    let mut listens = None;
    wait_until("the port is free", || {
        listens = to.run(|| TcpListener::bind((ip, port)))?.ok();
        Ok(listens.is_some())
    })?;
    from.connects(SocketAddr::new(ip, port), within)
}

/// Sends a datagram to a group or to everybody; answers from which port.
fn call(from: &Host, to: SocketAddr) -> Result<u16> {
    let sent = from.run(|| -> std::io::Result<u16> {
        let unspecified = match to {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
        };
        let socket = UdpSocket::bind(unspecified)?;
        socket.set_broadcast(true)?;
        let to = match to {
            SocketAddr::V6(to) => {
                let eth0 = nix::net::if_::if_nametoindex(Host::INTERFACE)?;
                SocketAddrV6::new(*to.ip(), to.port(), 0, eth0).into()
            }
            v4 => v4,
        };
        socket.send_to(b"who is there?", to)?;
        Ok(socket.local_addr()?.port())
    })?;
    Ok(sent.expect("can be sent"))
}

/// How many copies of the datagram from this port came in.
fn copies(tap: &Tap, port: u16) -> Result<usize> {
    tap.count(|seen| seen.direction == Direction::Received && seen.ports == (port, DISCOVERY))
}

fn calls(seen: &Seen) -> bool {
    seen.is_udp_to(DISCOVERY)
}

#[test]
fn a_vlan_for_each_device() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let [ct, us, mr] = ["ct-1", "us-1", "mr-1"].map(|name| lab.host(name).expect("is planned"));
    assert!(
        !ct.reaches(&us)?,
        "without the gateway nothing gets from one VLAN into another"
    );
    lab.gateway().start_with_policy()?;

    // To a single host: found by ARP and neighbour discovery, which go from VLAN to VLAN.
    for to in [us.ip(), v6(&us)] {
        assert!(pings(&ct, to)?, "{to}");
        assert!(connects(&ct, &us, to, DICOM, WITHIN)?, "{to}");
        assert!(!connects(&ct, &us, to, DICOM + 1, QUIET)?, "{to}");
    }
    assert!(!pings(&us, ct.ip())? && !pings(&us, v6(&ct))?, "no rule");
    assert!(!pings(&ct, mr.ip())? && !pings(&ct, v6(&mr))?, "no rule");
    assert!(!connects(&mr, &us, us.ip(), DICOM, QUIET)?, "no rule");
    // To the core, which has one VLAN for all of them.
    let pacs = lab.host("pacs")?;
    assert!(connects(&ct, &pacs, pacs.ip(), DICOM, WITHIN)?);
    assert!(!connects(&us, &pacs, pacs.ip(), DICOM, QUIET)?, "no rule");

    // To everybody: once into each other VLAN, also into the core's, and not back.
    let hears = |host: &Host| host.tap_only(calls);
    let (at_ct, at_us, at_mr) = (hears(&ct)?, hears(&us)?, hears(&mr)?);
    let (access, core) = (
        lab.tap_only(Wire::Access, calls)?,
        lab.tap_only(Wire::Core, calls)?,
    );
    let groups = [
        "255.255.255.255:3702",
        "10.41.0.255:3702",
        "239.255.255.250:3702",
        "[ff02::c]:3702",
    ];
    for group in groups {
        let group: SocketAddr = group.parse().expect("an address");
        let port = call(&ct, group)?;
        wait_until("everybody has heard it", || {
            Ok(copies(&at_us, port)? > 0 && copies(&at_mr, port)? > 0 && copies(&core, port)? > 0)
        })?;
        std::thread::sleep(QUIET);
        let counted = [
            copies(&at_us, port)?,
            copies(&at_mr, port)?,
            copies(&at_ct, port)?,
        ];
        assert_eq!(counted, [1, 1, 0], "{group}");
        let left = |tap: &Tap| -> Result<Vec<Option<u16>>> {
            let frames = tap.frames()?.into_iter();
            let such =
                frames.filter(|seen| seen.direction == Direction::Received && seen.ports.0 == port);
            let mut vlans: Vec<_> = such.map(|seen| seen.vlan).collect();
            vlans.sort_unstable();
            Ok(vlans)
        };
        assert_eq!(left(&access)?, [Some(302), Some(303)], "{group}");
        assert_eq!(left(&core)?, [Some(210)], "{group}");
        // From whom no rule lets ask, nobody hears it.
        let port = call(&us, group)?;
        std::thread::sleep(QUIET);
        let counted = [&at_ct, &at_mr, &core].map(|tap| copies(tap, port));
        assert!(
            counted.iter().all(|count| matches!(count, Ok(0))),
            "{group}: {counted:?}"
        );
    }

    // Who takes a neighbour's MAC and IP addresses is in another VLAN than the neighbour.
    let rogue = lab.plug_in(Device {
        name: "rogue".to_owned(),
        mac: us.mac(),
        vlan: 303,
        addresses: vec!["10.41.0.21/24".parse().expect("an address")],
    })?;
    let before = dropped(&lab, "port-binding")?;
    assert!(!pings(&rogue, ct.ip())?);
    call(&rogue, SocketAddr::from((Ipv4Addr::BROADCAST, DISCOVERY)))?;
    wait_until("it is stopped", || {
        Ok(dropped(&lab, "port-binding")? >= before + 2)
    })?;
    assert!(connects(&ct, &us, us.ip(), DICOM, WITHIN)?);
    assert!(pings(&ct, us.ip())?);

    // The programs go on without the daemon.
    lab.gateway().kill()?;
    let port = call(&ct, SocketAddr::from((Ipv4Addr::BROADCAST, DISCOVERY)))?;
    wait_until("it is heard", || {
        Ok(copies(&at_us, port)? + copies(&at_mr, port)? == 2)
    })?;
    assert!(pings(&ct, us.ip())?);
    lab.gateway().start()?;

    // And a posture holds for VLANs as for anything.
    quarantine(lab.gateway(), Posture::Lockdown)?;
    assert!(!pings(&ct, us.ip())?);
    let port = call(&ct, SocketAddr::from((Ipv4Addr::BROADCAST, DISCOVERY)))?;
    std::thread::sleep(QUIET);
    assert_eq!(copies(&at_us, port)? + copies(&at_mr, port)?, 0);
    release(lab.gateway())?;
    assert!(pings(&ct, us.ip())?);
    check_losses(&lab)
}

/// The MAC address that a host has found for an address.
fn found(host: &Host, ip: IpAddr) -> Result<String> {
    let ip = ip.to_string();
    let said = host
        .exec(&["ip", "-json", "neighbour", "show", "to", &ip])?
        .stdout;
    let known: serde_json::Value = serde_json::from_str(&said).expect("is JSON");
    Ok(known[0]["lladdr"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn ports_that_the_switch_protects() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let [monitor, other, central] =
        ["monitor-1", "monitor-2", "central-1"].map(|name| lab.host(name).expect("is planned"));
    assert!(monitor.reaches(&central)?, "they are in one VLAN");
    lab.protect(&["monitor-1", "monitor-2", "central-1"])?;
    assert!(
        !monitor.reaches(&central)?,
        "but the switch keeps them apart now"
    );
    for host in [&monitor, &other, &central] {
        host.exec(&["ip", "neighbour", "flush", "dev", Host::INTERFACE])?;
    }
    lab.gateway().start_with_policy()?;

    let trunk = lab.tap(Wire::Access)?;
    for to in [central.ip(), v6(&central)] {
        assert!(pings(&monitor, to)?, "{to}");
        assert_eq!(found(&monitor, to)?, GATEWAY_MAC.to_string(), "{to}");
        assert!(connects(&monitor, &central, to, HL7, WITHIN)?, "{to}");
        assert!(!connects(&monitor, &central, to, HL7 + 1, QUIET)?, "{to}");
    }
    // By no rule: from the central station, and from one monitor to another.
    for from in [&central, &other] {
        for to in [monitor.ip(), v6(&monitor)] {
            assert!(!pings(from, to)?, "{} to {to}", from.name());
        }
    }
    // Nobody's own question for a device's address got to another device: the gateway answered.
    let asked = |seen: &Seen| {
        seen.ethertype == cordon_lab::ARP
            && seen.direction == Direction::Received
            && seen.destination == cordon_lab::Mac([0xff; 6])
    };
    assert_eq!(trunk.count(asked)?, 0);
    // What went from one to the other left by the port that it came in on, in the same VLAN.
    let back = |seen: &Seen| {
        seen.direction == Direction::Received
            && seen.vlan == Some(220)
            && seen.source == GATEWAY_MAC
            && seen.destination == central.mac()
            && seen.is_between(monitor.ip(), central.ip())
    };
    assert!(trunk.count(back)? > 0);

    // The router is nobody's the gateway stands in for; it is found, and finds, as before.
    let engine = lab.host("interfaces")?;
    assert!(connects(&engine, &central, central.ip(), HL7, WITHIN)?);
    assert!(connects(&central, &engine, engine.ip(), HL7, WITHIN)?);
    assert!(
        !connects(&engine, &monitor, monitor.ip(), HL7, QUIET)?,
        "no rule"
    );
    assert_ne!(
        found(&central, "10.42.0.1".parse().expect("an address"))?,
        GATEWAY_MAC.to_string()
    );

    lab.gateway().kill()?;
    assert!(pings(&monitor, central.ip())?, "without the daemon too");
    lab.gateway().start()?;
    quarantine(lab.gateway(), Posture::Lockdown)?;
    assert!(!pings(&monitor, central.ip())? && !pings(&monitor, v6(&central))?);
    release(lab.gateway())?;
    assert!(pings(&monitor, central.ip())?);
    check_losses(&lab)
}

/// What somebody in the reading room finds out while the carrier answers with these tags.
fn meanwhile<T>(
    lab: &Lab,
    carrier: &Carrier,
    tags: Tags,
    ask: impl FnOnce(&Host) -> Result<T>,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let answers = scope.spawn(|| carrier.answer(tags, &stop));
        let reader = lab.host("reader-1")?;
        reader.exec(&["ip", "neighbour", "flush", "dev", Host::INTERFACE])?;
        let found = ask(&reader);
        stop.store(true, Ordering::Relaxed);
        answers.join().expect("answers or errs")?;
        found
    })
}

/// Echo requests that were answered, of five, while the carrier answers with these tags.
fn answered(lab: &Lab, carrier: &Carrier, tags: Tags) -> Result<u16> {
    meanwhile(lab, carrier, tags, |reader| {
        reader.ping("10.200.4.10".parse().expect("an address"), 5)
    })
}

/// Whether an echo request that fills a packet of 1500 bytes is answered.
fn answered_whole(lab: &Lab, carrier: &Carrier, tags: Tags) -> Result<bool> {
    meanwhile(lab, carrier, tags, |reader| {
        let line = ["ping", "-c", "1", "-W", "2", "-s", "1472", "10.200.4.10"];
        Ok(reader.exec(&line)?.success())
    })
}

#[test]
fn a_vlan_within_a_vlan() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let reader = lab.host("reader-1")?;
    reader.exec(&["ip", "route", "add", "default", "via", "10.43.0.1"])?;
    lab.gateway().start_with_policy()?;
    let carrier = Carrier::listen(&lab)?;

    let own: Tags = [(0x88a8, 100), (0x8100, 230)];
    assert_eq!(answered(&lab, &carrier, own)?, 5);
    // What left has those tags, whatever it is: a question to everybody or to one.
    let frames = carrier.frames();
    let tagged: Vec<_> = frames
        .iter()
        .filter_map(|frame| carrier::behind(frame))
        .collect();
    assert!(tagged.iter().all(|(tags, _)| *tags == own), "{tagged:x?}");
    let such = |kind: [u8; 2]| {
        tagged
            .iter()
            .filter(|(_, rest)| rest.starts_with(&kind))
            .count()
    };
    assert!(such([8, 6]) >= 1 && such([8, 0]) == 5, "{tagged:x?}");

    // Other tags are of other attachments, or of none.
    for tags in [
        [(0x8100, 100), (0x8100, 230)],
        [(0x88a8, 101), (0x8100, 230)],
        [(0x88a8, 100), (0x8100, 231)],
    ] {
        let before = dropped(&lab, "unknown-attachment")?;
        assert_eq!(answered(&lab, &carrier, tags)?, 0, "{tags:x?}");
        assert!(dropped(&lab, "unknown-attachment")? > before, "{tags:x?}");
    }
    let before = dropped(&lab, "vlan-stack")?;
    assert_eq!(answered(&lab, &carrier, [(0x88a8, 100), (0x88a8, 230)])?, 0);
    assert!(dropped(&lab, "vlan-stack")? > before);

    // It was not the carrier.
    assert_eq!(answered(&lab, &carrier, own)?, 5);

    // The kernel lets a NIC send what its MTU is and one tag: packets of 1500 bytes need four more for the other.
    assert!(!answered_whole(&lab, &carrier, own)?);
    // Who sends frames as they are, like the carrier, has to have room for both.
    let ends = [
        (lab.gateway().node(), "eth2", "1504"),
        (lab.switch(), "gw-core", "1508"),
    ];
    for (node, nic, mtu) in ends {
        let set = node.exec(&["ip", "link", "set", nic, "mtu", mtu])?;
        assert!(set.success(), "{}", set.stderr);
    }
    assert!(answered_whole(&lab, &carrier, own)?);

    quarantine(lab.gateway(), Posture::Contain)?;
    assert_eq!(answered(&lab, &carrier, own)?, 0, "the carrier is outside");
    Ok(())
}

/// Frames that the gateway dropped for a reason.
fn dropped(lab: &Lab, reason: &str) -> Result<u64> {
    let status = lab.gateway().json(&["status"])?;
    let drops = status["drops"].as_array().cloned().unwrap_or_default();
    let of = drops.iter().find(|drop| drop["reason"] == reason);
    Ok(of.map_or(0, |drop| drop["packets"].as_u64().unwrap_or(0)))
}
