//! nmap, run by a guest and on a pump, finds exactly the ports that the policy allows, with every kind of scan. With a
//! plain bridge in place of the gateway it finds all of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::thread;

use cordon_integration::programs::allowed::allowed;
use cordon_integration::programs::listen::Listening;
use cordon_integration::programs::nmap::{Found, Kind, Scan, scan};
use cordon_integration::programs::{plan, policy, set};
use cordon_lab::{CapturedFrame, Direction, Host, Lab, Result, TCP, Wire};
use cordon_policy::Policy;

const TCP_LISTENING: [u16; 7] = [22, 53, 80, 104, 631, 3613, 9100];
/// The last two are closed; guests may reach one of them.
const TCP_PORTS: [u16; 9] = [22, 53, 80, 104, 631, 3613, 9100, 443, 9999];
const UDP_LISTENING: [u16; 3] = [53, 161, 514];
const UDP_PORTS: [u16; 4] = [53, 161, 514, 999];

/// What happens to the probes of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handling {
    /// The policy decides.
    Policy,
    /// The policy decides for an unlisted host; a listed device is bound to its MAC address.
    PolicyIfUnlisted,
    /// The gateway drops them because their headers are fragmented.
    Dropped,
    /// The hosts ignore them.
    Ignored,
}

const fn plain_scan(line: &'static str, kind: Kind) -> (Scan, Handling) {
    from(line, kind, None, Handling::Policy)
}

const fn from(
    line: &'static str,
    kind: Kind,
    source: Option<u16>,
    handling: Handling,
) -> (Scan, Handling) {
    (Scan { line, kind, source }, handling)
}

const SCANS: [(Scan, Handling); 25] = [
    plain_scan("-sS", Kind::Syn),
    plain_scan("-sT", Kind::Syn),
    plain_scan("-sF", Kind::NoAck),
    plain_scan("-sN", Kind::NoAck),
    plain_scan("-sX", Kind::NoAck),
    plain_scan("-sM", Kind::FinAck),
    plain_scan("-sA", Kind::Ack),
    plain_scan("-sW", Kind::Window),
    plain_scan("-sU", Kind::Udp),
    // With a source port that firewalls often allow.
    from("-sS -g 53", Kind::Syn, Some(53), Handling::Policy),
    from("-sF -g 53", Kind::NoAck, Some(53), Handling::Policy),
    from("-sA -g 53", Kind::Ack, Some(53), Handling::Policy),
    from("-sS -g 20", Kind::Syn, Some(20), Handling::Policy),
    from("-sS -g 104", Kind::Syn, Some(104), Handling::Policy),
    from("-sA -g 104", Kind::Ack, Some(104), Handling::Policy),
    from("-sU -g 53", Kind::Udp, Some(53), Handling::Policy),
    // Fragments, smaller than the TCP header or just larger.
    from("-sS -f", Kind::Syn, None, Handling::Dropped),
    from("-sS --mtu 16", Kind::Syn, None, Handling::Dropped),
    plain_scan("-sS --mtu 24 --data-length 64", Kind::Syn),
    from("-sA -f", Kind::Ack, None, Handling::Dropped),
    // Decoys, a spoofed MAC address, other contents.
    plain_scan("-sS -D 10.23.0.11,10.21.0.21,203.0.113.99", Kind::Syn),
    from(
        "-sS --spoof-mac 02:00:5e:99:00:01",
        Kind::Syn,
        None,
        Handling::PolicyIfUnlisted,
    ),
    plain_scan("-sS --data-length 25", Kind::Syn),
    plain_scan("-sS --ttl 33", Kind::Syn),
    from("-sS --badsum", Kind::Syn, None, Handling::Ignored),
];
const DECOYS: [&str; 3] = ["10.23.0.11", "10.21.0.21", "203.0.113.99"];

const SCANS6: [(Scan, Handling); 11] = [
    plain_scan("-6 -sS", Kind::Syn),
    plain_scan("-6 -sT", Kind::Syn),
    plain_scan("-6 -sF", Kind::NoAck),
    plain_scan("-6 -sN", Kind::NoAck),
    plain_scan("-6 -sX", Kind::NoAck),
    plain_scan("-6 -sA", Kind::Ack),
    plain_scan("-6 -sW", Kind::Window),
    plain_scan("-6 -sU", Kind::Udp),
    from("-6 -sS -g 53", Kind::Syn, Some(53), Handling::Policy),
    plain_scan("-6 -sS --data-length 25", Kind::Syn),
    from("-6 -sS --badsum", Kind::Syn, None, Handling::Ignored),
];

