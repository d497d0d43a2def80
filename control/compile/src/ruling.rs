//! The first rule that applies, at every posture at once.

use cordon_policy::{Origin, Posture, Reach, Rule};
use cordon_verdict::abi::{POSTURES, PolicyRow, Ruling};

use crate::classes::Span;

/// What the rules looked at so far, in order, say of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    /// By device-facing ports, then by uplinks; they differ for what is flooded only.
    decided: [[Option<Ruling>; POSTURES]; 2],
    /// The first rule of an observed segment.
    observed: Option<u32>,
}

impl Fold {
    pub const NOTHING: Fold = Fold {
        decided: [[None; POSTURES]; 2],
        observed: None,
    };

    /// Looks at the next rule that matches.
    pub fn then(&mut self, rule: &Rule, number: u32, span: Span) {
        if rule.origin == Origin::Observe {
            self.observed.get_or_insert(number);
            return;
        }
        let ruling = match rule.allow {
            true => Ruling::allow(number),
            false => Ruling::deny(number),
        };
        for (decided, reach) in self.decided.iter_mut().zip(span.reaches()) {
            let last = last_posture(rule, reach) as usize;
            for at in &mut decided[..=last] {
                at.get_or_insert(ruling);
            }
        }
    }

    /// What it comes to, when no more rules match.
    pub fn row(&self, span: Span) -> PolicyRow {
        let [inside, across] = self
            .decided
            .map(|row| row.map(|at| at.unwrap_or(Ruling::NONE)));
        let [within, beyond] = span.reaches();
        let inside = self.as_observed(inside, within);
        let across = self.as_observed(across, beyond);
        let mut rulings = inside;
        for (ruling, across) in rulings.iter_mut().zip(across) {
            if ruling.allows() && !across.allows() {
                *ruling = Ruling::allow_inside(ruling.rule());
            }
        }
        PolicyRow { rulings }
    }

    /// An observed segment is let be in what nothing allows at normal, also where a rule denies it. What something
    /// allows is left as it is, so that a posture that ends it does end it.
    fn as_observed(&self, mut rulings: [Ruling; POSTURES], reach: Reach) -> [Ruling; POSTURES] {
        if let Some(number) = self.observed
            && !rulings[Posture::Normal as usize].allows()
        {
            rulings[..=reach.default_survives() as usize].fill(Ruling::allow(number));
        }
        rulings
    }
}

/// The highest posture at which a rule applies.
pub(crate) fn last_posture(rule: &Rule, reach: Reach) -> Posture {
    match rule.allow {
        false => Posture::Sever,
        true => rule
            .survives
            .unwrap_or(reach.default_survives())
            .min(Posture::Lockdown),
    }
}
