//! One device floods, and nobody else notices: not a frame of the flows of others is dropped by the gateway, its tables
//! keep to their room, and neither the kernel nor the daemon keeps more memory for it. How fast all this is, under more
//! than a lab can carry, is for the bench.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aya::maps::MapData;
use cordon_integration::exposition::Exposition;
use cordon_integration::hospital::{self, Line, line};
use cordon_integration::steps::{PATIENCE, comes_after};
use cordon_integration::wires::Wires;
use cordon_kernel::Idle;
use cordon_lab::{Direction, Gateway, Host, Lab, Losses, Result, Running, Seen, TCP, now};
use cordon_verdict::abi::Limit;

/// What goes on meanwhile, and how many flows of it. None of it is of the device that floods.
const CLINICAL: [(&str, u32); 4] = [
    ("images", 10),
    ("vitals", 20),
    ("doses", 10),
    ("charts", 10),
];
/// The device that somebody else has taken over.
const COMPROMISED: &str = "pump-2";
/// Frames of a flood, at most one every 50 microseconds: what the lab's switch and taps carry without losing any.
const FRAMES: u64 = 40_000;
const EVERY: &str = "u50";
/// The daemon sweeps every second, and each time makes lists of what is in the tables.
const LISTS: u64 = 48 << 20;

/// A flood, by hping3.
struct Flood {
    name: &'static str,
    to: &'static str,
    arguments: &'static [&'static str],
    /// A reason that what comes of it is dropped for; none if policy lets it pass.
    dropped: Option<&'static str>,
}

const FLOODS: [Flood; 5] = [
    // Answered, by someone who did not ask for it: half-open all the same.
    Flood {
        name: "SYN",
        to: "pump-server-1",
        arguments: &["-S", "-p", "3613"],
        dropped: None,
    },
    // Answered: each is a flow both ends of which were heard.
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
fn a_device_that_floods_costs_nobody_else_a_frame() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let compromised = lab.host(COMPROMISED)?;
    let _answers = Answers::start(&lab.host("central-1")?, 514)?;
    let lines = CLINICAL.map(|(name, _)| line(&lab, name));
    let lines: Vec<Line> = lines.into_iter().collect::<Result<_>>()?;
    // Frames of the flood are counted, not kept.
    let flooded = Arc::new(AtomicU64::new(0));
    let wanted = {
        let (lines, mac, flooded) = (lines.clone(), compromised.mac(), Arc::clone(&flooded));
        move |seen: &Seen| {
            if seen.source == mac && seen.direction == Direction::Sent {
                flooded.fetch_add(1, Ordering::Relaxed);
            }
            lines.iter().any(|line| line.carries(seen))
        }
    };
    let wires = Wires::tap_only(&lab, wanted)?;
    let mut clinical = Vec::new();
    for (line, (_, count)) in lines.into_iter().zip(CLINICAL) {
        let flows = line.flows(count, Duration::from_millis(50)).start()?;
        clinical.push((line, flows));
    }
    for (_, flows) in &clinical {
        flows.established(PATIENCE)?;
    }

    let (kernel, before) = (tables(gateway), resident(gateway)?);
    for flood in FLOODS.iter().chain(&FLOODS[..2]) {
        let drops = drops(gateway, flood.dropped)?;
        let frames = flooded.load(Ordering::Relaxed);
        let_loose(&lab, &compromised, flood)?;
        let after = now();
        wires.entered(|_| false)?; // The taps have seen what there was.
        let frames = flooded.load(Ordering::Relaxed) - frames;
        assert!(frames > FRAMES / 10, "{}: {frames} frames", flood.name);
        let dropped = self::drops(gateway, flood.dropped)? - drops;
        if let Some(reason) = flood.dropped {
            assert!(
                dropped >= frames as f64 * 0.8,
                "{dropped} of {frames}: {reason}"
            );
        }
        for (line, flows) in &clinical {
            check_established(gateway, line, flows)?;
            comes_after(flows, after, line.talk.name)?;
        }
        let sizes = check_room(gateway)?;
        let memory = resident(gateway)?;
        println!(
            "{}: {frames} frames, {dropped} dropped for {:?}; {sizes}; the daemon has {} MiB",
            flood.name,
            flood.dropped,
            memory >> 20
        );
        // The same tables, however much came.
        assert_eq!(tables(gateway), kernel, "{}", flood.name);
    }
    let after = resident(gateway)?;
    assert!(
        after < before + LISTS,
        "the daemon grew from {before} to {after} bytes"
    );

    let mut reports = Vec::new();
    for (line, flows) in clinical {
        reports.push((line, flows.stop()?));
    }
    // The connections' own ends are still on their way.
    std::thread::sleep(Duration::from_millis(500));
    let lost = wires.stop()?.lost(|_| true);
    let losses = lab.losses()?;
    let by_wires = on_the_wires(&losses);
    println!(
        "{} clinical frames did not leave; the wires lost {by_wires}; {losses:?}",
        lost.len()
    );
    assert!(
        lost.len() as u64 <= by_wires,
        "{} were lost: {:?}",
        lost.len(),
        lost[0]
    );
    for (line, report) in &reports {
        println!("{}: {report}", line.talk.name);
        assert_eq!(
            report.troubled().next(),
            None,
            "{}: {report}",
            line.talk.name
        );
        if line.talk.protocol == TCP || losses.is_none() {
            let lost = (report.lost(), report.unanswered());
            assert_eq!(lost, (0, 0), "{}: {report}", line.talk.name);
        }
    }
    Ok(())
}

