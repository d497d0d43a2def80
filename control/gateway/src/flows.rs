//! The flow table, as it crosses the wire.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use cordon_kernel::FlowEntry;
use cordon_protocol::{Endpoint, Flow, FlowQuery, FlowState, Flows, WouldDrop};
use cordon_verdict::abi::{self, Control, path_mac};

use crate::engine::{Gateway, InForce};
use crate::names::{Named, ip_address, nameless, number_of_mac, protocol};
use crate::observed::{Enforced, Observed, Opening, Twin, observes};
use crate::refusal::Refusal;
use crate::views::unreadable;

/// Flows told of at most.
const MOST: usize = 10_000;
/// Unless it is said how many.
const USUAL: usize = 100;

/// The busiest of the flows that are asked for, and how many there are.
pub fn flows(gateway: &Gateway, observed: &Observed, query: &FlowQuery) -> Result<Flows, Refusal> {
    let current = gateway.engine().current();
    let wanted = Wanted::new(query, current.as_deref())?;
    let limit = query.limit.unwrap_or(USUAL).min(MOST);
    let twin = current.as_ref().and_then(|named| observed.twin(named));

    let engine = gateway.engine();
    let InForce::Tables(control) = engine.in_force().map_err(unreadable)? else {
        return Ok(Flows {
            total: 0,
            matching: 0,
            flows: Vec::new(),
        });
    };
    let names = Names {
        slots: [gateway.slots.get(0), gateway.slots.get(1)],
        filled: engine.filled(),
        control,
        twin,
    };
    let mut total = 0;
    let mut busiest = Busiest::new(limit);
    // Of what an observed segment lets be, the rule that counts has to be asked for, without the engine.
    let mut let_be = Vec::new();
    let mut read = |entry: FlowEntry| {
        if entry.is_to_group() {
            return;
        }
        total += 1;
        if !wanted.is_so(&entry) {
            return;
        }
        if names.is_let_be(&entry) {
            let_be.push(entry);
        } else if wanted.is_by(names.rule(&entry)) {
            busiest.push(Told::of(entry));
        }
    };
    engine.flows(&mut read);
    drop(engine);

    for entry in let_be {
        let enforced = names.enforced(&entry);
        let told = Told { entry, enforced };
        if wanted.is_by(names.rule_told(&told)) {
            busiest.push(told);
        }
    }
    Ok(Flows {
        total,
        matching: busiest.pushed,
        flows: busiest
            .heap
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse(told)| names.flow(&told))
            .collect(),
    })
}

/// Which flows are asked for, in numbers.
struct Wanted<'a> {
    /// With the number of its segment.
    device: Option<(&'a cordon_policy::Device, u16)>,
    segment: Option<u16>,
    rule: Option<&'a str>,
    half_open: Option<bool>,
}

impl<'a> Wanted<'a> {
    fn new(query: &'a FlowQuery, named: Option<&'a Named>) -> Result<Wanted<'a>, Refusal> {
        let policy = named.map(|named| &*named.policy);
        let devices = policy.map_or(&[][..], |policy| &policy.devices);
        let segments = policy.map_or(&[][..], |policy| &policy.segments);
        let device = query.device.as_deref().map(|name| {
            let known = devices.iter().map(|device| device.name.as_str());
            let found = devices.iter().find(|device| device.name == name);
            let found = found.map(|device| (device, segments[device.segment].number));
            found.ok_or_else(|| {
                Refusal::unknown("device", name, known, "`cordon devices` lists them")
            })
        });
        let segment = query.segment.as_deref().map(|name| {
            let known = segments.iter().map(|segment| segment.name.as_str());
            let found = segments.iter().find(|segment| segment.name == name);
            found.map(|segment| segment.number).ok_or_else(|| {
                Refusal::unknown("segment", name, known, "`cordon status` lists them")
            })
        });
        let rule = query.rule.as_deref().map(|name| {
            let rules = named.map_or(0, |named| named.rules as u32);
            let known = || (0..rules).filter_map(|number| named?.rule(number));
            match known().any(|rule| rule == name) {
                true => Ok(name),
                false => Err(Refusal::unknown(
                    "rule",
                    name,
                    known(),
                    "`cordon rules` lists them",
                )),
            }
        });
        Ok(Wanted {
            device: device.transpose()?,
            segment: segment.transpose()?,
            rule: rule.transpose()?,
            half_open: query.state.map(|state| state == FlowState::HalfOpen),
        })
    }

    /// Whether all but the rule is as asked for.
    fn is_so(&self, entry: &FlowEntry) -> bool {
        self.segment.is_none_or(|segment| entry.segment == segment)
            && self
                .half_open
                .is_none_or(|half_open| entry.half_open == half_open)
            && self
                .device
                .is_none_or(|(device, segment)| is_of(device, segment, entry))
    }

    fn is_by(&self, rule: Option<&str>) -> bool {
        self.rule.is_none() || self.rule == rule
    }
}

/// Whether a device is an end of a flow: by its address, or by its MAC in its own segment.
fn is_of(device: &cordon_policy::Device, segment: u16, entry: &FlowEntry) -> bool {
    let has = |ip: &cordon_verdict::Ip| device.ips.contains(&ip_address(*ip));
    let mac = number_of_mac(device.mac.0);
    let speaks = |way: &abi::FlowPath| way.from != 0 && path_mac(way.from) == mac;
    entry.address.iter().any(has) || (entry.segment == segment && entry.flow.path.iter().any(speaks))
}