/// From the source port of a flow that the policy allows towards the scanning device. Probes that do not open a flow
/// pass as answers of that flow, and reach the target; SYNs do not.
const ANSWER_SCANS: [(Scan, Handling); 3] = [
    from("-sS -g 2575", Kind::Syn, Some(2575), Handling::Policy),
    from("-sF -g 2575", Kind::NoAck, Some(2575), Handling::Policy),
    from("-sA -g 2575", Kind::Ack, Some(2575), Handling::Policy),
];

/// A host that scans.
struct Intruder {
    name: &'static str,
    listed: bool,
    scans: [&'static [(Scan, Handling)]; 2],
    targets: &'static [&'static str],
}

const INTRUDERS: [Intruder; 3] = [
    Intruder {
        name: "guest",
        listed: false,
        scans: [&SCANS, &SCANS6],
        targets: &[
            "internet",
            "internet6",
            "printer-1",
            "records",
            "records6",
            "pump-server-1",
            "station-1",
            "dns",
        ],
    },
    Intruder {
        name: "pump-1",
        listed: true,
        scans: [&SCANS, &SCANS6],
        targets: &[
            "pump-server-1",
            "central-1",
            "printer-1",
            "records",
            "records6",
            "ct-1",
            "dns",
        ],
    },
    Intruder {
        name: "ct-1",
        listed: true,
        scans: [&ANSWER_SCANS, &[]],
        targets: &["interfaces", "records"],
    },
];
/// The number of concurrent scans.
const AT_ONCE: usize = 8;
/// How often a scan runs before a missed port fails the test: on a busy machine an answer may be too late for nmap.
const TRIES: usize = 3;

/// A scan and its expected results.
struct Task {
    from: Host,
    scan: Scan,
    ports: &'static [u16],
    hosts: Vec<IpAddr>,
    /// Through a bridge.
    bare: Found,
    /// Through the gateway.
    judged: Found,
}

#[test]
fn scans_find_exactly_what_the_policy_allows() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let known = cordon_policy::load(policy())?.policy;
    let mut listening = Vec::new();
    for host in lab.hosts() {
        // Closed UDP ports must always answer.
        set(&host, "ipv4/icmp_ratelimit", "0")?;
        set(&host, "ipv6/icmp/ratelimit", "0")?;
        listening.push(Listening::at(&host, &TCP_LISTENING, &UDP_LISTENING)?);
    }
    let tasks = tasks(&lab, &known)?;
    let has_open = |found: &Found| found.values().any(|state| state == "open");
    assert!(tasks.iter().any(|task| has_open(&task.judged)));

    let bridge = lab.bridge()?;
    all(&tasks, |task| &task.bare)?;
    drop(bridge);

    lab.gateway().start_with_policy()?;
    let (inside, outside) = (lab.tap(Wire::Access)?, lab.tap(Wire::Core)?);
    all(&tasks, |task| &task.judged)?;
    // No forbidden probe left the gateway, answered or not, and none with a spoofed source.
    let decoys = DECOYS.map(|ip| ip.parse::<IpAddr>().expect("an address"));
    let disguised =
        |seen: &&CapturedFrame| seen.ips.is_some_and(|(from, _)| decoys.contains(&from));
    let entered = inside.stop()?;
    let entered = entered
        .iter()
        .filter(|seen| seen.direction == Direction::Sent);
    assert!(entered.filter(disguised).count() > 0);
    let left = outside.stop()?;
    let left: Vec<&CapturedFrame> = left
        .iter()
        .filter(|seen| seen.direction == Direction::Received)
        .collect();
    if let Some(seen) = left.iter().find(|seen| disguised(seen)) {
        panic!("spoofed source: {seen:?}");
    }
    for intruder in &INTRUDERS {
        let host = lab.host(intruder.name)?;
        for seen in &left {
            if let Some((from, to)) = seen.ips
                && host.addresses().contains(&from)
                && seen.ports != (0, 0)
            {
                let (source, destination) = seen.ports;
                let is_allowed = allowed(&known, from, to, seen.protocol, destination)
                    || seen.protocol == TCP && allowed(&known, to, from, TCP, source);
                assert!(is_allowed, "{seen:?}");
            }
        }
    }
    Ok(())
}

