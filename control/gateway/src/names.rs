//! A policy that is in force, with what it takes to speak of it in its own words.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cordon_compile::{Compiled, rule_index};
use cordon_policy::{Date, Device, OuterTag, Policy, Problem};
use cordon_portable::{Generation, Portable};
use cordon_protocol::Endpoint;
use cordon_verdict::abi::{
    self, LOCKDOWN, RULE_ETHER_TYPE, RULE_FIRST, SEVER, member, place_inner, place_outer,
    place_port, service_index,
};
use cordon_verdict::{Ip, Mac};

/// A compiled policy.
pub struct Named {
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
    /// By number of the rule, the postures at which it lets something through, as bits.
    open_at: Vec<u8>,
    /// A gateway in memory with this policy and nothing else.
    portable: Mutex<Portable>,
    by_ip: HashMap<IpAddr, usize>,
    by_member: HashMap<u64, usize>,
}

impl Named {
    /// Takes in what the compiler made of a policy.
    pub fn new(policy: Arc<Policy>, hash: String, day: Date, compiled: Compiled) -> Named {
        let mut by_ip = HashMap::new();
        let mut by_member = HashMap::new();
        for (index, device) in policy.devices.iter().enumerate() {
            by_ip.extend(device.ips.iter().map(|ip| (*ip, index)));
            let key = member(device.segment as u16, number_of_mac(device.mac.0));
            by_member.insert(key, index);
        }
        let open_at = open_at(&compiled.generation, compiled.rules);
        let mut portable = Portable::default();
        portable.install(compiled.generation, 0);
        Named {
            policy,
            hash,
            day,
            rules: compiled.rules,
            classes: compiled.classes,
            warnings: Vec::new(),
            compile_seconds: 0.0,
            open_at,
            portable: Mutex::new(portable),
            by_ip,
            by_member,
        }
    }

    /// Gives `work` the gateway in memory, for itself alone. It puts it back as it was, but for flows, stations,
    /// counters and events.
    pub fn portable<T>(&self, work: impl FnOnce(&mut Portable) -> T) -> T {
        work(&mut self.portable.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives `work` the tables.
    pub fn generation<T>(&self, work: impl FnOnce(&Generation) -> T) -> T {
        self.portable(|portable| {
            let slot = usize::from(portable.memory.control.slot);
            work(&portable.memory.slots[slot])
        })
    }

    /// Whether a rule lets anything through at a posture.
    pub fn is_open_at(&self, rule: usize, posture: u8) -> bool {
        let open = self.open_at.get(rule).copied().unwrap_or(0);
        open >> posture & 1 != 0
    }

    /// Whether a rule's packets pass, rather than being dropped by it.
    pub fn allows(&self, rule: usize) -> bool {
        match rule_index(rule as u32).and_then(|index| self.policy.rules.get(index)) {
            Some(rule) => rule.allow,
            None => true,
        }
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
        let index = *self.by_ip.get(&ip)?;
        Some((index, &self.policy.devices[index]))
    }

    /// The device with this MAC address in a segment.
    pub fn device_by_mac(&self, segment: u16, mac: Mac) -> Option<&Device> {
        let index = self.by_member.get(&member(segment, mac))?;
        self.policy.devices.get(*index)
    }

    /// A segment's name.
    pub fn segment(&self, number: u16) -> Option<&str> {
        let segment = self.policy.segments.get(usize::from(number));
        segment.map(|segment| segment.name.as_str())
    }

    /// The attachment at a place as it would be written, whether it is there or not; the port's number if that is not.
    pub fn at(&self, place: u32) -> String {
        let port = usize::from(place_port(place));
        match self.policy.ports.get(port) {
            Some(_) => self.policy.attachment_name(cordon_policy::Attachment {
                port,
                vlan: place_outer(place),
                inner: place_inner(place),
            }),
            None => numbers(place),
        }
    }

    /// The type of the outer of two VLAN tags at the port of a place.
    pub fn outer_type(&self, place: u32) -> u16 {
        let port = self.policy.ports.get(usize::from(place_port(place)));
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

/// By number of the rule, the postures at which it lets something through, as bits.
fn open_at(generation: &Generation, rules: usize) -> Vec<u8> {
    let mut open = vec![0; rules.max(RULE_FIRST as usize)];
    // What is built in: at every posture but sever; but what nobody reads is not on the continuity list.
    for (number, open) in (0..RULE_FIRST).zip(&mut open) {
        *open = match abi::built_in(number) {
            None => 0,
            Some(_) if number == RULE_ETHER_TYPE => (1 << LOCKDOWN) - 1,
            Some(_) => (1 << SEVER) - 1,
        };
    }
    for row in generation.policy.values() {
        for (posture, ruling) in row.rulings.iter().enumerate() {
            if ruling.allows()
                && let Some(open) = open.get_mut(ruling.rule() as usize)
            {
                *open |= 1 << posture;
            }
        }
    }
    open
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

    /// Changes the policy in a slot.
    pub fn set(&self, slot: u8, named: Option<Arc<Named>>) {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        slots[usize::from(slot & 1)] = named;
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
    let port = place_port(place);
    match (place_outer(place), place_inner(place)) {
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
