//! The decision on a frame, in a form that is common to kernel, user space and oracle.

use std::fmt;

use cordon_compile::rule_number;
use cordon_kernel::Run;
use cordon_oracle::{Forwarded, Judgement, MatchedRule};
use cordon_portable::{Judged, copied};
use cordon_tables::Generation;
use cordon_verdict::abi::{
    RULE_ARP, RULE_ETHER_TYPE, RULE_LINK_CONTROL, RULE_MEMBERSHIP, RULE_ND, STACKED,
    attachment_port, attachment_vlan, location,
};
use cordon_verdict::{Egress, Reason};

use crate::generate::offsets::network;

const XDP_DROP: u32 = 1;
/// To the program at tc that makes copies one by one.
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;

/// The segment number of link control frames, which are flooded from port to port.
const NO_SEGMENT: u16 = u16::MAX;

/// The decision of one side on a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens to the frame.
    pub verdict: Verdict,
    /// The number of the deciding rule, 0 for none.
    pub rule: u32,
}

/// What happens to a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is dropped.
    Drop(Reason),
    /// It is forwarded to one attachment.
    Leaves {
        /// The attachment's location, as in `cordon_verdict::abi`.
        at: u32,
        /// The frame as it leaves.
        frame: Vec<u8>,
    },
    /// It is flooded.
    Flood {
        /// The segment's number.
        segment: u16,
        /// Whether uplinks are left out.
        inside: bool,
        /// Port and frame of every copy; none if they are not visible, as in a test run in the kernel.
        copies: Option<Vec<(u16, Vec<u8>)>>,
    },
    /// A result that no verdict can have.
    Invalid(String),
}

/// The location of an attachment. Attachments with two tags are numbered per generation.
fn location_in(generation: &Generation, attachment: u16) -> Option<u32> {
    match attachment < STACKED {
        true => {
            let (port, vlan) = (attachment_port(attachment), attachment_vlan(attachment));
            Some(location(port, vlan, 0))
        }
        false => {
            let mut stacks = generation.stacks.iter();
            let found = stacks.find(|(_, number)| **number == attachment);
            found.map(|(place, _)| *place)
        }
    }
}

/// The port of a location.
pub fn port_of(place: u32) -> u16 {
    (place >> 24) as u16
}

impl Decision {
    /// User space's decision.
    pub fn portable(judged: Judged, generation: &Generation) -> Decision {
        let Judged {
            outcome,
            mut leaving,
        } = judged;
        leaving.sort();
        let verdict = match outcome.verdict {
            Err(reason) => Verdict::Drop(reason),
            Ok(Egress::Flood {
                segment, inside, ..
            }) => Verdict::Flood {
                segment,
                inside,
                copies: Some(leaving),
            },
            Ok(Egress::Attachment(attachment)) => {
                let at = location_in(generation, attachment);
                match (at, <[_; 1]>::try_from(leaving)) {
                    (Some(at), Ok([(port, frame)])) if port == port_of(at) => {
                        Verdict::Leaves { at, frame }
                    }
                    other => Verdict::Invalid(format!("leaves by {attachment:#06x} as {other:x?}")),
                }
            }
        };
        Decision {
            verdict,
            rule: outcome.rule,
        }
    }