fn tasks(lab: &Lab, known: &Policy) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for intruder in &INTRUDERS {
        let from = lab.host(intruder.name)?;
        for (scans, six) in intruder.scans.into_iter().zip([false, true]) {
            let mut hosts = Vec::new();
            for target in intruder.targets {
                hosts.extend(addresses(&lab.host(target)?, six));
            }
            for scan in scans {
                let own = addresses(&from, six)[0];
                tasks.push(Task::new(known, intruder, &from, own, *scan, &hosts));
            }
        }
    }
    Ok(tasks)
}

/// A host's addresses of one IP version.
fn addresses(host: &Host, six: bool) -> Vec<IpAddr> {
    let all = host.addresses().iter().copied();
    all.filter(|ip| ip.is_ipv6() == six).collect()
}

impl Task {
    fn new(
        known: &Policy,
        intruder: &Intruder,
        from: &Host,
        own: IpAddr,
        (scan, handling): (Scan, Handling),
        hosts: &[IpAddr],
    ) -> Task {
        let (ports, listening) = match scan.kind {
            Kind::Udp => (&UDP_PORTS[..], &UDP_LISTENING[..]),
            _ => (&TCP_PORTS[..], &TCP_LISTENING[..]),
        };
        let protocol = scan.kind.protocol();
        let is_allowed = |to: IpAddr, port: u16| {
            let is_request_allowed = |source| allowed(known, to, own, protocol, source);
            let answers = protocol == TCP
                && !scan.kind.opens()
                && scan.source.is_some_and(is_request_allowed);
            allowed(known, own, to, protocol, port) || answers
        };
        let reaches = |to: IpAddr, port: u16| match handling {
            Handling::Policy => is_allowed(to, port),
            Handling::PolicyIfUnlisted => !intruder.listed && is_allowed(to, port),
            Handling::Dropped | Handling::Ignored => false,
        };
        let mut task = Task {
            from: from.clone(),
            scan,
            ports,
            hosts: hosts.to_vec(),
            bare: Found::new(),
            judged: Found::new(),
        };
        for host in hosts {
            for port in ports {
                let state = |reached| {
                    scan.kind
                        .expected_state(reached, listening.contains(port))
                        .to_owned()
                };
                let target = (*host, *port);
                task.bare
                    .insert(target, state(handling != Handling::Ignored));
                task.judged.insert(target, state(reaches(*host, *port)));
            }
        }
        task
    }
}

/// Runs all scans, and compares their results.
fn all(tasks: &[Task], expected: impl Fn(&Task) -> &Found + Sync) -> Result<()> {
    // Scans of a host from the same source port run one after the other: they would receive each other's answers.
    let mut rows: BTreeMap<(&str, Option<u16>, usize), Vec<&Task>> = BTreeMap::new();
    for (number, task) in tasks.iter().enumerate() {
        let row_number = if task.scan.source.is_none() {
            number
        } else {
            0
        };
        rows.entry((task.from.name(), task.scan.source, row_number))
            .or_default()
            .push(task);
    }
    let rows = Mutex::new(rows.into_values());
    let work = || -> Result<()> {
        loop {
            let next = rows.lock().expect("no thread panicked").next();
            let Some(row) = next else { return Ok(()) };
            row.into_iter()
                .try_for_each(|task| compare(task, expected(task)))?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("the scan finds what it should"))
    })
}

fn compare(task: &Task, expected: &Found) -> Result<()> {
    let Task {
        from,
        scan: Scan { line, kind, .. },
        ports,
        hosts,
        ..
    } = task;
    let mut tries = 0;
    loop {
        let found = scan(from, line, ports, hosts)?;
        let wrong: Vec<_> = expected
            .iter()
            .map(|(target, state)| (target, state, found.get(target)))
            .filter(|(_, state, found)| *found != Some(state))
            .collect();
        if wrong.is_empty() && found.len() == expected.len() {
            return Ok(());
        }
        tries += 1;
        // Answers may be missing because they were late; additional ones are an error.
        let unanswered = kind.expected_state(false, false);
        let missed = wrong
            .iter()
            .all(|(.., state)| state.is_some_and(|state| state == unanswered));
        assert!(
            missed && tries < TRIES,
            "{} nmap {line}: (target, expected, found) {wrong:?}",
            from.name()
        );
    }
}
