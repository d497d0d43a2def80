//! A verdict in the form in which verdicts are compared.

use std::fmt;

use cordon_compile::rule_number;
use cordon_kernel::Run;
use cordon_oracle::{Answer, Decided, Leaves};
use cordon_portable::{Generation, Judged, copied};
use cordon_verdict::abi::{
    RULE_ARP, RULE_ETHER_TYPE, RULE_LINK_CONTROL, RULE_MEMBERSHIP, RULE_ND, STACKED,
    attachment_port, attachment_vlan, location,
};
use cordon_verdict::{Egress, Reason};

use crate::generate::places::network;

const XDP_DROP: u32 = 1;
/// To the program that makes copies one by one.
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;

/// Where link control goes: from port to port.
const NO_SEGMENT: u16 = u16::MAX;

/// What was said of a frame, whoever said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What becomes of it.
    pub verdict: Verdict,
    /// The number of the rule, 0 for none.
    pub rule: u32,
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is dropped.
    Drop(Reason),
    /// It leaves by one attachment.
    Leaves {
        /// Its place, as in `cordon_verdict::abi`.
        at: u32,
        /// As it leaves.
        frame: Vec<u8>,
    },
    /// It is copied.
    Flood {
        /// Of which segment.
        segment: u16,
        /// Not to uplinks.
        inside: bool,
        /// By port; none where they cannot be seen, as in a test run in the kernel.
        copies: Option<Vec<(u16, Vec<u8>)>>,
    },
    /// What no verdict looks like.
    Nonsense(String),
}

/// Where an attachment is. Those with two tags have numbers of their own in every generation.
fn place_in(generation: &Generation, attachment: u16) -> Option<u32> {
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

/// The port of a place.
pub fn port_of(place: u32) -> u16 {
    (place >> 24) as u16
}

impl Said {
    /// What user space says.
    pub fn portable(judged: Judged, generation: &Generation) -> Said {
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
                let at = place_in(generation, attachment);
                match (at, <[_; 1]>::try_from(leaving)) {
                    (Some(at), Ok([(port, frame)])) if port == port_of(at) => {
                        Verdict::Leaves { at, frame }
                    }
                    other => {
                        Verdict::Nonsense(format!("leaves by {attachment:#06x} as {other:x?}"))
                    }
                }
            }
        };
        Said {
            verdict,
            rule: outcome.rule,
        }
    }

    /// What the oracle says; `numbers` are those of the segments in the tables, by index.
    pub fn oracle(answer: Answer, numbers: &[u16]) -> Said {
        let Answer {
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
            Ok(Leaves::By(by) | Leaves::Answered(by)) => Verdict::Leaves {
                at: location(by.port as u16, by.vlan, by.inner),
                frame: copies.pop().map(|(_, frame)| frame).unwrap_or_default(),
            },
            Ok(Leaves::Flood { segment, inside }) => Verdict::Flood {
                segment: numbers[segment],
                inside,
                copies: Some(copies),
            },
            Ok(Leaves::LinkControl(_)) => Verdict::Flood {
                segment: NO_SEGMENT,
                inside: false,
                copies: Some(copies),
            },
        };
        let rule = match rule {
            Decided::Nothing => 0,
            Decided::Arp => RULE_ARP,
            Decided::Nd => RULE_ND,
            Decided::Membership => RULE_MEMBERSHIP,
            Decided::LinkControl => RULE_LINK_CONTROL,
            Decided::EtherType => RULE_ETHER_TYPE,
            Decided::Rule(index) => rule_number(index),
        };
        Said { verdict, rule }
    }

    /// What the kernel says.
    pub fn kernel(run: Run, generation: &Generation) -> Said {
        let Run {
            action,
            trace,
            frame,
            copies,
        } = run;
        // Copies by port get their tags on the way out, where a test run does not come to.
        let copies = copies.map(|copying| {
            let mut copies = copied(generation, &copying, &frame);
            copies.sort();
            copies
        });
        let verdict = match (action, Reason::from_number(trace.reason), trace.flood) {
            (XDP_DROP, Some(reason), 0) => Verdict::Drop(reason),
            (XDP_REDIRECT | XDP_TX, None, 0) if trace.reason == 0 => {
                match place_in(generation, trace.egress) {
                    Some(at) => Verdict::Leaves { at, frame },
                    None => Verdict::Nonsense(format!("leaves by {:#06x}", trace.egress)),
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
            _ => Verdict::Nonsense(format!("action {action}, {trace:?}")),
        };
        Said {
            verdict,
            rule: trace.rule,
        }
    }

    /// Whether two say the same, as far as both say it.
    pub fn agrees(&self, other: &Said) -> bool {
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

impl fmt::Display for Said {
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
            Verdict::Nonsense(what) => write!(f, "nonsense: {what}")?,
        }
        match self.rule {
            0 => Ok(()),
            rule => write!(f, " (rule {rule})"),
        }
    }
}

/// Two digits a byte, headers apart as far as their lengths are fixed.
pub(super) fn hex(bytes: &[u8]) -> String {
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
