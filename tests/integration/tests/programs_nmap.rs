//! An intruder with nmap, in the guest VLAN and in a pump, finds what the policy lets them reach and nothing else, however
//! the question is put. With a plain bridge in the place of the gateway, they find everything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::thread;

use cordon_integration::programs::allowed::allowed;
use cordon_integration::programs::listen::Listening;
use cordon_integration::programs::nmap::{Found, Kind, Scan, scan};
use cordon_integration::programs::{plan, policy, set};
use cordon_lab::{Direction, Host, Lab, Result, Seen, TCP, Wire};
use cordon_policy::Policy;

const TCP_LISTENING: [u16; 7] = [22, 53, 80, 104, 631, 3613, 9100];
/// Of these nobody listens at the last two, one of which guests may reach.
const TCP_PORTS: [u16; 9] = [22, 53, 80, 104, 631, 3613, 9100, 443, 9999];
const UDP_LISTENING: [u16; 3] = [53, 161, 514];
const UDP_PORTS: [u16; 4] = [53, 161, 514, 999];

/// What such packets meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meets {
    /// Policy.
    Policy,
    /// Policy, if they come from somebody who is not listed; who is listed has a MAC address.
    PolicyIfUnlisted,
    /// A gateway that wants to see what it is to judge.
    Refusal,
    /// Hosts that do not take them.
    DeafEars,
}

const fn way(line: &'static str, kind: Kind) -> (Scan, Meets) {
    from(line, kind, None, Meets::Policy)
}

const fn from(line: &'static str, kind: Kind, source: Option<u16>, meets: Meets) -> (Scan, Meets) {
    (Scan { line, kind, source }, meets)
}

const WAYS: [(Scan, Meets); 25] = [
    way("-sS", Kind::Syn),
    way("-sT", Kind::Syn),
    way("-sF", Kind::Silent),
    way("-sN", Kind::Silent),
    way("-sX", Kind::Silent),
    way("-sM", Kind::Stray),
    way("-sA", Kind::Ack),
    way("-sW", Kind::Window),
    way("-sU", Kind::Udp),
    // With a port of somebody who is often let through.
    from("-sS -g 53", Kind::Syn, Some(53), Meets::Policy),
    from("-sF -g 53", Kind::Silent, Some(53), Meets::Policy),
    from("-sA -g 53", Kind::Ack, Some(53), Meets::Policy),
    from("-sS -g 20", Kind::Syn, Some(20), Meets::Policy),
    from("-sS -g 104", Kind::Syn, Some(104), Meets::Policy),
    from("-sA -g 104", Kind::Ack, Some(104), Meets::Policy),
    from("-sU -g 53", Kind::Udp, Some(53), Meets::Policy),
    // In pieces: smaller than TCP's header, and just not.
    from("-sS -f", Kind::Syn, None, Meets::Refusal),
    from("-sS --mtu 16", Kind::Syn, None, Meets::Refusal),
    way("-sS --mtu 24 --data-length 64", Kind::Syn),
    from("-sA -f", Kind::Ack, None, Meets::Refusal),
    // Behind others, as another, with something else in them.
    way("-sS -D 10.23.0.11,10.21.0.21,203.0.113.99", Kind::Syn),
    from(
        "-sS --spoof-mac 02:00:5e:99:00:01",
        Kind::Syn,
        None,
        Meets::PolicyIfUnlisted,
    ),
    way("-sS --data-length 25", Kind::Syn),
    way("-sS --ttl 33", Kind::Syn),
    from("-sS --badsum", Kind::Syn, None, Meets::DeafEars),
];
const DECOYS: [&str; 3] = ["10.23.0.11", "10.21.0.21", "203.0.113.99"];

const WAYS6: [(Scan, Meets); 11] = [
    way("-6 -sS", Kind::Syn),
    way("-6 -sT", Kind::Syn),
    way("-6 -sF", Kind::Silent),
    way("-6 -sN", Kind::Silent),
    way("-6 -sX", Kind::Silent),
    way("-6 -sA", Kind::Ack),
    way("-6 -sW", Kind::Window),
    way("-6 -sU", Kind::Udp),
    from("-6 -sS -g 53", Kind::Syn, Some(53), Meets::Policy),
    way("-6 -sS --data-length 25", Kind::Syn),
    from("-6 -sS --badsum", Kind::Syn, None, Meets::DeafEars),
];

/// From where somebody is let speak to the scanner, should it be asked. What opens nothing passes for an answer, and finds
/// out who is there; what would open a connection does not.
const WAYS_BACK: [(Scan, Meets); 3] = [
    from("-sS -g 2575", Kind::Syn, Some(2575), Meets::Policy),
    from("-sF -g 2575", Kind::Silent, Some(2575), Meets::Policy),
    from("-sA -g 2575", Kind::Ack, Some(2575), Meets::Policy),
];

/// Somebody who scans.
struct Intruder {
    name: &'static str,
    listed: bool,
    ways: [&'static [(Scan, Meets)]; 2],
    targets: &'static [&'static str],
}

const INTRUDERS: [Intruder; 3] = [
    Intruder {
        name: "guest",
        listed: false,
        ways: [&WAYS, &WAYS6],
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
        ways: [&WAYS, &WAYS6],
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
        ways: [&WAYS_BACK, &[]],
        targets: &["interfaces", "records"],
    },
];
/// Scans that run at the same time.
const AT_ONCE: usize = 8;
/// On a busy machine an answer may come too late for nmap. It is asked so often before something counts as missed.
const TRIES: usize = 3;

