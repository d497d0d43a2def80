//! Guards: each stops what it is for, counts it under a reason of its own, and names who did it; where a segment is
//! observed as well.

use std::time::{Duration, Instant};

use cordon_integration::exposition::Exposition;
use cordon_integration::hospital;
use cordon_integration::steps::{PATIENCE, check_losses, variant, wait_until};
use cordon_integration::watcher::Watcher;
use cordon_integration::wires::Wires;
use cordon_lab::{Device, Gateway, Lab, Node, Result, Seen};
use cordon_policy::Mac;
use serde_json::Value;

/// A guard, and what violates it.
struct Case {
    guard: &'static str,
    /// Who sends, and from which interface.
    from: Node,
    interface: &'static str,
    frames: Vec<Vec<u8>>,
    reason: &'static str,
    /// The device that is named; its MAC address where nobody lists it.
    who: String,
    /// Where it comes in.
    ingress: &'static str,
    /// Of as many frames, how many at least must not leave. All, but where a guard is a limit.
    stopped: usize,
}

#[test]
fn every_guard_stops_counts_and_names() -> Result<()> {
    check_guards(&[])
}

/// Observation is of what rules say: it lets nobody speak for another.
#[test]
fn guards_are_enforced_in_observed_segments_too() -> Result<()> {
    let observe = |segment| {
        let from = format!("subnets: [10.{segment}.0.0/24], isolate: true");
        (format!("{from}}}"), format!("{from}, mode: observe}}"))
    };
    let [imaging, infusion] = [21, 25].map(observe);
    check_guards(&[
        ("site.yaml", &imaging.0, &imaging.1),
        ("site.yaml", &infusion.0, &infusion.1),
        (
            "site.yaml",
            "unknown: admit}",
            "unknown: admit, mode: observe}",
        ),
    ])
}

/// A port that a device is bound to and another that is limited, and whatever else.
fn check_guards(changes: &[(&str, &str, &str)]) -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    let bound = format!(
        "criticality,port\nct-9,{BOUND},10.21.0.19,imaging,ct-scanner,imaging,high,access1\n"
    );
    let ours = [
        (
            "site.yaml",
            "access0: {device: eth1}",
            "access0: {device: eth1, storm: 100}\n  access1: {device: eth9}",
        ),
        ("site.yaml", "access0.210, ", "access0.210, access1.210, "),
        ("devices.csv", "high\n", "high,\n"),
        ("devices.csv", "medium\n", "medium,\n"),
        ("devices.csv", "life\n", "life,\n"),
        ("devices.csv", "criticality\n", &bound),
    ];
    let policy = variant(&lab, "guarded", &[changes, &ours].concat())?;
    gateway.must(&["apply", &policy])?;
    // The router is heard of behind the uplink.
    let guest = lab.host("guest")?;
    wait_until("the router is known", || {
        let neighbours = guest.ping("10.29.0.1".parse().expect("an address"), 1)?;
        let known = guest.exec(&["ip", "neigh", "show", "10.29.0.1"])?;
        Ok(neighbours > 0 || known.stdout.contains("lladdr"))
    })?;

    let wires = Wires::tap(&lab)?;
    let watcher = Watcher::start(gateway, &["--drops", "--output", "json"])?;
    for (number, case) in cases(&lab)?.iter().enumerate() {
        // So that they can be told from everything else on the wires. ARP is not padded further than it has to be.
        let is_arp = case
            .frames
            .iter()
            .all(|frame| frame[12..14] == ARP.to_be_bytes());
        let length = if is_arp { 44 } else { 100 } + number;
        let frames: Vec<Vec<u8>> = case
            .frames
            .iter()
            .map(|frame| padded(frame, length))
            .collect();
        // With its tag.
        let is_ours = |seen: &Seen| seen.length as usize == length + 4;
        check(gateway, &watcher, case, &frames)?;

        let entered = |wires: &Wires| wires.entered(is_ours);
        wait_until("the frames came to the gateway", || {
            Ok(entered(&wires)? >= frames.len())
        })?;
        let entered = entered(&wires)?;
        let left = wires.left(is_ours)?;
        let times = entered / frames.len();
        let may_leave = (case.frames.len() - case.stopped) * (times + 1);
        println!("{}: {entered} frames came, {left} left", case.guard);
        match case.stopped == case.frames.len() {
            true => assert_eq!(left, 0, "{}", case.guard),
            false => assert!(
                left <= may_leave && left < entered,
                "{}: {left} of {entered}",
                case.guard
            ),
        }
    }
    check_losses(&lab)
}

