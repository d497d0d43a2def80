//! The policy in force, as if every segment were enforced: what its rules would say of what an observed segment lets be.
//! The rules of observation are left out and the same function judges the same packet.

use std::sync::Arc;

use cordon_kernel::FlowEntry;
use cordon_policy::{Mode, Origin, Posture};
use cordon_protocol::WouldDrop;
use cordon_verdict::abi::{
    self, Admission, EVENT_FLOW, FlowPath, location_port, service_index, path_attachment, path_mac,
};
use cordon_verdict::{Ip, MAC_GROUP, Mac, Reason};

use crate::explain::packet::{Packet, Wire};
use crate::explain::{ROUTER, forget};
use crate::names::{Named, ip_address};

/// What enforcement says of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    /// This rule would let it pass.
    Passes(u32),
    /// It would be dropped, by this rule; by none for 0.
    Drops(u32),
    /// It would not come so far: no rule has a say in it.
    Else,
}

/// A policy and its twin.
pub struct Twin {
    /// The policy in force.
    pub of: Arc<Named>,
    /// The same, enforced. Its rules have the same numbers.
    pub enforced: Named,
}

/// Whether a rule is one of an observed segment.
pub fn observes(named: &Named, rule: u32) -> bool {
    let index = cordon_compile::rule_index(rule);
    let rule = index.and_then(|index| named.policy.rules.get(index));
    rule.is_some_and(|rule| rule.origin == Origin::Observe)
}

/// Whether a policy observes any segment.
pub fn has_observed(named: &Named) -> bool {
    let mut segments = named.policy.segments.iter();
    segments.any(|segment| segment.mode == Mode::Observe)
}

impl Twin {
    /// Compiles it; none if nothing is observed.
    pub fn new(of: &Arc<Named>) -> Option<Twin> {
        if !has_observed(of) {
            return None;
        }
        let mut policy = (*of.policy).clone();
        // They are the last, so that the others keep their numbers. That the invariants hold was seen to before.
        policy.rules.retain(|rule| rule.origin != Origin::Observe);
        policy.invariants.clear();
        for segment in &mut policy.segments {
            segment.mode = Mode::Enforce;
        }
        match cordon_compile::compile(&policy, of.day) {
            Ok(compiled) => Some(Twin {
                enforced: Named::new(Arc::new(policy), of.hash.clone(), of.day, compiled),
                of: Arc::clone(of),
            }),
            Err(rejected) => {
                tracing::error!("what enforcement would drop cannot be told: {rejected}");
                None
            }
        }
    }

    /// What enforcement would have said when a flow was opened.
    pub fn judge(&self, opening: &Opening) -> Enforced {
        match self.judge_opening(opening) {
            Enforced::Drops(rule) => {
                match opening.answered().map(|other| self.judge_opening(&other)) {
                    // Heard in mid-stream, from the server's side first.
                    Some(Enforced::Passes(rule)) if self.looks_like_an_answer(opening) => {
                        Enforced::Passes(rule)
                    }
                    _ => Enforced::Drops(rule),
                }
            }
            other => other,
        }
    }

    fn judge_opening(&self, opening: &Opening) -> Enforced {
        let Some(frame) = opening.frame(&self.enforced) else {
            return Enforced::Else;
        };
        self.enforced.portable(|portable| {
            portable.set_posture(Posture::Normal as u8);
            forget(portable);
            let outcome = portable.judge(location_port(opening.ingress), &frame).outcome;
            forget(portable);
            match outcome.verdict {
                Ok(_) => Enforced::Passes(outcome.rule),
                Err(Reason::Rule | Reason::NoRule) => Enforced::Drops(outcome.rule),
                Err(_) => Enforced::Else,
            }
        })
    }

    /// From a port that the policy has a word for, to one that it has none for.
    fn looks_like_an_answer(&self, opening: &Opening) -> bool {
        let named = |port: u16| {
            let index = service_index(opening.protocol, port) as usize;
            self.enforced.generation(|generation| {
                generation
                    .services
                    .get(index)
                    .is_some_and(|class| *class != 0)
            })
        };
        let [from, to] = opening.ports;
        named(from) && !named(to)
    }

    /// As it crosses the wire.
    pub fn would_drop(&self, rule: u32) -> WouldDrop {
        let reason = if rule == 0 {
            Reason::NoRule
        } else {
            Reason::Rule
        };
        WouldDrop {
            reason: reason.name().to_owned(),
            rule: self.enforced.rule(rule).map(str::to_owned),
            place: self.enforced.place(rule),
        }
    }
}