/// A flow that is told of, ordered by its bytes.
struct Told {
    entry: FlowEntry,
    /// Of what an observed segment lets be.
    enforced: Option<Enforced>,
}

impl Told {
    fn of(entry: FlowEntry) -> Told {
        Told {
            entry,
            enforced: None,
        }
    }

    fn bytes(&self) -> u64 {
        self.entry.bytes(0) + self.entry.bytes(1)
    }
}

impl PartialEq for Told {
    fn eq(&self, other: &Told) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Told {}

impl PartialOrd for Told {
    fn partial_cmp(&self, other: &Told) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Told {
    fn cmp(&self, other: &Told) -> std::cmp::Ordering {
        self.bytes().cmp(&other.bytes())
    }
}

/// The busiest of all that are pushed.
struct Busiest {
    heap: BinaryHeap<Reverse<Told>>,
    limit: usize,
    pushed: u64,
}

impl Busiest {
    fn new(limit: usize) -> Busiest {
        Busiest {
            heap: BinaryHeap::with_capacity(limit + 1),
            limit,
            pushed: 0,
        }
    }

    fn push(&mut self, told: Told) {
        self.pushed += 1;
        self.heap.push(Reverse(told));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }
}

/// What it takes to speak of a flow in words.
struct Names {
    slots: [Option<Arc<Named>>; 2],
    filled: [u32; 2],
    control: Control,
    twin: Option<Arc<Twin>>,
}

impl Names {
    fn current(&self) -> Option<&Named> {
        self.slots[usize::from(self.control.slot)].as_deref()
    }

    /// The policy that a flow was judged by: if not the one in force, then the one before, if it is still known.
    fn judged_by(&self, entry: &FlowEntry) -> Option<&Named> {
        let epoch = (entry.flow.judged >> 32) as u32;
        let this = usize::from(self.control.slot);
        let slot = if epoch >= self.filled[this] {
            this
        } else {
            this ^ 1
        };
        (epoch >= self.filled[slot])
            .then_some(self.slots[slot].as_deref())
            .flatten()
    }

    fn rule(&self, entry: &FlowEntry) -> Option<&str> {
        self.judged_by(entry)?.rule(entry.flow.ruling().rule())
    }

    /// Whether only a rule of an observed segment lets it pass, by the policy in force.
    fn is_let_be(&self, entry: &FlowEntry) -> bool {
        let (Some(twin), Some(named)) = (&self.twin, self.judged_by(entry)) else {
            return false;
        };
        std::ptr::eq(&*twin.of, named) && observes(named, entry.flow.ruling().rule())
    }

    fn enforced(&self, entry: &FlowEntry) -> Option<Enforced> {
        let twin = self.twin.as_ref()?;
        let opening = Opening::of_flow(entry, &twin.of)?;
        Some(twin.judge(&opening))
    }

    /// The rule as it is told: an observed segment's lets the answers of everything be, also of what another allows.
    fn rule_told(&self, told: &Told) -> Option<&str> {
        match (told.enforced, &self.twin) {
            (Some(Enforced::Passes(rule)), Some(twin)) => twin.enforced.rule(rule),
            _ => self.rule(&told.entry),
        }
    }

    fn flow(&self, told: &Told) -> Flow {
        let Told { entry, enforced } = told;
        let from = usize::from(entry.flow.initiator & 1);
        let to = from ^ 1;
        let unknown = || "unknown".to_owned();
        let segment = self
            .current()
            .and_then(|named| named.segment(entry.segment));
        Flow {
            from: self.end(entry, from),
            to: self.end(entry, to),
            protocol: protocol(entry.protocol),
            segment: segment.map_or_else(unknown, str::to_owned),
            rule: self.rule_told(told).map_or_else(unknown, str::to_owned),
            would_drop: enforced.and_then(|enforced| self.would_drop(enforced)),
            current: (entry.flow.judged >> 32) as u32 == self.control.epoch,
            answered: entry.answered(),
            bytes_sent: entry.bytes(from),
            bytes_received: entry.bytes(to),
            idle_seconds: u64::from(entry.idle(self.control.tick)) * abi::AGE_SECONDS,
        }
    }

    fn would_drop(&self, enforced: Enforced) -> Option<WouldDrop> {
        match (enforced, &self.twin) {
            (Enforced::Drops(rule), Some(twin)) => Some(twin.would_drop(rule)),
            _ => None,
        }
    }

    /// One end, by its address, or, where that is bound to nobody, by the MAC that it speaks from.
    fn end(&self, entry: &FlowEntry, end: usize) -> Endpoint {
        let (ip, port) = (entry.address[end], entry.port[end]);
        let Some(named) = self.current() else {
            return nameless(ip, port, entry.protocol);
        };
        let by_ip = named.endpoint(ip, port, entry.protocol);
        let mac = path_mac(entry.flow.path[end].from);
        match named.device_by_mac(entry.segment, mac) {
            Some(device) if by_ip.device.is_none() => Endpoint {
                device: Some(device.name.clone()),
                ..by_ip
            },
            _ => by_ip,
        }
    }
}

#[cfg(test)]
mod tests;
