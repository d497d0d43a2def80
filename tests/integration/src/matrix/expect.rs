//! What a letter of the tables means, and whether it is what was said.

use cordon_verdict::Reason;

use super::world::{Place, World};
use crate::differential::{Said, Verdict};
use crate::generate::GATEWAY;

/// What the letters stand for that are a reason. Those in capitals are what guards drop.
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

/// Every letter.
pub fn alphabet() -> Vec<char> {
    let reasons = REASONS.iter().map(|(letter, _)| *letter);
    ['a', '_', 'g'].into_iter().chain(reasons).collect()
}

/// What a cell says in full.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Of the table.
    pub letter: char,
    /// The number of the rule that decides, where one does.
    pub rule: u32,
    /// The copies in the direction that the cell is about, if it passes: port and frame.
    pub here: Vec<(u16, Vec<u8>)>,
    /// Those in the other direction, which are there all or not at all.
    pub elsewhere: Vec<(u16, Vec<u8>)>,
    /// Of what is for one alone: where it leaves.
    pub one: Option<Place>,
    /// Where it came in, and as what.
    pub from: (Place, Vec<u8>),
}

impl Expected {
    /// Whether this was said.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, said: &Said) -> Result<(), String> {
        let named = match self.letter {
            'a' | '_' | 'g' | 'p' | 'r' | 's' => self.rule,
            _ => 0,
        };
        if said.rule != named {
            return Err(format!("the rule is to be {named}"));
        }
        let fits = match self.letter {
            'a' => self.arrives(&said.verdict),
            '_' => self.goes_elsewhere(&said.verdict),
            'g' => self.is_answered(&said.verdict),
            letter => {
                let reason = REASONS.iter().find(|(known, _)| *known == letter);
                let (_, reason) = reason.ok_or(format!("`{letter}` is no letter"))?;
                said.verdict == Verdict::Drop(*reason)
            }
        };
        match fits {
            true => Ok(()),
            false => Err(format!("it is to be `{}`", self.letter)),
        }
    }

    fn arrives(&self, verdict: &Verdict) -> bool {
        match (verdict, &self.one) {
            (Verdict::Leaves { at, frame }, Some(place)) => {
                let [(_, expected)] = &self.here[..] else {
                    return false;
                };
                *at == place.number() && frame == expected
            }
            (Verdict::Flood { copies, .. }, None) => {
                let copies = copies.as_deref().unwrap_or_default();
                let both = [&self.here[..], &self.elsewhere[..]].concat();
                !self.here.is_empty() && (is(copies, &self.here) || is(copies, &both))
            }
            _ => false,
        }
    }

    fn goes_elsewhere(&self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Flood { copies, .. } => {
                let copies = copies.as_deref().unwrap_or_default();
                !self.here.is_empty() && is(copies, &self.elsewhere)
            }
            _ => false,
        }
    }

    fn is_answered(&self, verdict: &Verdict) -> bool {
        let (from, asked) = &self.from;
        match verdict {
            Verdict::Leaves { at, frame } => {
                *at == from.number() && frame[..6] == asked[6..12] && frame[6..12] == GATEWAY
            }
            _ => false,
        }
    }
}

/// The same copies, in any order.
fn is(copies: &[(u16, Vec<u8>)], expected: &[(u16, Vec<u8>)]) -> bool {
    let sorted = |copies: &[(u16, Vec<u8>)]| {
        let mut copies = copies.to_vec();
        copies.sort();
        copies
    };
    sorted(copies) == sorted(expected)
}

/// The number of a rule by its name.
pub fn rule_number(world: &World, name: &str) -> u32 {
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
            let mut rules = world.policy.rules.iter();
            let index = rules.position(|rule| rule.name == name);
            cordon_compile::rule_number(index.expect("the table names rules that there are"))
        }
    }
}
