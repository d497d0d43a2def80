//! ICMP errors of routers on the path pass the gateway: time exceeded and packet too big.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use cordon_integration::programs::{forget_neighbours, must, plan, set};
use cordon_integration::steps::PATIENCE;
use cordon_lab::{CapturedFrame, Direction, Host, Lab, Result, Wire};

/// Arguments of `traceroute` for a kind of probe.
type Probe = &'static [&'static str];
/// Source, destination, kind of probe, and the expected hops: the router and the destination.
type Trace = (&'static str, &'static str, Probe, [&'static str; 2]);

const UDP: Probe = &[];
const ICMP: Probe = &["-I"];
const HTTPS: Probe = &["-T", "-p", "443"];
const DNS: Probe = &["-U", "-p", "53"];

const TRACES: &[Trace] = &[
    ("station-1", "records", UDP, ["10.23.0.1", "10.200.6.10"]),
    ("station-1", "records", ICMP, ["10.23.0.1", "10.200.6.10"]),
    ("station-1", "records", HTTPS, ["10.23.0.1", "10.200.6.10"]),
    ("station-1", "dns", DNS, ["10.23.0.1", "10.200.0.53"]),
    (
        "station-1",
        "records6",
        UDP,
        ["fd00:23::1", "fd00:200:6::10"],
    ),
    (
        "station-1",
        "records6",
        ICMP,
        ["fd00:23::1", "fd00:200:6::10"],
    ),
    (
        "station-1",
        "records6",
        HTTPS,
        ["fd00:23::1", "fd00:200:6::10"],
    ),
    // Through the gateway twice.
    ("us-1", "station-2", UDP, ["10.21.0.1", "10.23.0.12"]),
    ("us-1", "station-2", ICMP, ["10.21.0.1", "10.23.0.12"]),
    // No rule allows these.
    ("guest", "records", UDP, NO_ANSWERS),
    ("guest", "records6", ICMP, NO_ANSWERS),
    ("pump-1", "records", ICMP, NO_ANSWERS),
    ("pump-1", "records6", UDP, NO_ANSWERS),
    ("station-1", "dns", UDP, NO_ANSWERS),
];
const NO_ANSWERS: [&str; 2] = ["*", "*"];

/// The only ICMPv6 type that stays limited: one for private experiments, which nobody sends.
const UNUSED_TYPE: &str = "100";

/// The MTU of a link on the far side of the router; the devices' MTU is 1500.
const NARROW: u32 = 1400;
const HTTPS_PORT: u16 = 443;
const LARGE: usize = 3_000_000;

#[test]
fn traceroute_sees_the_router() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    // By default, routers and hosts limit their ICMP errors, to each destination and in total. The total is a burst of
    // 50, minus a random number for each error; the traces ask for 42 at once.
    let hosts = lab.hosts();
    for node in hosts.iter().map(|host| host.node()).chain([lab.router()]) {
        set(node, "ipv4/icmp_ratemask", "0")?;
        set(node, "ipv6/icmp/ratemask", UNUSED_TYPE)?;
    }

    // With a bridge, every trace sees all hops.
    let bridge = lab.bridge()?;
    for (trace, hops) in all(&lab)? {
        assert!(!hops.contains(&"*".to_owned()), "{trace:?}: {hops:?}");
        if trace.3 != NO_ANSWERS {
            assert_eq!(hops, trace.3, "{trace:?}");
        }
    }
    drop(bridge);
    lab.gateway().start_with_policy()?;
    forget_neighbours(&lab)?;
    for (trace, hops) in all(&lab)? {
        assert_eq!(hops, trace.3, "{trace:?}");
    }
    Ok(())
}

/// The hops of every trace. They run at the same time, because a trace without answers takes seconds.
fn all(lab: &Lab) -> Result<Vec<(&'static Trace, Vec<String>)>> {
    let trace = |(from, to, probe, _): &Trace| hops(&lab.host(from)?, &lab.host(to)?, probe);
    thread::scope(|scope| {
        let running: Vec<_> = TRACES
            .iter()
            .map(|one| (one, scope.spawn(|| trace(one))))
            .collect();
        let ended = running
            .into_iter()
            .map(|(one, thread)| Ok((one, thread.join().expect("the trace ends")?)));
        ended.collect()
    })
}

/// The address that answers at each hop.
fn hops(from: &Host, to: &Host, probe: Probe) -> Result<Vec<String>> {
    let address = to.ip().to_string();
    let line = ["traceroute", "-n", "-m", "2", &address];
    let output = must(from, &[&line[..1], probe, &line[1..]].concat())?;
    // The first line is a header; the others are numbered.
    let hop = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let answered = words.find(|word| *word != "*");
        answered.unwrap_or("*").to_owned()
    };
    Ok(output.lines().skip(1).map(hop).collect())
}

