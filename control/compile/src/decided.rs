//! What rules come to, each by itself: with its reach, and the rules before it.

use cordon_policy::{Code, Date, Mode, Origin, Policy, Problem, Rule};
use cordon_portable::Generation;
use cordon_verdict::abi::{self, LOCKDOWN, PolicyRow, RULE_ETHER_TYPE, RULE_FIRST, SEVER};

use crate::rule_number;

/// By number of the rule, what it decides.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The postures at which it lets something through, as bits; and [`DENIES`].
    of_rule: Vec<u8>,
}

const DENIES: u8 = 1 << 7;

impl Decided {
    /// In these tables, of so many rules, built-in ones included.
    pub fn new(generation: &Generation, rules: usize) -> Decided {
        let mut of_rule = vec![0; rules.max(RULE_FIRST as usize)];
        // What is built in: at every posture but sever; but what nobody reads is not on the continuity list.
        for (number, decides) in (0..RULE_FIRST).zip(&mut of_rule) {
            *decides = match abi::built_in(number) {
                None => 0,
                Some(_) if number == RULE_ETHER_TYPE => (1 << LOCKDOWN) - 1,
                Some(_) => (1 << SEVER) - 1,
            };
        }
        let mut decided = Decided { of_rule };
        decided.note(generation.policy.rows.values());
        decided
    }

    /// With rows that were added.
    pub fn note<'a>(&mut self, rows: impl Iterator<Item = &'a PolicyRow>) {
        for row in rows {
            for (posture, ruling) in row.rulings.iter().enumerate() {
                if let Some(decides) = self.of_rule.get_mut(ruling.rule() as usize) {
                    *decides |= match ruling.allows() {
                        true => 1 << posture,
                        // At sever nothing passes, whoever denies it.
                        false if posture == usize::from(SEVER) => 0,
                        false => DENIES,
                    };
                }
            }
        }
    }

    /// Whether a rule lets anything through at a posture.
    pub fn is_open_at(&self, rule: usize, posture: u8) -> bool {
        let decides = self.of_rule.get(rule).copied().unwrap_or(0);
        decides & !DENIES & 1 << posture != 0
    }

    /// Whether there is anything that a rule, which allows or does not, decides as it is written to.
    fn decides(&self, rule: u32, allows: bool) -> bool {
        let decides = self.of_rule.get(rule as usize).copied().unwrap_or(0);
        match allows {
            true => decides & !DENIES != 0,
            false => decides & DENIES != 0,
        }
    }

    /// What is worth a look: rules that are over, and rules that decide nothing.
    pub fn warnings(&self, policy: &Policy, today: Date) -> Vec<Problem> {
        let rules = policy.rules.iter().enumerate();
        let written = rules.filter(|(_, rule)| rule.origin == Origin::Written);
        // An observed segment is let be also where a rule denies.
        let observed = policy.segments.iter().any(|one| one.mode == Mode::Observe);
        let warning = |(index, rule): (usize, &Rule)| {
            let name = &rule.name;
            let (message, hint) = match rule.expires {
                Some(last) if today > last => (
                    format!("rule `{name}` was in force until {last}: it decides nothing any more"),
                    "give it another `expires`, or take it out",
                ),
                _ if !rule.allow && observed => return None,
                _ if self.decides(rule_number(index), rule.allow) => return None,
                _ => (
                    format!("rule `{name}` decides nothing"),
                    "rules before it decide all that it is about, or nobody is whom it is about: put it further up, or take it out",
                ),
            };
            Some(Problem {
                place: rule.place,
                code: Code::Warning,
                message,
                hint: Some(hint.to_owned()),
            })
        };
        written.filter_map(warning).collect()
    }
}
