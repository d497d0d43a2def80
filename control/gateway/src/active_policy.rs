//! A compiled policy, with the names of what its tables number.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use cordon_compile::{Basis, Compiled, RuleEffects, rule_index};
use cordon_policy::{Date, Device, Mode, Origin, OuterTag, Policy, Problem, Segment};
use cordon_portable::Portable;
use cordon_protocol::Endpoint;
use cordon_tables::{Change, Generation};
use cordon_verdict::abi::{
    self, RULE_FIRST, Station, fdb_key, location_inner, location_outer, location_port,
    service_index,
};
use cordon_verdict::{Ip, Mac};

use crate::convert::{ip_address, location_text, mac_from_bytes, table_ip, unnamed_endpoint};
use crate::sync::lock;

/// A compiled policy.
pub struct ActivePolicy {
    /// Unique per compilation.
    pub serial: u64,
    /// If it was compiled as a change to another policy: the serial number of that one, and the change.
    pub after: Option<(u64, Arc<Change>)>,
    /// The policy.
    pub policy: Arc<Policy>,
    /// SHA-256 of its sources.
    pub hash: String,
    /// The date that it was compiled for.
    pub day: Date,
    /// Number of rules, including built-in ones.
    pub rules: usize,
    /// Number of classes.
    pub classes: usize,
    /// Warnings of the validation and the compilation.
    pub warnings: Vec<Problem>,
    /// Seconds that validation and compilation took.
    pub compile_seconds: f64,
    /// The longest idle timeout that a rule sets; zero if none does.
    pub longest_idle_timeout: Duration,
    decided: RuleEffects,
    /// A gateway in memory with this policy.
    portable: Mutex<Portable>,
    /// The same tables (shared, not copied), for use without locking the gateway in memory.
    tables: Generation,
    /// Index of each device in the policy, by its number in the tables.
    indices: Vec<u32>,
    /// The compiler's state that the next policy is compiled from, until it has been.
    basis: Mutex<Option<Basis>>,
}

