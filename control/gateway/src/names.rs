//! A policy that is in force, with what it takes to speak of it in its own words.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use cordon_compile::{Basis, Compiled, Decided, rule_index};
use cordon_policy::{Date, Device, OuterTag, Policy, Problem};
use cordon_portable::{Change, Generation, Portable};
use cordon_protocol::Endpoint;
use cordon_verdict::abi::{
    self, RULE_FIRST, fdb_key, location_inner, location_outer, location_port, service_index,
};
use cordon_verdict::{Ip, Mac};

/// A compiled policy.
pub struct Named {
    /// Tells one from another, whatever they say.
    pub serial: u64,
    /// Where its tables come from, if they are another's but for a little: that one's serial, and what differs.
    pub after: Option<(u64, Arc<Change>)>,
    /// The policy.
    pub policy: Arc<Policy>,
    /// SHA-256 of its sources.
    pub hash: String,
    /// The day that it was compiled for.
    pub day: Date,
    /// Rules, built-in ones included.
    pub rules: usize,
    /// Classes.
    pub classes: usize,
    /// What is worth a look in it.
    pub warnings: Vec<Problem>,
    /// Seconds that it took to compile.
    pub compile_seconds: f64,
    /// The longest time that a rule lets flows be silent; none: zero.
    pub longest_silence: Duration,
    decided: Decided,
    /// A gateway in memory with this policy and nothing else.
    portable: Mutex<Portable>,
    /// The same tables, which cost nothing twice, for whoever need not wait for the gateway.
    tables: Generation,
    /// By number of a device in the tables, its index in the policy.
    indices: Vec<u32>,
    /// What the next policy goes on from, until it has.
    basis: Mutex<Option<Basis>>,
}

impl Named {
    /// Takes in what the compiler made of a policy.
    pub fn new(policy: Arc<Policy>, hash: String, day: Date, compiled: Compiled) -> Named {
        let decided = Decided::new(&compiled.generation, compiled.rules);
        let Compiled {
            generation,
            rules,
            classes,
            basis,
        } = compiled;
        let mut portable = Portable::default();
        portable.install(generation.clone(), 0);
        Named {
            serial: next_serial(),
            after: None,
            longest_silence: longest_silence(&policy),
            policy,
            hash,
            day,
            rules,
            classes,
            warnings: Vec::new(),
            compile_seconds: 0.0,
            decided,
            portable: Mutex::new(portable),
            tables: generation,
            indices: indices(&basis),
            basis: Mutex::new(Some(basis)),
        }
    }

    /// The same with a few devices that are others than before; none if it has to be compiled whole.
    pub fn update(&self, policy: &Arc<Policy>, hash: &str, day: Date) -> Option<Named> {
        // What an update was tried with that came to nothing is of no use to another.
        let mut basis = self.take_basis()?;
        let updated = cordon_compile::update(&mut basis, &self.tables, &self.policy, policy, day)?;
        let mut decided = self.decided.clone();
        let added = updated.change.rows.iter();
        decided.note(added.map(|(_, row)| row));
        let mut portable = Portable::default();
        portable.install(updated.generation.clone(), 0);
        Some(Named {
            serial: next_serial(),
            after: Some((self.serial, Arc::new(updated.change))),
            longest_silence: longest_silence(policy),
            policy: Arc::clone(policy),
            hash: hash.to_owned(),
            day,
            rules: self.rules,
            classes: updated.classes,
            warnings: Vec::new(),
            compile_seconds: 0.0,
            decided,
            portable: Mutex::new(portable),
            tables: updated.generation,
            indices: indices(&basis),
            basis: Mutex::new(Some(basis)),
        })
    }

    /// What another policy would go on from: it is large, and of no use once another is in force.
    pub fn take_basis(&self) -> Option<Basis> {
        let mut basis = self.basis.lock().unwrap_or_else(PoisonError::into_inner);
        basis.take()
    }