#[test]
fn a_sender_learns_the_path_mtu() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    lab.gateway().start_with_policy()?;
    let station = lab.host("station-1")?;
    for server in ["records", "records6"] {
        let server = lab.host(server)?;
        let narrow = NARROW.to_string();
        must(
            lab.router(),
            &["ip", "link", "set", server.name(), "mtu", &narrow],
        )?;
        assert_eq!(path_mtu(&station, &server)?, None);
        let wire = lab.tap(Wire::Core)?;
        upload(&station, &server)?;
        assert_eq!(path_mtu(&station, &server)?, Some(NARROW));

        // The sender tried larger packets, which the gateway forwarded, and the ICMP error came back.
        let seen = wire.stop()?;
        let ours = |seen: &&CapturedFrame| {
            seen.direction == Direction::Received && seen.is_tcp_to(HTTPS_PORT)
        };
        let sizes = || seen.iter().filter(ours).map(|seen| seen.length - 18);
        assert!(sizes().any(|size| size == 1500), "{:?}", sizes().max());
        let is_error = |seen: &CapturedFrame| {
            let icmp = matches!(seen.protocol, 1 | 58);
            icmp && seen.direction == Direction::Sent
                && seen
                    .ips
                    .is_some_and(|(_, to)| station.addresses().contains(&to))
        };
        assert!(seen.iter().any(is_error));
    }
    Ok(())
}

#[test]
fn large_packets_pass_in_fragments() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    lab.gateway().start_with_policy()?;
    let station = lab.host("station-1")?;
    for server in ["records", "records6"] {
        let address = lab.host(server)?.ip().to_string();
        let wire = lab.tap(Wire::Core)?;
        must(
            &station,
            &["ping", "-c", "5", "-i", "0.2", "-s", "8000", &address],
        )?;
        let seen = wire.stop()?;
        for direction in [Direction::Received, Direction::Sent] {
            let fragments =
                |seen: &&CapturedFrame| seen.direction == direction && seen.length > 1400;
            assert_eq!(seen.iter().filter(fragments).count(), 5 * 5, "{server}");
        }
    }
    Ok(())
}

/// Sends [`LARGE`] bytes, and checks that they arrive.
fn upload(from: &Host, to: &Host) -> Result<()> {
    let at = to.at(HTTPS_PORT);
    let listener = to.run(|| TcpListener::bind(at))?.expect("the port is free");
    let mut client = from
        .run(|| TcpStream::connect_timeout(&at, PATIENCE))?
        .expect("policy allows it");
    let (mut server, _) = listener.accept().expect("the client is connected");
    server
        .set_read_timeout(Some(PATIENCE))
        .expect("the timeout is set");
    let sent: Vec<u8> = (0..LARGE).map(|number| (number % 251) as u8).collect();
    let mut received = vec![0; LARGE];
    thread::scope(|scope| {
        scope.spawn(|| client.write_all(&sent).expect("all bytes are sent"));
        server.read_exact(&mut received).expect("all bytes arrive");
    });
    assert!(received == sent);
    Ok(())
}

/// The path MTU in the sender's route cache, if there is one.
fn path_mtu(from: &Host, to: &Host) -> Result<Option<u32>> {
    let output = must(from, &["ip", "route", "get", &to.ip().to_string()])?;
    let mut words = output.split_whitespace();
    words.find(|word| *word == "mtu");
    Ok(words.next().map(|size| size.parse().expect("a number")))
}