/// Sends frames until the gateway has counted them and told who sent them.
fn check(gateway: &Gateway, watcher: &Watcher, case: &Case, frames: &[Vec<u8>]) -> Result<()> {
    let series = format!("cordon_dropped_packets_total{{reason=\"{}\"}}", case.reason);
    let counted = || -> Result<f64> {
        let exposed = Exposition::read(&gateway.metrics()?);
        Ok(exposed
            .value(&series)
            .unwrap_or_else(|| panic!("there is no {series}")))
    };
    let before = counted()?;
    let start = Instant::now();
    let events = loop {
        case.from.send_frames(case.interface, frames)?;
        let sent = Instant::now();
        let events = loop {
            let events: Vec<Value> = watcher.lines().iter().map(|line| read(line)).collect();
            let told: Vec<Value> = events
                .into_iter()
                .filter(|event| is_told(event, case))
                .collect();
            if !told.is_empty() || sent.elapsed() > Duration::from_secs(2) {
                break told;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if !events.is_empty() {
            break events;
        }
        let heard = watcher.lines();
        let last = heard.iter().rev().take(5).collect::<Vec<_>>();
        assert!(
            start.elapsed() < PATIENCE,
            "{}: nobody is told of: {last:#?}",
            case.guard
        );
    };
    for event in &events {
        assert_eq!(event["kind"], "drop", "{}: {event}", case.guard);
        assert!(event["segment"].is_string(), "{}: {event}", case.guard);
    }
    let stopped = case.stopped as f64;
    wait_until(&format!("{} counts", case.guard), || {
        Ok(counted()? >= before + stopped)
    })
}

fn read(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Whether an event is of a case: its reason, its place, and who did it, by name where it has one.
fn is_told(event: &Value, case: &Case) -> bool {
    let who = match event["device"].as_str() {
        Some(device) => device,
        None => event["source_mac"].as_str().unwrap_or_default(),
    };
    event["reason"] == case.reason && event["ingress"] == case.ingress && who == case.who
}

const PUMP: &str = "02:00:5e:25:00:11";
const PUMP_IP: [u8; 4] = [10, 25, 0, 11];
/// Bound to a port where it is not.
const BOUND: &str = "02:00:5e:21:00:19";
const LAPTOP: &str = "02:66:00:00:00:66";
/// Where nobody is: a switch hands it to the gateway too.
const NOBODY: &str = "02:ff:00:00:00:99";
const ALL: &str = "ff:ff:ff:ff:ff:ff";

/// The table: guard, who sends what, the reason, who is named, where.
fn cases(lab: &Lab) -> Result<Vec<Case>> {
    let plug = |name: &str, mac: &str, vlan, address: &str| {
        lab.plug_in(Device {
            name: name.to_owned(),
            mac: mac_of(mac),
            vlan,
            addresses: vec![address.parse().expect("is an address")],
        })
    };
    let pump = lab.host("pump-1")?.node().clone();
    let guest = lab.host("guest")?.node().clone();
    let laptop = plug("laptop", LAPTOP, 225, "10.25.0.66/24")?.node().clone();
    let elsewhere = plug("ct-9", BOUND, 210, "10.21.0.19/24")?.node().clone();
    let router = lab.router().clone();
    let router_mac = mac_of_interface(&router, "vlan-299")?;

    let of_pump = |guard, frame, reason| Case {
        guard,
        from: pump.clone(),
        interface: "eth0",
        frames: vec![frame],
        reason,
        who: "pump-1".to_owned(),
        ingress: "access0.225",
        stopped: 1,
    };
    let udp_from = |mac: &str, ip: [u8; 4]| {
        let packet = ipv4(UDP, 64, ip, [10, 25, 0, 99], &udp(40_000, 9));
        ethernet(NOBODY, mac, IPV4, &packet)
    };
    let unasked_lease = ipv4(UDP, 64, PUMP_IP, [255; 4], &udp(67, 68));
    let query = ipv4(
        IGMP,
        1,
        PUMP_IP,
        [224, 0, 0, 1],
        &[0x11, 10, 0, 0, 0, 0, 0, 0],
    );
    let lookup = |last: u8| {
        ipv4(
            UDP,
            64,
            [10, 29, 0, last],
            [203, 0, 113, 10],
            &udp(40_000, 53),
        )
    };
    let crowd = |last: u8| {
        ethernet(
            NOBODY,
            &format!("02:66:00:00:01:{last:02x}"),
            IPV4,
            &lookup(last),
        )
    };
    Ok(vec![
        of_pump(
            "MAC-to-IP binding",
            udp_from(PUMP, [10, 25, 0, 12]),
            "address-binding",
        ),
        of_pump(
            "MAC-to-IP binding, of an address that is nobody's",
            udp_from(PUMP, [10, 25, 0, 77]),
            "address-binding",
        ),
        Case {
            from: elsewhere,
            who: "ct-9".to_owned(),
            ingress: "access0.210",
            ..of_pump(
                "MAC-to-port binding",
                ethernet(
                    NOBODY,
                    BOUND,
                    IPV4,
                    &ipv4(UDP, 64, [10, 21, 0, 19], [10, 21, 0, 99], &udp(40_000, 9)),
                ),
                "port-binding",
            )
        },
        Case {
            from: laptop,
            who: LAPTOP.to_owned(),
            ..of_pump(
                "nobody that is not listed",
                udp_from(LAPTOP, [10, 25, 0, 66]),
                "unknown-device",
            )
        },
        Case {
            from: router,
            interface: "vlan-225",
            ingress: "core0.225",
            ..of_pump(
                "a device's MAC behind the uplink",
                udp_from(PUMP, PUMP_IP),
                "device-on-uplink",
            )
        },
        of_pump(
            "ARP inspection: a sender that is not the frame's",
            ethernet(ALL, PUMP, ARP, &arp("02:00:5e:25:00:12", PUMP_IP)),
            "arp",
        ),
        of_pump(
            "ARP inspection: another's address",
            ethernet(ALL, PUMP, ARP, &arp(PUMP, [10, 25, 0, 12])),
            "address-binding",
        ),
        of_pump(
            "ND inspection: another's MAC address",
            ethernet(TO_ALL_NODES, PUMP, IPV6, &discovery(136, NOBODY)),
            "neighbour-discovery",
        ),
        of_pump(
            "RA guard",
            ethernet(TO_ALL_NODES, PUMP, IPV6, &discovery(134, PUMP)),
            "ra-guard",
        ),
        of_pump(
            "DHCP server guard",
            ethernet(ALL, PUMP, IPV4, &unasked_lease),
            "dhcp-guard",
        ),
        of_pump(
            "IGMP querier guard",
            ethernet("01:00:5e:00:00:01", PUMP, IPV4, &query),
            "membership",
        ),
        Case {
            from: guest.clone(),
            who: router_mac.clone(),
            ingress: "access0.299",
            ..of_pump(
                "a MAC of the wider network's on a device-facing port",
                ethernet(NOBODY, &router_mac, IPV4, &lookup(78)),
                "station-move",
            )
        },
        Case {
            from: guest,
            frames: (1..=200).map(crowd).collect(),
            who: "02:66:00:00:01:c8".to_owned(),
            ingress: "access0.299",
            // So many in a tick, of which two may see them.
            stopped: 200 - 2 * 64,
            ..of_pump("MAC flooding", Vec::new(), "station-limit")
        },
        Case {
            // One device's share of a hundred in a second.
            frames: vec![ethernet(ALL, PUMP, ARP, &arp(PUMP, PUMP_IP)); 1000],
            stopped: 1000 - 2 * 30,
            ..of_pump("storm control", Vec::new(), "storm")
        },
    ])
}

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const TO_ALL_NODES: &str = "33:33:00:00:00:01";

fn mac_of(text: &str) -> Mac {
    text.parse().expect("is a MAC address")
}

fn mac_of_interface(node: &Node, interface: &str) -> Result<String> {
    let shown = node.exec(&["ip", "-json", "link", "show", interface])?;
    let links = read(&shown.stdout);
    Ok(links[0]["address"].as_str().expect("has one").to_owned())
}

/// Bytes behind the packet: an Ethernet frame may have some.
fn padded(frame: &[u8], length: usize) -> Vec<u8> {
    let mut frame = frame.to_vec();
    assert!(
        frame.len() <= length,
        "{} bytes are more than {length}",
        frame.len()
    );
    frame.resize(length, 0);
    frame
}

fn ethernet(to: &str, from: &str, ether_type: u16, packet: &[u8]) -> Vec<u8> {
    [
        &mac_of(to).0[..],
        &mac_of(from).0,
        &ether_type.to_be_bytes(),
        packet,
    ]
    .concat()
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    // Without a checksum, and with nothing in it.
    [from, to, 8, 0].map(u16::to_be_bytes).concat()
}

fn ipv4(protocol: u8, ttl: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let [high, low] = length.to_be_bytes();
    let mut header = vec![0x45, 0, high, low, 0, 0, 0, 0, ttl, protocol, 0, 0];
    header.extend(from.iter().chain(&to));
    let words = header
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header.extend(payload);
    header
}

/// A gratuitous reply.
fn arp(mac: &str, ip: [u8; 4]) -> Vec<u8> {
    let mac = mac_of(mac).0;
    [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac, &ip, &mac, &ip].concat()
}

/// A router advertisement (134) or a neighbour advertisement (136), which says that a link-local address is at a MAC.
fn discovery(kind: u8, mac: &str) -> Vec<u8> {
    let link_local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11];
    let all_nodes = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut message = vec![kind, 0, 0, 0];
    match kind {
        // Hop limit, flags and lifetime of the router, two timers.
        134 => message.extend([64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]),
        // Flags, and the target.
        _ => message.extend([0x20, 0, 0, 0].into_iter().chain(link_local)),
    }
    let option = if kind == 134 { 1 } else { 2 };
    message.extend([option, 1].into_iter().chain(mac_of(mac).0));
    let [high, low] = (message.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, high, low, ICMPV6, 255];
    [&header[..], &link_local, &all_nodes, &message].concat()
}