fn let_loose(lab: &Lab, compromised: &Host, flood: &Flood) -> Result<()> {
    let to = lab.host(flood.to)?.ip().to_string();
    let count = FRAMES.to_string();
    let command = [
        &["hping3", "-q", "-n", "-c", &count, "-i", EVERY],
        flood.arguments,
        &[&to],
    ]
    .concat();
    // It fails where nobody answers.
    compromised.node().exec_within(&command, PATIENCE).map(drop)
}

/// How many packets the gateway has dropped for a reason.
fn drops(gateway: &Gateway, reason: Option<&str>) -> Result<f64> {
    let Some(reason) = reason else {
        return Ok(0.0);
    };
    let series = format!("cordon_dropped_packets_total{{reason=\"{reason}\"}}");
    let read = Exposition::read(&gateway.metrics()?);
    Ok(read.value(&series).unwrap_or(0.0))
}

/// Frames that the lab lost between its taps and the gateway: the gateway never saw them, or let them go.
fn on_the_wires(losses: &Losses) -> u64 {
    let near = |name: &str| name.starts_with("gateway ") || name.starts_with("switch gw-");
    let interfaces = losses.interfaces.iter();
    interfaces
        .filter(|(name, _)| near(name))
        .map(|(_, frames)| frames)
        .sum()
}

/// Bytes of memory that the daemon has.
fn resident(gateway: &Gateway) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid()?));
    let status = status.expect("the daemon runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kibibytes.expect("the kernel says what it has") << 10)
}

/// Answers every datagram, until it is dropped.
struct Answers {
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Answers {
    fn start(host: &Host, port: u16) -> Result<Answers> {
        let socket = host
            .node()
            .run(|| UdpSocket::bind(host.at(port)).expect("binds"))?;
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("can be set");
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let answer = move || {
            let mut message = [0; 64];
            while !until.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut message) {
                    // What cannot be sent was not to be answered.
                    let _ = socket.send_to(&message[..length], from);
                }
            }
        };
        let thread = Some(std::thread::spawn(answer));
        Ok(Answers { over, thread })
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Bytes that the kernel has set aside for all of the gateway's tables.
fn tables(gateway: &Gateway) -> u64 {
    let pins = fs::read_dir(gateway.pins().join("cordon")).expect("there are pins");
    let maps = pins.filter_map(|pin| MapData::from_pin(pin.ok()?.path()).ok());
    let memory = maps.filter_map(|map| {
        let fd = map.fd().as_fd().as_raw_fd();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let line = |of: &str| info.lines().find_map(|line| line.strip_prefix(of));
        // Programs and links are pinned beside.
        line("map_type:")?;
        line("memlock:")?.trim().parse::<u64>().ok()
    });
    let sum = memory.sum();
    assert!(
        sum > 1 << 20,
        "the kernel says that all tables take {sum} bytes"
    );
    sum
}

/// How many flows it has room for that only one end of was heard.
fn half_open_room(gateway: &Gateway) -> u64 {
    let map = MapData::from_pin(gateway.pins().join("cordon/HALF4")).expect("is pinned");
    map.info().expect("can be asked").max_entries().into()
}

/// How many such flows there are.
fn flows(gateway: &Gateway, such: &[&str]) -> Result<u64> {
    let said = gateway.json(&[&["flows", "--limit", "1"], such].concat())?;
    Ok(said["matching"].as_u64().expect("a number"))
}

/// Every flow of a line is among those that both ends keep up.
fn check_established(gateway: &Gateway, line: &Line, running: &Running) -> Result<()> {
    let device = line.from.node().name();
    let ask = [
        "flows",
        "--device",
        device,
        "--state",
        "established",
        "--limit",
        "1000",
    ];
    let said = gateway.json(&ask)?;
    let listed = said["flows"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for flow in running.report()?.flows {
        let port = flow.local.expect("was established").port();
        let there = listed
            .iter()
            .any(|listed| listed["from"]["device"] == device && listed["from"]["port"] == port);
        assert!(there, "{flow:?} is not among {said}");
    }
    Ok(())
}

/// Nothing is fuller than it may be, and the device that floods has no more than its share.
fn check_room(gateway: &Gateway) -> Result<String> {
    let read = Exposition::read(&gateway.metrics()?);
    let room = read.value("cordon_flows_limit").expect("is exposed") as u64;
    let established = flows(gateway, &["--state", "established"])?;
    let half_open = flows(gateway, &["--state", "half-open"])?;
    // What it opens is in the segment of the other end as well; there the router opens it, who speaks for many.
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
        established <= room,
        "{established} flows have room for {room}"
    );
    let half_room = half_open_room(gateway);
    assert!(
        half_open <= half_room,
        "{half_open} flows have room for {half_room}"
    );
    // It is held at the next sweep, and opens on until then.
    let quota = u64::from(Idle::default().quota + 4 * Limit::DEVICE);
    assert!(own <= quota, "{own} flows are one device's");
    Ok(format!(
        "{established} established ({own} its own), {half_open} half-open"
    ))
}