/// The first packet of a flow, as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The place where it came in.
    pub ingress: u32,
    /// The place where its answer came in, or would.
    back: Option<u32>,
    /// MAC addresses, source and destination.
    pub macs: [Mac; 2],
    /// IP addresses.
    pub ips: [Ip; 2],
    /// Ports.
    pub ports: [u16; 2],
    /// IP protocol.
    pub protocol: u8,
}

impl Opening {
    /// Of a flow in the table; none while it is not known how it came in.
    pub fn of_flow(entry: &FlowEntry, named: &Named) -> Option<Opening> {
        let from = usize::from(entry.flow.initiator & 1);
        let to = from ^ 1;
        let [way, back] = [entry.flow.path[from], entry.flow.path[to]];
        if way.from == 0 && back.to == 0 {
            return None;
        }
        // It may be that only its answers were heard of late.
        let from_word = if way.from != 0 { way.from } else { back.to };
        let to_word = if way.from != 0 { way.to } else { back.from };
        let nowhere = |word: u64| word == 0 || word == FlowPath::UNKNOWN;
        let place = |word| named.generation(|generation| generation.place(path_attachment(word)));
        Some(Opening {
            ingress: place(from_word),
            back: (!nowhere(to_word)).then(|| place(to_word)),
            macs: [
                path_mac(from_word),
                if nowhere(to_word) {
                    0
                } else {
                    path_mac(to_word)
                },
            ],
            ips: [entry.address[from], entry.address[to]],
            ports: [entry.port[from], entry.port[to]],
            protocol: entry.protocol,
        })
    }

    /// Of a flow that is told of.
    pub fn of_event(event: &abi::Event, named: &Named) -> Option<Opening> {
        (event.kind == EVENT_FLOW && event.protocol != 0).then(|| Opening {
            ingress: event.location,
            back: opposite(named, event.segment, event.location),
            macs: [event.source_mac, event.destination_mac],
            ips: [event.source, event.destination],
            ports: [event.source_port, event.destination_port],
            protocol: event.protocol,
        })
    }

    /// The same flow, if the other end had opened it.
    fn answered(&self) -> Option<Opening> {
        let turn = |[a, b]: [u16; 2]| [b, a];
        Some(Opening {
            ingress: self.back?,
            back: Some(self.ingress),
            macs: [self.macs[1], self.macs[0]],
            ips: [self.ips[1], self.ips[0]],
            ports: turn(self.ports),
            protocol: self.protocol,
        })
    }

    /// Whether it is to a group.
    pub fn is_to_group(&self) -> bool {
        self.macs[1] & MAC_GROUP != 0
    }

    /// Whether it came in by an uplink.
    pub fn is_from_uplink(&self, named: &Named) -> bool {
        named.generation(|generation| {
            let admission = generation.admissions.get(&generation.number(self.ingress));
            admission.is_some_and(|admission| admission.is(Admission::UPLINK))
        })
    }

    /// The service it asks for; none for what has no name in a policy.
    pub fn packet(&self) -> Option<Packet> {
        let [_, port] = self.ports;
        Some(match self.protocol {
            6 => Packet::Tcp(port),
            17 => Packet::Udp(port),
            132 => Packet::Sctp(port),
            1 | 58 => Packet::Echo,
            _ => return None,
        })
    }

    fn frame(&self, named: &Named) -> Option<Vec<u8>> {
        let bytes = |mac: Mac| {
            let [_, _, bytes @ ..] = mac.to_be_bytes();
            bytes
        };
        let [from, to] = self.macs.map(|mac| match mac {
            // Not known: the address says who it is.
            0 => named.free_mac(ROUTER),
            mac => bytes(mac),
        });
        let wire = Wire {
            ingress: self.ingress,
            outer_type: named.outer_type(self.ingress),
            macs: [from, to],
            ips: self.ips.map(ip_address),
        };
        Some(self.packet()?.frame(&wire))
    }
}

/// An attachment of the segment on the other side of the gateway.
fn opposite(named: &Named, segment: u16, ingress: u32) -> Option<u32> {
    named.generation(|generation| {
        let uplink = |admission: &Admission| admission.is(Admission::UPLINK);
        let here = generation
            .admissions
            .get(&generation.number(ingress))
            .map(uplink)?;
        let mut of_segment = generation.admissions.iter();
        let other = of_segment
            .find(|(_, admission)| admission.segment == segment && uplink(admission) != here);
        other.map(|(attachment, _)| generation.place(*attachment))
    })
}
