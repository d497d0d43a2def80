//! Every guard drops the frames that violate it, counts them under its own reason, and reports the sender; also in
//! observed segments.

use std::time::{Duration, Instant};

use cordon_integration::exposition::Exposition;
use cordon_integration::hospital;
use cordon_integration::steps::{PATIENCE, check_losses, variant, wait_until};
use cordon_integration::watcher::Watcher;
use cordon_integration::wires::Wires;
use cordon_lab::{CapturedFrame, Device, Gateway, Lab, Node, Result};
use cordon_policy::Mac;
use serde_json::Value;

/// A guard, and frames that violate it.
struct Case {
    guard: &'static str,
    /// The sender, and its interface.
    from: Node,
    interface: &'static str,
    frames: Vec<Vec<u8>>,
    reason: &'static str,
    /// The reported sender: the name of a device, or the MAC address of an unlisted host or its first bytes.
    sender: String,
    /// The reported ingress attachment.
    ingress: &'static str,
    /// How many of the frames must be dropped at least. All of them, unless the guard is a rate limit.
    dropped: usize,
}

#[test]
fn every_guard_drops_counts_and_reports() -> Result<()> {
    check_guards(&[])
}

/// Observe mode applies to rules, not to guards.
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

/// Runs all cases under the hospital's policy with a port binding, a storm limit, and further changes.
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
    // The router must have been learned at the uplink.
    let guest = lab.host("guest")?;
    wait_until("the guest has resolved the router", || {
        let neighbours = guest.ping("10.29.0.1".parse().expect("an address"), 1)?;
        let known = guest.exec(&["ip", "neigh", "show", "10.29.0.1"])?;
        Ok(neighbours > 0 || known.stdout.contains("lladdr"))
    })?;

    let wires = Wires::tap(&lab)?;
    let watcher = Watcher::start(gateway, &["--drops", "--output", "json"])?;
    for (number, case) in cases(&lab)?.iter().enumerate() {
        // A length for each case, to recognise its frames on the wires. ARP and neighbour discovery have limits for padding.
        let all_are = |ether_type: u16| {
            let mut frames = case.frames.iter();
            frames.all(|frame| frame[12..14] == ether_type.to_be_bytes())
        };
        let length = match () {
            () if all_are(ARP) => 44,
            () if all_are(IPV6) => 88,
            () => 100,
        } + number;
        let frames: Vec<Vec<u8>> = case
            .frames
            .iter()
            .map(|frame| padded(frame, length))
            .collect();
        // The length includes the tag.
        let is_ours = |seen: &CapturedFrame| seen.length as usize == length + 4;
        check(gateway, &watcher, case, &frames)?;

        let entered = |wires: &Wires| wires.entered(is_ours);
        wait_until("the frames have entered the gateway", || {
            Ok(entered(&wires)? >= frames.len())
        })?;
        let entered = entered(&wires)?;
        let left = wires.left(is_ours)?;
        let times = entered / frames.len();
        let may_leave = (case.frames.len() - case.dropped) * (times + 1);
        println!("{}: {entered} frames entered, {left} left", case.guard);
        match case.dropped == case.frames.len() {
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

/// Sends frames until the gateway has emitted an event about them, and waits until it has counted them.
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
            let matching: Vec<Value> = events
                .into_iter()
                .filter(|event| is_of_case(event, case))
                .collect();
            if !matching.is_empty() || sent.elapsed() > Duration::from_secs(2) {
                break matching;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if !events.is_empty() {
            break events;
        }
        let lines = watcher.lines();
        let last = lines.iter().rev().take(5).collect::<Vec<_>>();
        assert!(
            start.elapsed() < PATIENCE,
            "{}: no event, last events: {last:#?}",
            case.guard
        );
    };
    for event in &events {
        assert_eq!(event["kind"], "drop", "{}: {event}", case.guard);
        assert!(event["segment"].is_string(), "{}: {event}", case.guard);
    }
    let dropped = case.dropped as f64;
    wait_until(&format!("{} has counted the drops", case.guard), || {
        Ok(counted()? >= before + dropped)
    })
}

fn read(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Whether an event reports a case: reason, ingress and sender.
fn is_of_case(event: &Value, case: &Case) -> bool {
    let sender = match event["device"].as_str() {
        Some(device) => device,
        None => event["source_mac"].as_str().unwrap_or_default(),
    };
    event["reason"] == case.reason
        && event["ingress"] == case.ingress
        && sender.starts_with(&case.sender)
}

const PUMP: &str = "02:00:5e:25:00:11";
const PUMP_IP: [u8; 4] = [10, 25, 0, 11];
/// A device at a port to which it is not bound.
const BOUND: &str = "02:00:5e:21:00:19";
const LAPTOP: &str = "02:66:00:00:00:66";
/// A MAC address without a host: the switch floods frames to it, so that they reach the gateway.
const NO_HOST: &str = "02:ff:00:00:00:99";
const ALL: &str = "ff:ff:ff:ff:ff:ff";

/// All cases.
fn cases(lab: &Lab) -> Result<Vec<Case>> {
    let plug = |name: &str, mac: &str, vlan, address: &str| {
        lab.plug_in(Device {
            name: name.to_owned(),
            mac: mac_of(mac),
            vlan,
            addresses: vec![address.parse().expect("the address is valid")],
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
        sender: "pump-1".to_owned(),
        ingress: "access0.225",
        dropped: 1,
    };
    let udp_from = |mac: &str, ip: [u8; 4]| {
        let packet = ipv4(UDP, 64, ip, [10, 25, 0, 99], &udp(40_000, 9));
        ethernet(NO_HOST, mac, IPV4, &packet)
    };
    let offer = ipv4(UDP, 64, PUMP_IP, [255; 4], &udp(67, 68));
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
    let unlisted = |last: u8| {
        ethernet(
            NO_HOST,
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
            "MAC-to-IP binding, of an unbound address",
            udp_from(PUMP, [10, 25, 0, 77]),
            "address-binding",
        ),
        Case {
            from: elsewhere,
            sender: "ct-9".to_owned(),
            ingress: "access0.210",
            ..of_pump(
                "MAC-to-port binding",
                ethernet(
                    NO_HOST,
                    BOUND,
                    IPV4,
                    &ipv4(UDP, 64, [10, 21, 0, 19], [10, 21, 0, 99], &udp(40_000, 9)),
                ),
                "port-binding",
            )
        },
        Case {
            from: laptop,
            sender: LAPTOP.to_owned(),
            ..of_pump(
                "unlisted host",
                udp_from(LAPTOP, [10, 25, 0, 66]),
                "unknown-device",
            )
        },
        Case {
            from: router,
            interface: "vlan-225",
            ingress: "core0.225",
            ..of_pump(
                "a device's MAC address at the uplink",
                udp_from(PUMP, PUMP_IP),
                "device-on-uplink",
            )
        },
        of_pump(
            "ARP inspection: another sender than the frame's",
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
            ethernet(TO_ALL_NODES, PUMP, IPV6, &discovery(136, NO_HOST)),
            "neighbour-discovery",
        ),
        of_pump(
            "RA guard",
            ethernet(TO_ALL_NODES, PUMP, IPV6, &discovery(134, PUMP)),
            "ra-guard",
        ),
        of_pump(
            "DHCP server guard",
            ethernet(ALL, PUMP, IPV4, &offer),
            "dhcp-guard",
        ),
        of_pump(
            "IGMP querier guard",
            ethernet("01:00:5e:00:00:01", PUMP, IPV4, &query),
            "membership",
        ),
        Case {
            from: guest.clone(),
            sender: router_mac.clone(),
            ingress: "access0.299",
            ..of_pump(
                "the router's MAC address at a device-facing port",
                ethernet(NO_HOST, &router_mac, IPV4, &lookup(78)),
                "station-move",
            )
        },
        Case {
            from: guest,
            frames: (1..=200).map(unlisted).collect(),
            // Of any of them: which ones are over the limit depends on where a tick ends.
            sender: "02:66:00:00:01:".to_owned(),
            ingress: "access0.299",
            // The limit is 64 a tick, and the frames may span two ticks.
            dropped: 200 - 2 * 64,
            ..of_pump("MAC flooding", Vec::new(), "station-limit")
        },
        Case {
            // One device's share of a hundred a second.
            frames: vec![ethernet(ALL, PUMP, ARP, &arp(PUMP, PUMP_IP)); 1000],
            dropped: 1000 - 2 * 30,
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
    text.parse().expect("the MAC address is valid")
}

fn mac_of_interface(node: &Node, interface: &str) -> Result<String> {
    let shown = node.exec(&["ip", "-json", "link", "show", interface])?;
    let links = read(&shown.stdout);
    Ok(links[0]["address"]
        .as_str()
        .expect("the link has an address")
        .to_owned())
}

/// The frame with padding after its packet.
fn padded(frame: &[u8], length: usize) -> Vec<u8> {
    let mut frame = frame.to_vec();
    assert!(
        frame.len() <= length,
        "the frame of {} bytes exceeds {length}",
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
    // Without checksum and payload.
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

/// A gratuitous ARP reply.
fn arp(mac: &str, ip: [u8; 4]) -> Vec<u8> {
    let mac = mac_of(mac).0;
    [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac, &ip, &mac, &ip].concat()
}

/// A router advertisement (134) or a neighbour advertisement (136) from a link-local address, with a link-layer address
/// option.
fn discovery(kind: u8, mac: &str) -> Vec<u8> {
    let link_local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11];
    let all_nodes = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut message = vec![kind, 0, 0, 0];
    match kind {
        // Hop limit, flags, router lifetime, two timers.
        134 => message.extend([64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]),
        // Flags and target.
        _ => message.extend([0x20, 0, 0, 0].into_iter().chain(link_local)),
    }
    let option = if kind == 134 { 1 } else { 2 };
    message.extend([option, 1].into_iter().chain(mac_of(mac).0));
    let [high, low] = (message.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, high, low, ICMPV6, 255];
    [&header[..], &link_local, &all_nodes, &message].concat()
}