    /// Gives `work` the gateway in memory, for itself alone. It puts it back as it was, but for flows, stations,
    /// counters and events.
    pub fn portable<T>(&self, work: impl FnOnce(&mut Portable) -> T) -> T {
        work(&mut self.portable.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives `work` the tables.
    pub fn generation<T>(&self, work: impl FnOnce(&Generation) -> T) -> T {
        work(&self.tables)
    }

    /// Whether a rule lets anything through at a posture.
    pub fn is_open_at(&self, rule: usize, posture: u8) -> bool {
        self.decided.is_open_at(rule, posture)
    }

    /// What is worth a look in its rules.
    pub fn unused_rules(&self) -> Vec<Problem> {
        self.decided.warnings(&self.policy, self.day)
    }

    /// Whether a rule's packets pass, rather than being dropped by it.
    pub fn allows(&self, rule: usize) -> bool {
        match rule_index(rule as u32).and_then(|index| self.policy.rules.get(index)) {
            Some(rule) => rule.allow,
            None => true,
        }
    }

    /// For how long a rule lets a flow to a port be silent, if it says so.
    pub fn silence(&self, rule: u32, protocol: u8, port: u16) -> Option<Duration> {
        cordon_compile::idle_of_rule(&self.policy)(rule, protocol, port)
    }

    /// A rule's name; none for 0.
    pub fn rule(&self, number: u32) -> Option<&str> {
        match number {
            0..RULE_FIRST => abi::built_in(number).map(|(name, _)| name),
            number => {
                let rule = rule_index(number).and_then(|index| self.policy.rules.get(index));
                rule.map(|rule| rule.name.as_str())
            }
        }
    }

    /// Where a rule is written; none for what is built in.
    pub fn place(&self, number: u32) -> Option<String> {
        let rule = rule_index(number).and_then(|index| self.policy.rules.get(index));
        rule.map(|rule| rule.place.to_string())
    }

    /// The device that an address is bound to.
    pub fn device_by_ip(&self, ip: IpAddr) -> Option<(usize, &Device)> {
        self.device(self.tables.addresses.get(&ip_of(ip))?.device)
    }

    /// The index of the device with a number, and the device.
    fn device(&self, number: u32) -> Option<(usize, &Device)> {
        let index = *self.indices.get(number as usize)? as usize;
        self.policy.devices.get(index).map(|device| (index, device))
    }

    /// The device with this MAC address in a segment.
    pub fn device_by_mac(&self, segment: u16, mac: Mac) -> Option<&Device> {
        let found = self.tables.devices.get(&fdb_key(segment, mac))?;
        self.device(found.id()).map(|(_, device)| device)
    }

    /// The segment with a number.
    pub fn segment_of(&self, number: u16) -> Option<&cordon_policy::Segment> {
        let mut segments = self.policy.segments.iter();
        segments.find(|segment| segment.number == number)
    }

    /// A segment's name.
    pub fn segment(&self, number: u16) -> Option<&str> {
        self.segment_of(number).map(|segment| segment.name.as_str())
    }

    /// The attachment at a place as it would be written, whether it is there or not; the port's number if that is not.
    pub fn at(&self, place: u32) -> String {
        let port = usize::from(location_port(place));
        match self.policy.ports.get(port) {
            Some(_) => self.policy.attachment_name(cordon_policy::Attachment {
                port,
                vlan: location_outer(place),
                inner: location_inner(place),
            }),
            None => numbers(place),
        }
    }

    /// The type of the outer of two VLAN tags at the port of a place.
    pub fn outer_type(&self, place: u32) -> u16 {
        let port = self.policy.ports.get(usize::from(location_port(place)));
        match port.map(|port| port.outer_tag) {
            Some(OuterTag::Dot1q) => 0x8100,
            Some(OuterTag::Dot1ad) | None => 0x88a8,
        }
    }

    /// One end of a flow or packet.
    pub fn endpoint(&self, ip: Ip, port: u16, protocol: u8) -> Endpoint {
        let device = self.device_by_ip(ip_address(ip));
        Endpoint {
            device: device.map(|(_, device)| device.name.clone()),
            ..nameless(ip, port, protocol)
        }
    }

    /// `mac`, or the next that is no listed device's in any segment.
    pub fn free_mac(&self, mac: [u8; 6]) -> [u8; 6] {
        let taken = |mac: &[u8; 6]| {
            self.policy
                .devices
                .iter()
                .any(|device| device.mac.0 == *mac)
        };
        let [a, b, c, d, e, first] = mac;
        let mut candidates = (first..=u8::MAX).map(|last| [a, b, c, d, e, last]);
        candidates.find(|mac| !taken(mac)).unwrap_or(mac)
    }

    /// A port that no rule names, for what rules with `service: any` say.
    pub fn unnamed_port(&self, protocol: u8) -> Option<u16> {
        self.generation(|generation| {
            let unnamed =
                |port: &u16| generation.services[service_index(protocol, *port) as usize] == 0;
            (1..=u16::MAX).find(unnamed)
        })
    }
}

fn longest_silence(policy: &Policy) -> Duration {
    let said = policy.rules.iter().flat_map(|rule| &rule.idle);
    said.map(|(_, idle)| *idle).max().unwrap_or_default()
}

fn next_serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// By number of a device, its index.
fn indices(basis: &Basis) -> Vec<u32> {
    let numbers = basis.numbers();
    let length = numbers.iter().max().map_or(0, |most| *most as usize + 1);
    let mut indices = vec![u32::MAX; length];
    for (index, number) in (0..).zip(numbers) {
        indices[*number as usize] = index;
    }
    indices
}

/// The policies that events and flows may speak of, by slot. Behind a lock of its own, so that whoever puts names
/// to things does not wait for the engine.
#[derive(Clone, Default)]
pub struct Slots(Arc<RwLock<[Option<Arc<Named>>; 2]>>);

impl Slots {
    /// The policy in a slot.
    pub fn get(&self, slot: u8) -> Option<Arc<Named>> {
        let slots = self.0.read().unwrap_or_else(PoisonError::into_inner);
        slots[usize::from(slot & 1)].clone()
    }

    /// Changes the policy in a slot; answers the one before.
    pub fn set(&self, slot: u8, named: Option<Arc<Named>>) -> Option<Arc<Named>> {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut slots[usize::from(slot & 1)], named)
    }
}

/// One end of a flow or packet, of which no policy knows.
pub fn nameless(ip: Ip, port: u16, protocol: u8) -> Endpoint {
    Endpoint {
        device: None,
        ip: ip_address(ip).to_string(),
        port: if is_icmp(protocol) { 0 } else { port },
    }
}

/// A place of which no policy knows the port.
pub fn numbers(place: u32) -> String {
    let port = location_port(place);
    match (location_outer(place), location_inner(place)) {
        (vlan, 0) => format!("port-{port}.{vlan}"),
        (outer, inner) => format!("port-{port}.{outer}.{inner}"),
    }
}

/// The name of an IP protocol.
pub fn protocol(number: u8) -> String {
    match number {
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        1 => "icmp".to_owned(),
        58 => "icmpv6".to_owned(),
        other => format!("ip-{other}"),
    }
}

fn is_icmp(protocol: u8) -> bool {
    protocol == 1 || protocol == 58
}

/// An address as the standard library has it.
pub fn ip_address(ip: Ip) -> IpAddr {
    if ip.is_v4() {
        IpAddr::from(ip.low32().to_be_bytes())
    } else {
        let value = u128::from(ip.hi) << 64 | u128::from(ip.lo);
        IpAddr::from(value.to_be_bytes())
    }
}

/// An address as the tables have it.
fn ip_of(address: IpAddr) -> Ip {
    match address {
        IpAddr::V4(address) => Ip::v4(address.into()),
        IpAddr::V6(address) => {
            let value = address.to_bits();
            Ip {
                hi: (value >> 64) as u64,
                lo: value as u64,
            }
        }
    }
}

/// A MAC address as a number.
pub fn number_of_mac(mac: [u8; 6]) -> Mac {
    mac.iter()
        .fold(0, |number, byte| number << 8 | Mac::from(*byte))
}

/// A MAC address as it is written.
pub fn mac_text(mac: Mac) -> String {
    let [_, _, bytes @ ..] = mac.to_be_bytes();
    cordon_policy::Mac(bytes).to_string()
}