/// A scan by somebody, and what it should find.
struct Task {
    from: Host,
    scan: Scan,
    ports: &'static [u16],
    hosts: Vec<IpAddr>,
    /// With everybody let through, and with the gateway.
    bare: Found,
    judged: Found,
}

#[test]
fn intruders_find_what_policy_lets_them_reach() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let known = cordon_policy::load(policy())?.policy;
    let mut listening = Vec::new();
    for host in lab.hosts() {
        // Every port that is closed says so.
        set(&host, "ipv4/icmp_ratelimit", "0")?;
        set(&host, "ipv6/icmp/ratelimit", "0")?;
        listening.push(Listening::at(&host, &TCP_LISTENING, &UDP_LISTENING)?);
    }
    let tasks = tasks(&lab, &known)?;
    let something = |found: &Found| found.values().any(|state| state == "open");
    assert!(tasks.iter().any(|task| something(&task.judged)));

    let bridge = lab.bridge()?;
    all(&tasks, |task| &task.bare)?;
    drop(bridge);

    lab.gateway().start_with_policy()?;
    let (inside, outside) = (lab.tap(Wire::Access)?, lab.tap(Wire::Core)?);
    all(&tasks, |task| &task.judged)?;
    // Nothing went out that might not, answered or not, and nothing in the name of others.
    let decoys = DECOYS.map(|ip| ip.parse::<IpAddr>().expect("an address"));
    let disguised = |seen: &&Seen| seen.ips.is_some_and(|(from, _)| decoys.contains(&from));
    let entered = inside.stop()?;
    let entered = entered
        .iter()
        .filter(|seen| seen.direction == Direction::Sent);
    assert!(entered.filter(disguised).count() > 0);
    let left = outside.stop()?;
    let left: Vec<&Seen> = left
        .iter()
        .filter(|seen| seen.direction == Direction::Received)
        .collect();
    if let Some(seen) = left.iter().find(|seen| disguised(seen)) {
        panic!("in the name of another: {seen:?}");
    }
    for intruder in &INTRUDERS {
        let host = lab.host(intruder.name)?;
        for seen in &left {
            if let Some((from, to)) = seen.ips
                && host.addresses().contains(&from)
                && seen.ports != (0, 0)
            {
                let (source, destination) = seen.ports;
                let may = allowed(&known, from, to, seen.protocol, destination)
                    || seen.protocol == TCP && allowed(&known, to, from, TCP, source);
                assert!(may, "{seen:?}");
            }
        }
    }
    Ok(())
}

fn tasks(lab: &Lab, known: &Policy) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for intruder in &INTRUDERS {
        let from = lab.host(intruder.name)?;
        for (ways, six) in intruder.ways.into_iter().zip([false, true]) {
            let mut hosts = Vec::new();
            for target in intruder.targets {
                hosts.extend(addresses(&lab.host(target)?, six));
            }
            for way in ways {
                let own = addresses(&from, six)[0];
                tasks.push(Task::new(known, intruder, &from, own, *way, &hosts));
            }
        }
    }
    Ok(tasks)
}

/// Its addresses of one version of IP.
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
        (scan, meets): (Scan, Meets),
        hosts: &[IpAddr],
    ) -> Task {
        let (ports, listening) = match scan.kind {
            Kind::Udp => (&UDP_PORTS[..], &UDP_LISTENING[..]),
            _ => (&TCP_PORTS[..], &TCP_LISTENING[..]),
        };
        let protocol = scan.kind.protocol();
        let is_let = |to: IpAddr, port: u16| {
            let asked = |source| allowed(known, to, own, protocol, source);
            let answers = protocol == TCP && !scan.kind.opens() && scan.source.is_some_and(asked);
            allowed(known, own, to, protocol, port) || answers
        };
        let reaches = |to: IpAddr, port: u16| match meets {
            Meets::Policy => is_let(to, port),
            Meets::PolicyIfUnlisted => !intruder.listed && is_let(to, port),
            Meets::Refusal | Meets::DeafEars => false,
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
                        .tells(reached, listening.contains(port))
                        .to_owned()
                };
                let place = (*host, *port);
                task.bare.insert(place, state(meets != Meets::DeafEars));
                task.judged.insert(place, state(reaches(*host, *port)));
            }
        }
        task
    }
}

/// Runs all scans, and compares.
fn all(tasks: &[Task], expected: impl Fn(&Task) -> &Found + Sync) -> Result<()> {
    // Those that come from the same port would take each other's answers for their own.
    let mut rows: BTreeMap<(&str, Option<u16>, usize), Vec<&Task>> = BTreeMap::new();
    for (number, task) in tasks.iter().enumerate() {
        let alone = if task.scan.source.is_none() {
            number
        } else {
            0
        };
        rows.entry((task.from.name(), task.scan.source, alone))
            .or_default()
            .push(task);
    }
    let rows = Mutex::new(rows.into_values());
    let work = || -> Result<()> {
        loop {
            let next = rows.lock().expect("nobody panicked").next();
            let Some(row) = next else { return Ok(()) };
            row.into_iter()
                .try_for_each(|task| compare(task, expected(task)))?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("finds what it should"))
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
            .map(|(place, state)| (place, state, found.get(place)))
            .filter(|(_, state, found)| *found != Some(state))
            .collect();
        if wrong.is_empty() && found.len() == expected.len() {
            return Ok(());
        }
        tries += 1;
        // To find nothing may be for want of time; to find something is not.
        let nothing = kind.tells(false, false);
        let missed = wrong
            .iter()
            .all(|(.., state)| state.is_some_and(|state| state == nothing));
        assert!(
            missed && tries < TRIES,
            "{} nmap {line}: (place, expected, found) {wrong:?}",
            from.name()
        );
    }
}