    /// The oracle's decision; `numbers` are the numbers of the segments in the tables, by index.
    pub fn oracle(answer: Judgement, numbers: &[u16]) -> Decision {
        let Judgement {
            verdict,
            rule,
            leaving,
        } = answer;
        let mut copies: Vec<_> = leaving
            .into_iter()
            .map(|(port, frame)| (port as u16, frame))
            .collect();
        copies.sort();
        let verdict = match verdict {
            Err(reason) => Verdict::Drop(reason),
            Ok(Forwarded::Unicast(by) | Forwarded::Reply(by)) => Verdict::Leaves {
                at: location(by.port as u16, by.vlan, by.inner),
                frame: copies.pop().map(|(_, frame)| frame).unwrap_or_default(),
            },
            Ok(Forwarded::Flood { segment, inside }) => Verdict::Flood {
                segment: numbers[segment],
                inside,
                copies: Some(copies),
            },
            Ok(Forwarded::LinkControl(_)) => Verdict::Flood {
                segment: NO_SEGMENT,
                inside: false,
                copies: Some(copies),
            },
        };
        let rule = match rule {
            MatchedRule::None => 0,
            MatchedRule::Arp => RULE_ARP,
            MatchedRule::Nd => RULE_ND,
            MatchedRule::Membership => RULE_MEMBERSHIP,
            MatchedRule::LinkControl => RULE_LINK_CONTROL,
            MatchedRule::EtherType => RULE_ETHER_TYPE,
            MatchedRule::Rule(index) => rule_number(index),
        };
        Decision { verdict, rule }
    }

    /// The kernel's decision.
    pub fn kernel(run: Run, generation: &Generation) -> Decision {
        let Run {
            action,
            trace,
            frame,
            copies,
        } = run;
        // Copies by port are made and tagged on egress, which a test run does not reach.
        let copies = copies.map(|copying| {
            let mut copies = copied(generation, &copying, &frame);
            copies.sort();
            copies
        });
        let verdict = match (action, Reason::from_number(trace.reason), trace.flood) {
            (XDP_DROP, Some(reason), 0) => Verdict::Drop(reason),
            (XDP_REDIRECT | XDP_TX, None, 0) if trace.reason == 0 => {
                match location_in(generation, trace.egress) {
                    Some(at) => Verdict::Leaves { at, frame },
                    None => Verdict::Invalid(format!("leaves by {:#06x}", trace.egress)),
                }
            }
            (XDP_REDIRECT | XDP_PASS, None, flood @ 1..=2)
                if trace.reason == 0 && (action == XDP_PASS) == copies.is_some() =>
            {
                Verdict::Flood {
                    segment: trace.egress,
                    inside: flood == 2,
                    copies,
                }
            }
            _ => Verdict::Invalid(format!("action {action}, {trace:?}")),
        };
        Decision {
            verdict,
            rule: trace.rule,
        }
    }

    /// Whether two decisions are equal. Copies are compared only if both sides show them.
    pub fn agrees(&self, other: &Decision) -> bool {
        let verdicts = match (&self.verdict, &other.verdict) {
            (
                Verdict::Flood {
                    segment,
                    inside,
                    copies,
                },
                Verdict::Flood {
                    segment: segment2,
                    inside: inside2,
                    copies: copies2,
                },
            ) => {
                let known = copies.is_some() && copies2.is_some();
                segment == segment2 && inside == inside2 && (!known || copies == copies2)
            }
            (one, other) => one == other,
        };
        verdicts && self.rule == other.rule
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Drop(reason) => write!(f, "dropped: {}", reason.name())?,
            Verdict::Leaves { at, frame } => write!(
                f,
                "leaves by p{}.{}.{} as {}",
                port_of(*at),
                at >> 12 & 0xfff,
                at & 0xfff,
                hex(frame)
            )?,
            Verdict::Flood {
                segment,
                inside,
                copies,
            } => {
                let inside = if *inside { ", inside only" } else { "" };
                write!(f, "flooded in segment {segment}{inside}")?;
                for (port, frame) in copies.iter().flatten() {
                    write!(f, "; p{port}: {}", hex(frame))?;
                }
            }
            Verdict::Invalid(what) => write!(f, "invalid: {what}")?,
        }
        match self.rule {
            0 => Ok(()),
            rule => write!(f, " (rule {rule})"),
        }
    }
}

/// Hexadecimal digits, with a space after each MAC address and before the network layer.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    let network = network(bytes);
    for (at, byte) in bytes.iter().enumerate() {
        if [6, 12].contains(&at) || Some(at) == network {
            out.push(' ');
        }
        out += &format!("{byte:02x}");
    }
    out
}
