//! The meaning of the letters in the tables, and the check of a decision against a cell.

use cordon_verdict::Reason;

use super::topology::{Attachment, Topology};
use crate::differential::{Decision, Verdict};
use crate::generate::GATEWAY;

/// The letters that stand for a drop reason. Capitals are guards.
pub const REASONS: &[(char, Reason)] = &[
    ('p', Reason::Posture),
    ('r', Reason::Rule),
    ('s', Reason::TcpSequence),
    ('q', Reason::TcpSequence),
    ('n', Reason::NoRule),
    ('b', Reason::AddressBinding),
    ('e', Reason::IcmpError),
    ('f', Reason::Fragment),
    ('h', Reason::Ipv6Extension),
    ('i', Reason::IcmpType),
    ('l', Reason::LinkControl),
    ('o', Reason::IpOptions),
    ('t', Reason::EtherType),
    ('u', Reason::Unsolicited),
    ('B', Reason::AddressBinding),
    ('D', Reason::DhcpGuard),
    ('G', Reason::SourceMac),
    ('I', Reason::Membership),
    ('K', Reason::DeviceOnUplink),
    ('L', Reason::StationLimit),
    ('M', Reason::PortBinding),
    ('N', Reason::NeighbourDiscovery),
    ('Q', Reason::Arp),
    ('R', Reason::RaGuard),
    ('S', Reason::Storm),
    ('U', Reason::UnknownDevice),
    ('V', Reason::StationMove),
];

/// All letters.
pub fn alphabet() -> Vec<char> {
    let reasons = REASONS.iter().map(|(letter, _)| *letter);
    ['a', '_', 'g'].into_iter().chain(reasons).collect()
}

/// The expected result of a cell.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The letter in the table.
    pub letter: char,
    /// The number of the deciding rule; 0 for none.
    pub rule: u32,
    /// The frames that leave in the cell's direction if it passes: port and frame.
    pub here: Vec<(u16, Vec<u8>)>,
    /// The copies in the other direction: either all of them leave or none.
    pub elsewhere: Vec<(u16, Vec<u8>)>,
    /// The egress attachment of a unicast frame.
    pub egress: Option<Attachment>,
    /// Ingress attachment and frame.
    pub ingress: (Attachment, Vec<u8>),
}

impl Expected {
    /// Checks a decision.
    ///
    /// # Errors
    /// A description of what differs.
    pub fn check(&self, decision: &Decision) -> Result<(), String> {
        let named = match self.letter {
            'a' | '_' | 'g' | 'p' | 'r' | 's' => self.rule,
            _ => 0,
        };
        if decision.rule != named {
            return Err(format!("expected rule {named}"));
        }
        let fits = match self.letter {
            'a' => self.is_delivered(&decision.verdict),
            '_' => self.is_delivered_elsewhere(&decision.verdict),
            'g' => self.is_answered(&decision.verdict),
            letter => {
                let reason = REASONS.iter().find(|(known, _)| *known == letter);
                let (_, reason) = reason.ok_or(format!("unknown letter `{letter}`"))?;
                decision.verdict == Verdict::Drop(*reason)
            }
        };
        match fits {
            true => Ok(()),
            false => Err(format!("expected `{}`", self.letter)),
        }
    }

    fn is_delivered(&self, verdict: &Verdict) -> bool {
        match (verdict, &self.egress) {
            (Verdict::Leaves { at, frame }, Some(attachment)) => {
                let [(_, expected)] = &self.here[..] else {
                    return false;
                };
                *at == attachment.location() && frame == expected
            }
            (Verdict::Flood { copies, .. }, None) => {
                let copies = copies.as_deref().unwrap_or_default();
                let both = [&self.here[..], &self.elsewhere[..]].concat();
                !self.here.is_empty()
                    && (same_copies(copies, &self.here) || same_copies(copies, &both))
            }
            _ => false,
        }
    }

    fn is_delivered_elsewhere(&self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Flood { copies, .. } => {
                let copies = copies.as_deref().unwrap_or_default();
                !self.here.is_empty() && same_copies(copies, &self.elsewhere)
            }
            _ => false,
        }
    }

    fn is_answered(&self, verdict: &Verdict) -> bool {
        let (from, request) = &self.ingress;
        match verdict {
            Verdict::Leaves { at, frame } => {
                *at == from.location() && frame[..6] == request[6..12] && frame[6..12] == GATEWAY
            }
            _ => false,
        }
    }
}

/// Whether the copies are the same, in any order.
fn same_copies(copies: &[(u16, Vec<u8>)], expected: &[(u16, Vec<u8>)]) -> bool {
    let sorted = |copies: &[(u16, Vec<u8>)]| {
        let mut copies = copies.to_vec();
        copies.sort();
        copies
    };
    sorted(copies) == sorted(expected)
}

/// The number of a rule by its name.
pub fn rule_number(topology: &Topology, name: &str) -> u32 {
    use cordon_verdict::abi::{
        RULE_ARP, RULE_ETHER_TYPE, RULE_LINK_CONTROL, RULE_MEMBERSHIP, RULE_ND,
    };
    match name {
        "" => 0,
        "arp" => RULE_ARP,
        "nd" => RULE_ND,
        "membership" => RULE_MEMBERSHIP,
        "link-control" => RULE_LINK_CONTROL,
        "ether-type" => RULE_ETHER_TYPE,
        name => {
            let mut rules = topology.policy.rules.iter();
            let index = rules.position(|rule| rule.name == name);
            cordon_compile::rule_number(index.expect("the table names existing rules"))
        }
    }
}
