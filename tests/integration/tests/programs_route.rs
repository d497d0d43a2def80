//! What routers on the way say, through the gateway: that a packet lived too long, or is too large.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use cordon_integration::programs::{forget_neighbours, must, plan, set};
use cordon_integration::steps::PATIENCE;
use cordon_lab::{Direction, Host, Lab, Result, Seen, Wire};

/// A way to trace, as arguments of `traceroute`.
type Way = &'static [&'static str];
/// Who traces whom, how, and who answers: the router, and then the other end.
type Trace = (&'static str, &'static str, Way, [&'static str; 2]);

const UDP: Way = &[];
const ICMP: Way = &["-I"];
const HTTPS: Way = &["-T", "-p", "443"];
const DNS: Way = &["-U", "-p", "53"];

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
    // No rule lets these.
    ("guest", "records", UDP, NOBODY),
    ("guest", "records6", ICMP, NOBODY),
    ("pump-1", "records", ICMP, NOBODY),
    ("pump-1", "records6", UDP, NOBODY),
    ("station-1", "dns", UDP, NOBODY),
];
const NOBODY: [&str; 2] = ["*", "*"];

/// Bytes of a packet that a link behind the router takes; devices believe that all take 1500.
const NARROW: u32 = 1400;
const HTTPS_PORT: u16 = 443;
const LARGE: usize = 3_000_000;

#[test]
fn traceroute_sees_the_router() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    // Else routers and hosts answer only so many.
    let hosts = lab.hosts();
    for node in hosts.iter().map(|host| host.node()).chain([lab.router()]) {
        set(node, "ipv4/icmp_ratelimit", "0")?;
        set(node, "ipv6/icmp/ratelimit", "0")?;
    }

    // Nothing but the gateway keeps anybody from seeing anything.
    let bridge = lab.bridge()?;
    for (trace, hops) in all(&lab)? {
        assert!(!hops.contains(&"*".to_owned()), "{trace:?}: {hops:?}");
        if trace.3 != NOBODY {
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

/// What every trace finds. All at the same time: one that nobody answers takes seconds.
fn all(lab: &Lab) -> Result<Vec<(&'static Trace, Vec<String>)>> {
    let trace = |(from, to, way, _): &Trace| hops(&lab.host(from)?, &lab.host(to)?, way);
    thread::scope(|scope| {
        let running: Vec<_> = TRACES
            .iter()
            .map(|one| (one, scope.spawn(|| trace(one))))
            .collect();
        let ended = running
            .into_iter()
            .map(|(one, thread)| Ok((one, thread.join().expect("ends")?)));
        ended.collect()
    })
}

/// Who answers, hop by hop.
fn hops(from: &Host, to: &Host, way: Way) -> Result<Vec<String>> {
    let address = to.ip().to_string();
    let line = ["traceroute", "-n", "-m", "2", &address];
    let said = must(from, &[&line[..1], way, &line[1..]].concat())?;
    // The first line says what is traced; the others are numbered.
    let hop = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let answered = words.find(|word| *word != "*");
        answered.unwrap_or("*").to_owned()
    };
    Ok(said.lines().skip(1).map(hop).collect())
}

#[test]
fn a_sender_learns_what_the_narrowest_link_takes() -> Result<()> {
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

        // It did try larger packets, and the gateway let them out; what told it so came in.
        let seen = wire.stop()?;
        let ours =
            |seen: &&Seen| seen.direction == Direction::Received && seen.is_tcp_to(HTTPS_PORT);
        let sizes = || seen.iter().filter(ours).map(|seen| seen.length - 18);
        assert!(sizes().any(|size| size == 1500), "{:?}", sizes().max());
        let told = |seen: &Seen| {
            let icmp = matches!(seen.protocol, 1 | 58);
            icmp && seen.direction == Direction::Sent
                && seen
                    .ips
                    .is_some_and(|(_, to)| station.addresses().contains(&to))
        };
        assert!(seen.iter().any(told));
    }
    Ok(())
}

#[test]
fn what_is_too_large_goes_in_pieces() -> Result<()> {
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
            let pieces = |seen: &&Seen| seen.direction == direction && seen.length > 1400;
            assert_eq!(seen.iter().filter(pieces).count(), 5 * 5, "{server}");
        }
    }
    Ok(())
}

/// Sends much, all of which has to arrive.
fn upload(from: &Host, to: &Host) -> Result<()> {
    let at = to.at(HTTPS_PORT);
    let listener = to.run(|| TcpListener::bind(at))?.expect("the port is free");
    let mut client = from
        .run(|| TcpStream::connect_timeout(&at, PATIENCE))?
        .expect("policy allows it");
    let (mut server, _) = listener.accept().expect("is connected");
    server.set_read_timeout(Some(PATIENCE)).expect("can be set");
    let sent: Vec<u8> = (0..LARGE).map(|number| (number % 251) as u8).collect();
    let mut received = vec![0; LARGE];
    thread::scope(|scope| {
        scope.spawn(|| client.write_all(&sent).expect("sends"));
        server.read_exact(&mut received).expect("all arrives");
    });
    assert!(received == sent);
    Ok(())
}

/// What the sender's kernel believes of the way there, if not what its own interface takes.
fn path_mtu(from: &Host, to: &Host) -> Result<Option<u32>> {
    let said = must(from, &["ip", "route", "get", &to.ip().to_string()])?;
    let mut words = said.split_whitespace();
    words.find(|word| *word == "mtu");
    Ok(words.next().map(|size| size.parse().expect("a number")))
}
