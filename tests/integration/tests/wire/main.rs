//! Switches that isolate devices from each other: a VLAN for each device, protected ports of one VLAN, and a core link
//! with two tags. Frames between devices pass by rule and only by rule, through the XDP and tc programs that the
//! daemon loads.

mod carrier;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cordon_integration::steps::{check_losses, quarantine, release, wait_until};
use cordon_lab::{CapturedFrame, Device, Direction, Host, Lab, Plan, Remote, Result, Tap, Wire};
use cordon_policy::{GATEWAY_MAC, Posture};

use carrier::{Carrier, Tags};

const DICOM: u16 = 104;
const DISCOVERY: u16 = 3702;
const HL7: u16 = 2575;
const WITHIN: Duration = Duration::from_secs(5);
/// How long a test waits before it concludes that a frame does not arrive.
const QUIET: Duration = Duration::from_millis(500);

/// The outpatient clinic of the examples, with an archive and an interface engine on the far side of its router.
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
    *addresses
        .find(|ip| ip.is_ipv6())
        .expect("the host has an IPv6 address")
}

/// Whether all of three echo requests are answered.
fn pings(from: &Host, to: IpAddr) -> Result<bool> {
    Ok(from.ping(to, 3)? == 3)
}

/// Whether a TCP connection to a listener at `to` is made.
fn connects(from: &Host, to: &Host, ip: IpAddr, port: u16, within: Duration) -> Result<bool> {
    // A program that another test starts at this moment may have inherited the previous listener's socket.
    let mut listens = None;
    wait_until("the port is free", || {
        listens = to.run(|| TcpListener::bind((ip, port)))?.ok();
        Ok(listens.is_some())
    })?;
    from.connects(SocketAddr::new(ip, port), within)
}

/// Sends a discovery datagram to a group or broadcast address. Returns its source port.
fn send_discovery(from: &Host, to: SocketAddr) -> Result<u16> {
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
    Ok(sent.expect("the datagram is sent"))
}

/// How many copies of the datagram from this port arrived.
fn copies(tap: &Tap, port: u16) -> Result<usize> {
    tap.count(|seen| seen.direction == Direction::Received && seen.ports == (port, DISCOVERY))
}

fn is_discovery(seen: &CapturedFrame) -> bool {
    seen.is_udp_to(DISCOVERY)
}

