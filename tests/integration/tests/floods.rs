//! One device floods: the gateway drops no frame of other devices' flows, its tables stay within their limits, and
//! neither the kernel's nor the daemon's memory grows. The benches measure higher rates.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aya::maps::MapData;
use cordon_integration::exposition::Exposition;
use cordon_integration::hospital::{self, TestFlow, test_flow};
use cordon_integration::steps::{PATIENCE, delivers_after};
use cordon_integration::wires::Wires;
use cordon_kernel::SweepLimits;
use cordon_lab::{CapturedFrame, Direction, Gateway, Host, Lab, Losses, Result, Running, TCP, now};
use cordon_verdict::abi::Limit;

/// Flows during the floods, and how many of each. None of them is the flooding device's.
const CLINICAL: [(&str, u32); 4] = [
    ("images", 10),
    ("vitals", 20),
    ("doses", 10),
    ("charts", 10),
];
/// The device that floods.
const COMPROMISED: &str = "pump-2";
/// Frames of a flood, at most one every 50 microseconds: the lab's switch and taps carry that rate without loss.
const FRAMES: u64 = 40_000;
const EVERY: &str = "u50";
/// Allowance for the daemon's sweep, which lists the tables' entries every second.
const LISTS: u64 = 48 << 20;

/// A flood by hping3.
struct Flood {
    name: &'static str,
    to: &'static str,
    arguments: &'static [&'static str],
    /// The reason for which its frames are dropped; none if policy allows them.
    dropped: Option<&'static str>,
}

const FLOODS: [Flood; 5] = [
    // Answered, but the handshake is never completed: half-open flows.
    Flood {
        name: "SYN",
        to: "pump-server-1",
        arguments: &["-S", "-p", "3613"],
        dropped: None,
    },
    // Answered: established flows.
    Flood {
        name: "UDP",
        to: "central-1",
        arguments: &["--udp", "-p", "514", "-d", "8"],
        dropped: None,
    },
    Flood {
        name: "ICMP",
        to: "central-1",
        arguments: &["--icmp"],
        dropped: Some("no-rule"),
    },
    Flood {
        name: "fragments",
        to: "central-1",
        arguments: &["--udp", "-p", "514", "-d", "56", "--frag"],
        dropped: None,
    },
    Flood {
        name: "random sources",
        to: "pump-server-1",
        arguments: &["-S", "-p", "3613", "--rand-source"],
        dropped: Some("address-binding"),
    },
];

