//! The first rule that applies, at every posture.

use cordon_policy::{Origin, Posture, Reach, Rule};
use cordon_verdict::abi::{POSTURES, PolicyRow, Ruling};

use crate::classes::Span;

/// The rulings on a flow by the rules added so far, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    /// For copies by device-facing ports, and by uplinks. They differ for broadcasts and multicasts only.
    decided: [[Option<Ruling>; POSTURES]; 2],
    /// The first rule of an observed segment.
    observed: Option<u32>,
}

impl Fold {
    pub const EMPTY: Fold = Fold {
        decided: [[None; POSTURES]; 2],
        observed: None,
    };

    /// Adds the next rule that matches.
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

    /// The row, after all rules that match.
    pub fn row(&self, span: Span) -> PolicyRow {
        let [inside, across] = self
            .decided
            .map(|row| row.map(|at| at.unwrap_or(Ruling::NONE)));
        let [inner_reach, outer_reach] = span.reaches();
        let inside = self.as_observed(inside, inner_reach);
        let across = self.as_observed(across, outer_reach);
        let mut rulings = inside;
        for (ruling, across) in rulings.iter_mut().zip(across) {
            if ruling.allows() && !across.allows() {
                *ruling = Ruling::allow_inside(ruling.rule());
            }
        }
        PolicyRow { rulings }
    }

    /// In an observed segment, a flow that no rule allows at normal is allowed by the rule of the segment, even if a rule
    /// denies it. A flow that a rule allows at normal keeps its rulings, so that postures close it.
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