#[test]
fn devices_in_separate_vlans_communicate_by_rule_only() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let [ct, us, mr] =
        ["ct-1", "us-1", "mr-1"].map(|name| lab.host(name).expect("the plan has the host"));
    assert!(
        !ct.reaches(&us)?,
        "without the gateway no frame crosses VLANs"
    );
    lab.gateway().start_with_policy()?;

    // Unicast: ARP and neighbour discovery are forwarded between the VLANs.
    for to in [us.ip(), v6(&us)] {
        assert!(pings(&ct, to)?, "{to}");
        assert!(connects(&ct, &us, to, DICOM, WITHIN)?, "{to}");
        assert!(!connects(&ct, &us, to, DICOM + 1, QUIET)?, "{to}");
    }
    assert!(!pings(&us, ct.ip())? && !pings(&us, v6(&ct))?, "no rule");
    assert!(!pings(&ct, mr.ip())? && !pings(&ct, v6(&mr))?, "no rule");
    assert!(!connects(&mr, &us, us.ip(), DICOM, QUIET)?, "no rule");
    // To the core, where all devices are in one VLAN.
    let pacs = lab.host("pacs")?;
    assert!(connects(&ct, &pacs, pacs.ip(), DICOM, WITHIN)?);
    assert!(!connects(&us, &pacs, pacs.ip(), DICOM, QUIET)?, "no rule");

    // Broadcast and multicast: one copy into each other VLAN, including the core's, and none back.
    let tap = |host: &Host| host.tap_only(is_discovery);
    let (at_ct, at_us, at_mr) = (tap(&ct)?, tap(&us)?, tap(&mr)?);
    let (access, core) = (
        lab.tap_only(Wire::Access, is_discovery)?,
        lab.tap_only(Wire::Core, is_discovery)?,
    );
    let groups = [
        "255.255.255.255:3702",
        "10.41.0.255:3702",
        "239.255.255.250:3702",
        "[ff02::c]:3702",
    ];
    for group in groups {
        let group: SocketAddr = group.parse().expect("an address");
        let port = send_discovery(&ct, group)?;
        wait_until("all devices have received it", || {
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
        // A device without a rule for discovery reaches no other device.
        let port = send_discovery(&us, group)?;
        std::thread::sleep(QUIET);
        let counted = [&at_ct, &at_mr, &core].map(|tap| copies(tap, port));
        assert!(
            counted.iter().all(|count| matches!(count, Ok(0))),
            "{group}: {counted:?}"
        );
    }

    // A host with another device's MAC and IP addresses is in another VLAN than the device.
    let rogue = lab.plug_in(Device {
        name: "rogue".to_owned(),
        mac: us.mac(),
        vlan: 303,
        addresses: vec!["10.41.0.21/24".parse().expect("an address")],
    })?;
    let before = dropped(&lab, "port-binding")?;
    assert!(!pings(&rogue, ct.ip())?);
    send_discovery(&rogue, SocketAddr::from((Ipv4Addr::BROADCAST, DISCOVERY)))?;
    wait_until("its frames are dropped", || {
        Ok(dropped(&lab, "port-binding")? >= before + 2)
    })?;
    assert!(connects(&ct, &us, us.ip(), DICOM, WITHIN)?);
    assert!(pings(&ct, us.ip())?);

    // The programs forward without the daemon.
    lab.gateway().kill()?;
    let port = send_discovery(&ct, SocketAddr::from((Ipv4Addr::BROADCAST, DISCOVERY)))?;
    wait_until("both devices have received it", || {
        Ok(copies(&at_us, port)? + copies(&at_mr, port)? == 2)
    })?;
    assert!(pings(&ct, us.ip())?);
    lab.gateway().start()?;

    // Postures apply between the VLANs.
    quarantine(lab.gateway(), Posture::Lockdown)?;
    assert!(!pings(&ct, us.ip())?);
    let port = send_discovery(&ct, SocketAddr::from((Ipv4Addr::BROADCAST, DISCOVERY)))?;
    std::thread::sleep(QUIET);
    assert_eq!(copies(&at_us, port)? + copies(&at_mr, port)?, 0);
    release(lab.gateway())?;
    assert!(pings(&ct, us.ip())?);
    check_losses(&lab)
}

/// The MAC address in a host's neighbour cache for an address.
fn resolved(host: &Host, ip: IpAddr) -> Result<String> {
    let ip = ip.to_string();
    let output = host
        .exec(&["ip", "-json", "neighbour", "show", "to", &ip])?
        .stdout;
    let entries: serde_json::Value = serde_json::from_str(&output).expect("the output is JSON");
    Ok(entries[0]["lladdr"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn devices_on_protected_ports_communicate_through_the_proxy_by_rule_only() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let [monitor, other, central] = ["monitor-1", "monitor-2", "central-1"]
        .map(|name| lab.host(name).expect("the plan has the host"));
    assert!(monitor.reaches(&central)?, "they share a VLAN");
    lab.protect(&["monitor-1", "monitor-2", "central-1"])?;
    assert!(!monitor.reaches(&central)?, "the switch now isolates them");
    for host in [&monitor, &other, &central] {
        host.exec(&["ip", "neighbour", "flush", "dev", Host::INTERFACE])?;
    }
    lab.gateway().start_with_policy()?;

    let trunk = lab.tap(Wire::Access)?;
    for to in [central.ip(), v6(&central)] {
        assert!(pings(&monitor, to)?, "{to}");
        assert_eq!(resolved(&monitor, to)?, GATEWAY_MAC.to_string(), "{to}");
        assert!(connects(&monitor, &central, to, HL7, WITHIN)?, "{to}");
        assert!(!connects(&monitor, &central, to, HL7 + 1, QUIET)?, "{to}");
    }
    // No rule: from the central station, and from one monitor to another.
    for from in [&central, &other] {
        for to in [monitor.ip(), v6(&monitor)] {
            assert!(!pings(from, to)?, "{} to {to}", from.name());
        }
    }
    // No ARP request was forwarded to another device: the gateway answered them.
    let requests = |seen: &CapturedFrame| {
        seen.ethertype == cordon_lab::ARP
            && seen.direction == Direction::Received
            && seen.destination == cordon_lab::Mac([0xff; 6])
    };
    assert_eq!(trunk.count(requests)?, 0);
    // Frames between devices left by their ingress port, in the same VLAN.
    let back = |seen: &CapturedFrame| {
        seen.direction == Direction::Received
            && seen.vlan == Some(220)
            && seen.source == GATEWAY_MAC
            && seen.destination == central.mac()
            && seen.is_between(monitor.ip(), central.ip())
    };
    assert!(trunk.count(back)? > 0);

    // The gateway is not a proxy for the router: hosts resolve it as before, and it resolves them.
    let engine = lab.host("interfaces")?;
    assert!(connects(&engine, &central, central.ip(), HL7, WITHIN)?);
    assert!(connects(&central, &engine, engine.ip(), HL7, WITHIN)?);
    assert!(
        !connects(&engine, &monitor, monitor.ip(), HL7, QUIET)?,
        "no rule"
    );
    assert_ne!(
        resolved(&central, "10.42.0.1".parse().expect("an address"))?,
        GATEWAY_MAC.to_string()
    );

    lab.gateway().kill()?;
    assert!(pings(&monitor, central.ip())?, "without the daemon");
    lab.gateway().start()?;
    quarantine(lab.gateway(), Posture::Lockdown)?;
    assert!(!pings(&monitor, central.ip())? && !pings(&monitor, v6(&central))?);
    release(lab.gateway())?;
    assert!(pings(&monitor, central.ip())?);
    check_losses(&lab)
}

/// Runs something on a host in the reading room while the carrier answers with these tags.
fn with_carrier<T>(
    lab: &Lab,
    carrier: &Carrier,
    tags: Tags,
    run: impl FnOnce(&Host) -> Result<T>,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let answers = scope.spawn(|| carrier.answer(tags, &stop));
        let reader = lab.host("reader-1")?;
        reader.exec(&["ip", "neighbour", "flush", "dev", Host::INTERFACE])?;
        let result = run(&reader);
        stop.store(true, Ordering::Relaxed);
        answers.join().expect("the carrier does not panic")?;
        result
    })
}

/// How many of five echo requests are answered while the carrier answers with these tags.
fn answered(lab: &Lab, carrier: &Carrier, tags: Tags) -> Result<u16> {
    with_carrier(lab, carrier, tags, |reader| {
        reader.ping("10.200.4.10".parse().expect("an address"), 5)
    })
}

/// Whether an echo request in a packet of 1500 bytes is answered.
fn answered_at_full_size(lab: &Lab, carrier: &Carrier, tags: Tags) -> Result<bool> {
    with_carrier(lab, carrier, tags, |reader| {
        let line = ["ping", "-c", "1", "-W", "2", "-s", "1472", "10.200.4.10"];
        Ok(reader.exec(&line)?.success())
    })
}

#[test]
fn frames_with_two_tags_are_bridged() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let reader = lab.host("reader-1")?;
    reader.exec(&["ip", "route", "add", "default", "via", "10.43.0.1"])?;
    lab.gateway().start_with_policy()?;
    let carrier = Carrier::listen(&lab)?;

    let own: Tags = [(0x88a8, 100), (0x8100, 230)];
    assert_eq!(answered(&lab, &carrier, own)?, 5);
    // Broadcast and unicast frames leave with these tags.
    let frames = carrier.frames();
    let tagged: Vec<_> = frames
        .iter()
        .filter_map(|frame| carrier::split_tags(frame))
        .collect();
    assert!(tagged.iter().all(|(tags, _)| *tags == own), "{tagged:x?}");
    let such = |kind: [u8; 2]| {
        tagged
            .iter()
            .filter(|(_, rest)| rest.starts_with(&kind))
            .count()
    };
    assert!(such([8, 6]) >= 1 && such([8, 0]) == 5, "{tagged:x?}");

    // Other tags belong to other attachments, or to none.
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

    // The carrier still works.
    assert_eq!(answered(&lab, &carrier, own)?, 5);

    // The kernel allows frames of the MTU plus one tag: packets of 1500 bytes need four bytes more for the second tag.
    assert!(!answered_at_full_size(&lab, &carrier, own)?);
    // The carrier sends raw frames, so its MTU must cover both tags.
    let ends = [
        (lab.gateway().node(), "eth2", "1504"),
        (lab.switch(), "gw-core", "1508"),
    ];
    for (node, nic, mtu) in ends {
        let set = node.exec(&["ip", "link", "set", nic, "mtu", mtu])?;
        assert!(set.success(), "{}", set.stderr);
    }
    assert!(answered_at_full_size(&lab, &carrier, own)?);

    quarantine(lab.gateway(), Posture::Contain)?;
    assert_eq!(answered(&lab, &carrier, own)?, 0, "the carrier is outside");
    Ok(())
}

/// Frames that the gateway dropped for a reason.
fn dropped(lab: &Lab, reason: &str) -> Result<u64> {
    let status = lab.gateway().json(&["status"])?;
    let drops = status["drops"].as_array().cloned().unwrap_or_default();
    let entry = drops.iter().find(|drop| drop["reason"] == reason);
    Ok(entry.map_or(0, |drop| drop["packets"].as_u64().unwrap_or(0)))
}