#[test]
fn a_flooding_device_costs_other_devices_no_frames() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let compromised = lab.host(COMPROMISED)?;
    let _echo = Echo::start(&lab.host("central-1")?, 514)?;
    let test_flows = CLINICAL.map(|(name, _)| test_flow(&lab, name));
    let test_flows: Vec<TestFlow> = test_flows.into_iter().collect::<Result<_>>()?;
    // Frames of the flood are counted but not kept.
    let flooded = Arc::new(AtomicU64::new(0));
    let wanted = {
        let (test_flows, mac, flooded) =
            (test_flows.clone(), compromised.mac(), Arc::clone(&flooded));
        move |seen: &CapturedFrame| {
            if seen.source == mac && seen.direction == Direction::Sent {
                flooded.fetch_add(1, Ordering::Relaxed);
            }
            test_flows.iter().any(|flow| flow.carries(seen))
        }
    };
    let wires = Wires::tap_only(&lab, wanted)?;
    let mut clinical = Vec::new();
    for (flow, (_, count)) in test_flows.into_iter().zip(CLINICAL) {
        let flows = flow.flows(count, Duration::from_millis(50)).start()?;
        clinical.push((flow, flows));
    }
    for (_, flows) in &clinical {
        flows.established(PATIENCE)?;
    }

    let (kernel, before) = (tables(gateway), resident(gateway)?);
    for flood in FLOODS.iter().chain(&FLOODS[..2]) {
        let drops = drops(gateway, flood.dropped)?;
        let frames = flooded.load(Ordering::Relaxed);
        run_flood(&lab, &compromised, flood)?;
        let after = now();
        wires.entered(|_| false)?; // Waits until the taps have seen all frames.
        let frames = flooded.load(Ordering::Relaxed) - frames;
        assert!(frames > FRAMES / 10, "{}: {frames} frames", flood.name);
        let dropped = self::drops(gateway, flood.dropped)? - drops;
        if let Some(reason) = flood.dropped {
            assert!(
                dropped >= frames as f64 * 0.8,
                "{dropped} of {frames}: {reason}"
            );
        }
        for (flow, flows) in &clinical {
            check_established(gateway, flow, flows)?;
            delivers_after(flows, after, flow.spec.name)?;
        }
        let sizes = check_limits(gateway)?;
        let memory = resident(gateway)?;
        println!(
            "{}: {frames} frames, {dropped} dropped for {:?}; {sizes}; the daemon uses {} MiB",
            flood.name,
            flood.dropped,
            memory >> 20
        );
        // The tables have a fixed size.
        assert_eq!(tables(gateway), kernel, "{}", flood.name);
    }
    let after = resident(gateway)?;
    assert!(
        after < before + LISTS,
        "the daemon grew from {before} to {after} bytes"
    );

    let mut reports = Vec::new();
    for (flow, flows) in clinical {
        reports.push((flow, flows.stop()?));
    }
    // The last segments of the connections are still in flight.
    std::thread::sleep(Duration::from_millis(500));
    let lost = wires.stop()?.lost(|_| true);
    let losses = lab.losses()?;
    let by_lab = lost_by_lab(&losses);
    println!(
        "{} clinical frames did not leave; the lab lost {by_lab}; {losses:?}",
        lost.len()
    );
    assert!(
        lost.len() as u64 <= by_lab,
        "{} were lost: {:?}",
        lost.len(),
        lost[0]
    );
    for (flow, report) in &reports {
        println!("{}: {report}", flow.spec.name);
        assert_eq!(report.failed().next(), None, "{}: {report}", flow.spec.name);
        if flow.spec.protocol == TCP || losses.is_none() {
            let lost = (report.lost(), report.unanswered());
            assert_eq!(lost, (0, 0), "{}: {report}", flow.spec.name);
        }
    }
    Ok(())
}

fn run_flood(lab: &Lab, compromised: &Host, flood: &Flood) -> Result<()> {
    let to = lab.host(flood.to)?.ip().to_string();
    let count = FRAMES.to_string();
    let command = [
        &["hping3", "-q", "-n", "-c", &count, "-i", EVERY],
        flood.arguments,
        &[&to],
    ]
    .concat();
    // hping3 fails if there are no answers.
    compromised.node().exec_within(&command, PATIENCE).map(drop)
}

/// The number of packets that the gateway has dropped for a reason.
fn drops(gateway: &Gateway, reason: Option<&str>) -> Result<f64> {
    let Some(reason) = reason else {
        return Ok(0.0);
    };
    let series = format!("cordon_dropped_packets_total{{reason=\"{reason}\"}}");
    let read = Exposition::read(&gateway.metrics()?);
    Ok(read.value(&series).unwrap_or(0.0))
}

/// Frames that the lab lost between its taps and the gateway: before the gateway received them, or after it sent them.
fn lost_by_lab(losses: &Losses) -> u64 {
    let near = |name: &str| name.starts_with("gateway ") || name.starts_with("switch gw-");
    let interfaces = losses.interfaces.iter();
    interfaces
        .filter(|(name, _)| near(name))
        .map(|(_, frames)| frames)
        .sum()
}

/// The daemon's resident memory, in bytes.
fn resident(gateway: &Gateway) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid()?));
    let status = status.expect("the daemon runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kibibytes.expect("the kernel reports the memory") << 10)
}