impl ActivePolicy {
    /// Wraps the output of the compiler.
    pub fn new(policy: Arc<Policy>, hash: String, day: Date, compiled: Compiled) -> ActivePolicy {
        let decided = RuleEffects::new(&compiled.generation, compiled.rules);
        let Compiled {
            generation,
            rules,
            classes,
            basis,
        } = compiled;
        let mut portable = Portable::default();
        portable.install(generation.clone(), 0);
        ActivePolicy {
            serial: next_serial(),
            after: None,
            longest_idle_timeout: longest_idle_timeout(&policy),
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

    /// Compiles a policy that differs in a few devices; none if it has to be compiled whole.
    pub fn update(&self, policy: &Arc<Policy>, hash: &str, day: Date) -> Option<ActivePolicy> {
        // A failed update leaves the basis unusable.
        let mut basis = self.take_basis()?;
        let updated = cordon_compile::update(&mut basis, &self.tables, &self.policy, policy, day)?;
        let mut decided = self.decided.clone();
        let added = updated.change.rows.iter();
        decided.add_rows(added.map(|(_, row)| row));
        let mut portable = Portable::default();
        portable.install(updated.generation.clone(), 0);
        Some(ActivePolicy {
            serial: next_serial(),
            after: Some((self.serial, Arc::new(updated.change))),
            longest_idle_timeout: longest_idle_timeout(policy),
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

    /// Takes the basis of the next compilation. It is large, and of no use once another policy is in force.
    pub fn take_basis(&self) -> Option<Basis> {
        let mut basis = lock(&self.basis);
        basis.take()
    }

    /// Calls `work` with exclusive access to the gateway in memory. `work` must restore everything but flows, FDB
    /// entries, counters and events.
    pub fn portable<T>(&self, work: impl FnOnce(&mut Portable) -> T) -> T {
        work(&mut lock(&self.portable))
    }

    /// Calls `work` with the tables.
    pub fn generation<T>(&self, work: impl FnOnce(&Generation) -> T) -> T {
        work(&self.tables)
    }

    /// Whether a rule lets any packet pass at a posture.
    pub fn is_open_at(&self, rule: usize, posture: u8) -> bool {
        self.decided.is_open_at(rule, posture)
    }

    /// Whether a rule is of use at a posture. A rule for infrastructure is not if its servers are outside and only the
    /// clients' broadcasts still pass, inside.
    pub fn is_useful_at(&self, rule: usize, posture: u8) -> bool {
        let index = rule_index(rule as u32).and_then(|index| self.policy.rules.get(index));
        match index.map(|rule| rule.origin) {
            Some(Origin::Infrastructure) => self.decided.is_direct_at(rule, posture),
            _ => self.is_open_at(rule, posture),
        }
    }

    /// Warnings about rules without effect.
    pub fn unused_rules(&self) -> Vec<Problem> {
        self.decided.warnings(&self.policy, self.day)
    }

    /// Whether a rule allows; built-in rules do.
    pub fn allows(&self, rule: usize) -> bool {
        match rule_index(rule as u32).and_then(|index| self.policy.rules.get(index)) {
            Some(rule) => rule.allow,
            None => true,
        }
    }

    /// The idle timeout that a rule sets for flows to a port; none: the default.
    pub fn idle_timeout(&self, rule: u32, protocol: u8, port: u16) -> Option<Duration> {
        cordon_compile::idle_timeout_of(&self.policy)(rule, protocol, port)
    }

    /// The name of a rule; none for 0.
    pub fn rule(&self, number: u32) -> Option<&str> {
        match number {
            0..RULE_FIRST => abi::built_in(number).map(|(name, _)| name),
            number => {
                let rule = rule_index(number).and_then(|index| self.policy.rules.get(index));
                rule.map(|rule| rule.name.as_str())
            }
        }
    }

    /// Where a rule is written, as `file:line`; none for built-in rules.
    pub fn rule_position(&self, number: u32) -> Option<String> {
        let rule = rule_index(number).and_then(|index| self.policy.rules.get(index));
        rule.map(|rule| rule.position.to_string())
    }

    /// The device that an address is bound to.
    pub fn device_by_ip(&self, ip: IpAddr) -> Option<(usize, &Device)> {
        self.device(self.tables.addresses.get(&table_ip(ip))?.device)
    }

    /// A device by its number in the tables, with its index in the policy.
    fn device(&self, number: u32) -> Option<(usize, &Device)> {
        let index = *self.indices.get(number as usize)? as usize;
        self.policy.devices.get(index).map(|device| (index, device))
    }

    /// The device with this MAC address in a segment.
    pub fn device_by_mac(&self, segment: u16, mac: Mac) -> Option<&Device> {
        let found = self.tables.devices.get(&fdb_key(segment, mac))?;
        self.device(found.id()).map(|(_, device)| device)
    }

    /// The FDB entry of a device in its segment, of the `entries` by FDB key.
    pub fn station(&self, entries: &HashMap<u64, Station>, device: &Device) -> Option<Station> {
        let segment = self.policy.segments[device.segment].number;
        let key = fdb_key(segment, mac_from_bytes(device.mac.0));
        entries.get(&key).copied()
    }

    /// The segments in mode `observe`.
    pub fn observed_segments(&self) -> impl Iterator<Item = &Segment> {
        let segments = self.policy.segments.iter();
        segments.filter(|segment| segment.mode == Mode::Observe)
    }

    /// Whether a rule is one that an observed segment has in place of a drop.
    pub fn is_observe_rule(&self, number: u32) -> bool {
        let rule = rule_index(number).and_then(|index| self.policy.rules.get(index));
        rule.is_some_and(|rule| rule.origin == Origin::Observe)
    }

    /// A segment by its number.
    pub fn segment_by_number(&self, number: u16) -> Option<&Segment> {
        let mut segments = self.policy.segments.iter();
        segments.find(|segment| segment.number == number)
    }

    /// The name of a segment.
    pub fn segment(&self, number: u16) -> Option<&str> {
        self.segment_by_number(number)
            .map(|segment| segment.name.as_str())
    }

    /// The attachment at an L2 location in the notation of the policy, whether the policy has it or not; by port number
    /// if the policy does not have the port.
    pub fn attachment_name(&self, location: u32) -> String {
        let port = usize::from(location_port(location));
        match self.policy.ports.get(port) {
            Some(_) => self.policy.attachment_name(cordon_policy::Attachment {
                port,
                vlan: location_outer(location),
                inner: location_inner(location),
            }),
            None => location_text(location),
        }
    }

    /// The TPID of the outer of two VLAN tags at a location's port.
    pub fn outer_type(&self, location: u32) -> u16 {
        let port = self.policy.ports.get(usize::from(location_port(location)));
        match port.map(|port| port.outer_tag) {
            Some(OuterTag::Dot1q) => 0x8100,
            Some(OuterTag::Dot1ad) | None => 0x88a8,
        }
    }

    /// An endpoint of a flow or packet.
    pub fn endpoint(&self, ip: Ip, port: u16, protocol: u8) -> Endpoint {
        let device = self.device_by_ip(ip_address(ip));
        Endpoint {
            device: device.map(|(_, device)| device.name.clone()),
            ..unnamed_endpoint(ip, port, protocol)
        }
    }

    /// `mac`, or the next MAC address that no device of the policy has.
    pub fn unlisted_mac(&self, mac: [u8; 6]) -> [u8; 6] {
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

    /// A port that no rule names: only rules with `service: any` match it.
    pub fn unmatched_port(&self, protocol: u8) -> Option<u16> {
        self.generation(|generation| {
            let unnamed =
                |port: &u16| generation.services[service_index(protocol, *port) as usize] == 0;
            (1..=u16::MAX).find(unnamed)
        })
    }
}

fn longest_idle_timeout(policy: &Policy) -> Duration {
    let timeouts = policy.rules.iter().flat_map(|rule| &rule.idle);
    timeouts.map(|(_, idle)| *idle).max().unwrap_or_default()
}

fn next_serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Index of each device, by its number.
fn indices(basis: &Basis) -> Vec<u32> {
    let numbers = basis.numbers();
    let length = numbers.iter().max().map_or(0, |most| *most as usize + 1);
    let mut indices = vec![u32::MAX; length];
    for (index, number) in (0..).zip(numbers) {
        indices[*number as usize] = index;
    }
    indices
}

/// The policies that events and flows refer to, by slot of the kernel's tables. With a lock of its own, so that readers
/// need not wait for the engine.
#[derive(Clone, Default)]
pub struct PolicySlots(Arc<RwLock<[Option<Arc<ActivePolicy>>; 2]>>);

impl PolicySlots {
    /// The policy in a slot.
    pub fn get(&self, slot: u8) -> Option<Arc<ActivePolicy>> {
        let slots = self.0.read().unwrap_or_else(PoisonError::into_inner);
        slots[usize::from(slot & 1)].clone()
    }

    /// Sets the policy of a slot; returns the one before.
    pub fn set(&self, slot: u8, active: Option<Arc<ActivePolicy>>) -> Option<Arc<ActivePolicy>> {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut slots[usize::from(slot & 1)], active)
    }
}
