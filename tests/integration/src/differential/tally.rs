//! What occurred, and how often: a comparison proves nothing of what it never saw.

use std::collections::BTreeMap;
use std::fmt;

use cordon_compile::rule_index;
use cordon_policy::{Origin, Policy};
use cordon_verdict::Reason;
use cordon_verdict::abi::built_in;

use super::kinds::{KINDS, kinds};
use super::said::{Said, Verdict};

/// What does not occur here. The flow tables of the kernel have room for more flows than there are, and those of user
/// space have no end. A test run leaves room in front of every frame, as drivers must, so that a tag always fits. What
/// becomes of a frame where there is no room is in `tests/differential_limits.rs`.
const NEVER: [Reason; 2] = [Reason::FlowTableFull, Reason::Retag];

/// What only a clock that can be set, or very many frames at once, bring about: `tests/differential_limits.rs`.
const LIMITS: [Reason; 3] = [Reason::Storm, Reason::StationLimit, Reason::FlowLimit];

const EGRESSES: [&str; 7] = [
    "to one attachment",
    "flood, to nobody",
    "flood inside, to nobody",
    "flood, one copy",
    "flood inside, one copy",
    "flood, copies",
    "flood inside, copies",
];
const TAGS: [&str; 7] = [
    "untagged",
    "tag added",
    "tag removed",
    "tag kept",
    "tag rewritten",
    "priority tag removed",
    "priority tag rewritten",
];
const RULES: [&str; 11] = [
    "none",
    "arp",
    "nd",
    "membership",
    "link-control",
    "ether-type",
    "written, allows",
    "written, denies",
    "infrastructure",
    "segment",
    "observe",
];

/// Counts.
#[derive(Debug, Default)]
pub struct Tally {
    /// Policies installed.
    pub policies: usize,
    /// Changes of posture.
    pub postures: usize,
    /// Frames by reason; those that passed are in `egresses`.
    pub reasons: BTreeMap<Reason, usize>,
    /// Frames by the kind of the rule that decided.
    pub rules: BTreeMap<&'static str, usize>,
    /// Frames that passed, by how they left.
    pub egresses: BTreeMap<&'static str, usize>,
    /// Copies by what became of the tag.
    pub tags: BTreeMap<&'static str, usize>,
    /// Frames that passed, by what they are.
    pub passed: BTreeMap<&'static str, usize>,
    /// Frames that did not pass, by what they are.
    pub dropped: BTreeMap<&'static str, usize>,
    origins: Vec<&'static str>,
}

impl Tally {
    /// What has occurred less often than `least` times though it could, and what has occurred though it cannot.
    pub fn amiss(&self, least: usize) -> Vec<String> {
        let mut amiss = Vec::new();
        for reason in Reason::ALL.iter().filter(|one| !LIMITS.contains(one)) {
            let count = self.reasons.get(reason).copied().unwrap_or_default();
            let never = NEVER.contains(reason);
            if (never && count > 0) || (!never && count < least) {
                amiss.push(format!("{}: {count}", reason.name()));
            }
        }
        for (known, counts) in [
            (&EGRESSES[..], &self.egresses),
            (&TAGS, &self.tags),
            (&RULES, &self.rules),
            (&KINDS, &self.passed),
            (&KINDS[..KINDS.len() - 1], &self.dropped),
        ] {
            for name in known {
                let count = counts.get(name).copied().unwrap_or_default();
                if count < least {
                    amiss.push(format!("{name}: {count}"));
                }
            }
            let unknown = counts.keys().filter(|name| !known.contains(name));
            amiss.extend(unknown.map(|name| format!("{name}: at all")));
        }
        amiss
    }

    pub(super) fn installed(&mut self, policy: &Policy) {
        self.policies += 1;
        let kind = |rule: &cordon_policy::Rule| match (rule.origin, rule.allow) {
            (Origin::Written, true) => "written, allows",
            (Origin::Written, false) => "written, denies",
            (Origin::Infrastructure, _) => "infrastructure",
            (Origin::Segment, _) => "segment",
            (Origin::Observe, _) => "observe",
        };
        self.origins = policy.rules.iter().map(kind).collect();
    }

    pub(super) fn said(&mut self, frame: &[u8], said: &Said) {
        let rule = match said.rule {
            0 => "none",
            number => match (built_in(number), rule_index(number)) {
                (Some((name, _)), _) => name,
                (None, Some(index)) => self.origins.get(index).copied().unwrap_or("unknown"),
                (None, None) => "unknown",
            },
        };
        *self.rules.entry(rule).or_default() += 1;
        let of_kinds = match said.verdict {
            Verdict::Drop(_) => &mut self.dropped,
            _ => &mut self.passed,
        };
        for kind in kinds(frame, said) {
            *of_kinds.entry(kind).or_default() += 1;
        }
        let egress = match &said.verdict {
            Verdict::Drop(reason) => {
                *self.reasons.entry(*reason).or_default() += 1;
                return;
            }
            Verdict::Leaves { frame: out, .. } => {
                self.tag(frame, out);
                "to one attachment"
            }
            Verdict::Flood { inside, copies, .. } => {
                let copies = copies.iter().flatten();
                for (_, out) in copies.clone() {
                    self.tag(frame, out);
                }
                match (copies.count(), inside) {
                    (0, false) => "flood, to nobody",
                    (0, true) => "flood inside, to nobody",
                    (1, false) => "flood, one copy",
                    (1, true) => "flood inside, one copy",
                    (_, false) => "flood, copies",
                    (_, true) => "flood inside, copies",
                }
            }
            Verdict::Nonsense(_) => "nonsense",
        };
        *self.egresses.entry(egress).or_default() += 1;
    }

    fn tag(&mut self, before: &[u8], after: &[u8]) {
        let tag = |frame: &[u8]| match frame.get(12..16) {
            Some(&[0x81, 0x00, a, b]) => Some(u16::from_be_bytes([a, b])),
            _ => None,
        };
        let what = match (tag(before), tag(after)) {
            (None, None) => "untagged",
            (None, Some(_)) => "tag added",
            (Some(tag), None) if tag & 0x0fff == 0 => "priority tag removed",
            (Some(_), None) => "tag removed",
            (Some(before), Some(after)) if before == after => "tag kept",
            (Some(tag), Some(_)) if tag & 0x0fff == 0 => "priority tag rewritten",
            (Some(_), Some(_)) => "tag rewritten",
        };
        *self.tags.entry(what).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policies, postures) = (self.policies, self.postures);
        writeln!(
            f,
            "{policies} policies, {postures} other changes of posture"
        )?;
        let reasons = Reason::ALL.iter().map(|reason| {
            let count = self.reasons.get(reason).copied().unwrap_or_default();
            (reason.name(), count)
        });
        table(f, "dropped", reasons)?;
        for (title, counts) in [
            ("passed", &self.egresses),
            ("tags of what left", &self.tags),
            ("rules", &self.rules),
            ("what passed", &self.passed),
            ("what was dropped", &self.dropped),
        ] {
            table(f, title, counts.iter().map(|(name, count)| (*name, *count)))?;
        }
        Ok(())
    }
}

fn table(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    rows: impl Iterator<Item = (&'static str, usize)>,
) -> fmt::Result {
    writeln!(f, "{title}")?;
    for (name, count) in rows {
        writeln!(f, "  {name:<24} {count:>8}")?;
    }
    Ok(())
}