/// A UDP server that echoes every datagram until it is dropped.
struct Echo {
    stopped: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Echo {
    fn start(host: &Host, port: u16) -> Result<Echo> {
        let socket = host
            .node()
            .run(|| UdpSocket::bind(host.at(port)).expect("the port is free"))?;
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("the timeout is set");
        let stopped = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stopped);
        let answer = move || {
            let mut message = [0; 64];
            while !until.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut message) {
                    // A failed answer does not matter.
                    let _ = socket.send_to(&message[..length], from);
                }
            }
        };
        let thread = Some(std::thread::spawn(answer));
        Ok(Echo { stopped, thread })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The kernel memory of all tables of the gateway, in bytes.
fn tables(gateway: &Gateway) -> u64 {
    let pins = fs::read_dir(gateway.pins().join("cordon")).expect("there are pins");
    let maps = pins.filter_map(|pin| MapData::from_pin(pin.ok()?.path()).ok());
    let memory = maps.filter_map(|map| {
        let fd = map.fd().as_fd().as_raw_fd();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let line = |of: &str| info.lines().find_map(|line| line.strip_prefix(of));
        // Other pins are programs and links.
        line("map_type:")?;
        line("memlock:")?.trim().parse::<u64>().ok()
    });
    let sum = memory.sum();
    assert!(
        sum > 1 << 20,
        "the kernel reports only {sum} bytes for all tables"
    );
    sum
}

/// The capacity for half-open flows.
fn half_open_limit(gateway: &Gateway) -> u64 {
    let map = MapData::from_pin(gateway.pins().join("cordon/HALF4")).expect("the map is pinned");
    map.info().expect("the map has info").max_entries().into()
}

/// The number of flows that match these arguments of `cordon flows`.
fn flows(gateway: &Gateway, filter: &[&str]) -> Result<u64> {
    let answer = gateway.json(&[&["flows", "--limit", "1"], filter].concat())?;
    Ok(answer["matching"].as_u64().expect("a number"))
}

/// Checks that the gateway lists every running flow as established.
fn check_established(gateway: &Gateway, flow: &TestFlow, running: &Running) -> Result<()> {
    let device = flow.from.node().name();
    let command = [
        "flows",
        "--device",
        device,
        "--state",
        "established",
        "--limit",
        "1000",
    ];
    let answer = gateway.json(&command)?;
    let listed = answer["flows"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for flow in running.report()?.flows {
        let port = flow.local.expect("the flow was established").port();
        let is_listed = listed
            .iter()
            .any(|listed| listed["from"]["device"] == device && listed["from"]["port"] == port);
        assert!(is_listed, "{flow:?} is not in {answer}");
    }
    Ok(())
}

/// Checks that the tables stay within their limits, and the flooding device within its quota.
fn check_limits(gateway: &Gateway) -> Result<String> {
    let read = Exposition::read(&gateway.metrics()?);
    let limit = read.value("cordon_flows_limit").expect("the metric exists") as u64;
    let established = flows(gateway, &["--state", "established"])?;
    let half_open = flows(gateway, &["--state", "half-open"])?;
    // Its flows are in the receiver's segment as well, where the router is their sender: only the device's own segment
    // counts.
    let own = [
        "--state",
        "established",
        "--device",
        COMPROMISED,
        "--segment",
        "infusion",
    ];
    let own = flows(gateway, &own)?;
    assert!(
        established <= limit,
        "{established} established flows, limit {limit}"
    );
    let half_open_limit = half_open_limit(gateway);
    assert!(
        half_open <= half_open_limit,
        "{half_open} half-open flows, limit {half_open_limit}"
    );
    // The device can open flows until the next sweep throttles it.
    let quota = u64::from(SweepLimits::default().quota + 4 * Limit::DEVICE);
    assert!(own <= quota, "{own} flows of one device, quota {quota}");
    Ok(format!(
        "{established} established ({own} its own), {half_open} half-open"
    ))
}
