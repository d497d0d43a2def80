//! The effect of each rule, given its reach and the rules before it.

use cordon_policy::{Code, Date, Mode, Origin, Policy, Problem, Rule};
use cordon_tables::Generation;
use cordon_verdict::abi::{self, LOCKDOWN, PolicyRow, RULE_ETHER_TYPE, RULE_FIRST, SEVER};

use crate::rule_number;

/// The effects of all rules, by number.
#[derive(Clone, Debug)]
pub struct RuleEffects {
    /// Bits of the postures at which the rule allows something; and [`DENIES`].
    of_rule: Vec<u8>,
    /// Bits of the postures at which the rule allows more than floods that stay inside the site.
    direct: Vec<u8>,
}

/// Set for a rule that denies something.
const DENIES: u8 = 1 << 7;

impl RuleEffects {
    /// From tables with a number of rules, including built-in ones.
    pub fn new(generation: &Generation, rules: usize) -> RuleEffects {
        let mut of_rule = vec![0; rules.max(RULE_FIRST as usize)];
        // Built-in rules apply at every posture but sever; the one for EtherTypes, which pass without inspection, ends before
        // lockdown.
        for (number, effect) in (0..RULE_FIRST).zip(&mut of_rule) {
            *effect = match abi::built_in(number) {
                None => 0,
                Some(_) if number == RULE_ETHER_TYPE => (1 << LOCKDOWN) - 1,
                Some(_) => (1 << SEVER) - 1,
            };
        }
        let direct = of_rule.clone();
        let mut effects = RuleEffects { of_rule, direct };
        effects.add_rows(generation.policy.rows.values());
        effects
    }

    /// Adds the effects of further rows.
    pub fn add_rows<'a>(&mut self, rows: impl Iterator<Item = &'a PolicyRow>) {
        for row in rows {
            for (posture, ruling) in row.rulings.iter().enumerate() {
                if let Some(effect) = self.of_rule.get_mut(ruling.rule() as usize) {
                    *effect |= match ruling.allows() {
                        true => 1 << posture,
                        // At sever every flow is dropped, with or without the rule.
                        false if posture == usize::from(SEVER) => 0,
                        false => DENIES,
                    };
                }
                if let Some(direct) = self.direct.get_mut(ruling.rule() as usize) {
                    let is_direct = ruling.allows() && !ruling.is_inside();
                    *direct |= u8::from(is_direct) << posture;
                }
            }
        }
    }

    /// Whether a rule allows any flow at a posture.
    pub fn is_open_at(&self, rule: usize, posture: u8) -> bool {
        let effect = self.of_rule.get(rule).copied().unwrap_or(0);
        effect & !DENIES & 1 << posture != 0
    }

    /// Whether a rule allows any flow at a posture, besides floods that stay inside the site.
    pub fn is_direct_at(&self, rule: usize, posture: u8) -> bool {
        self.direct.get(rule).copied().unwrap_or(0) & 1 << posture != 0
    }

    /// Whether a rule that allows, or denies, has that effect on any flow.
    fn has_effect(&self, rule: u32, allows: bool) -> bool {
        let effect = self.of_rule.get(rule as usize).copied().unwrap_or(0);
        match allows {
            true => effect & !DENIES != 0,
            false => effect & DENIES != 0,
        }
    }

    /// Warnings about written rules that have expired or have no effect.
    pub fn warnings(&self, policy: &Policy, today: Date) -> Vec<Problem> {
        let rules = policy.rules.iter().enumerate();
        let written = rules.filter(|(_, rule)| rule.origin == Origin::Written);
        // In an observed segment, a rule that denies does not drop.
        let observed = policy.segments.iter().any(|one| one.mode == Mode::Observe);
        let warning = |(index, rule): (usize, &Rule)| {
            let name = &rule.name;
            let (message, hint) = match rule.expires {
                Some(last) if today > last => (
                    format!("rule `{name}` expired after {last}: it has no effect"),
                    "set a later `expires`, or remove the rule",
                ),
                _ if !rule.allow && observed => return None,
                _ if self.has_effect(rule_number(index), rule.allow) => return None,
                _ => (
                    format!("rule `{name}` has no effect"),
                    "it matches no flow, or earlier rules decide every flow that it matches: move it up, or remove it",
                ),
            };
            Some(Problem {
                position: rule.position,
                code: Code::Warning,
                message,
                hint: Some(hint.to_owned()),
            })
        };
        written.filter_map(warning).collect()
    }
}
