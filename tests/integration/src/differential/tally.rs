//! What occurred, and how often: a comparison proves nothing of what it never saw.

use std::collections::BTreeMap;
use std::fmt;

use cordon_compile::rule_index;
use cordon_policy::{Origin, Policy, Posture};
use cordon_verdict::Reason;
use cordon_verdict::abi::{built_in, location};

use super::kinds::{KINDS, kinds};
use super::said::{Said, Verdict, port_of};
use crate::generate::GATEWAY;
use crate::generate::frame::{SERVICE_TAG, VLAN_TAG};
use crate::generate::places::{network, tags, vlans};

/// What does not occur here. The flow tables of the kernel have room for more flows than there are, and those of user
/// space have no end. A test run leaves room in front of every frame, as drivers must, so that a tag always fits. What
/// becomes of a frame where there is no room is in `tests/differential_limits.rs`.
const NEVER: [Reason; 2] = [Reason::FlowTableFull, Reason::Retag];

/// What only a clock that can be set, or very many frames at once, bring about: `tests/differential_limits.rs`.
const LIMITS: [Reason; 4] = [
    Reason::Storm,
    Reason::StationLimit,
    Reason::FlowLimit,
    Reason::FloodLimit,
];

const EGRESSES: [&str; 16] = [
    "to one attachment",
    "to another VLAN of the port",
    "proxied, to another port",
    "proxied, to another VLAN of the port",
    "proxied, back where it came from",
    PROXIED_FLOOD,
    "answered, ARP",
    "answered, solicitation",
    "flood, to nobody",
    "flood inside, to nobody",
    "flood, one copy",
    "flood inside, one copy",
    "flood, copies",
    "flood inside, copies",
    STITCHED,
    BACK,
];
/// Only what is answered keeps such a tag: seldom.
const PRIORITY_KEPT: &str = "priority, the same";
/// Only while a device has not been heard of: seldom.
const PROXIED_FLOOD: &str = "proxied, flood";
/// Counted beside the others.
pub const STITCHED: &str = "flood, several copies by one port";
/// Counted beside the others.
pub const BACK: &str = "flood, a copy by the ingress port";
const TAGS: [&str; 17] = [
    "none, none",
    "none, one",
    "none, two",
    "priority, none",
    PRIORITY_KEPT,
    "priority, one",
    "priority, two",
    "one, none",
    "one, the same",
    "one, another",
    "one, two",
    "two, none",
    "two, one",
    "two, the same",
    "two, others",
    "two, and 0x8100 for 0x88a8",
    "two, and 0x88a8 for 0x8100",
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

/// Postures at which something of the policy's passes.
const BY_RULE: [&str; 5] = ["normal", "watch", "contain", "isolate", "lockdown"];

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
    /// Frames that passed by a rule of the policy, by posture.
    pub by_rule: BTreeMap<&'static str, usize>,
    origins: Vec<&'static str>,
    posture: Option<Posture>,
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
            (&BY_RULE, &self.by_rule),
            (&KINDS, &self.passed),
            (&KINDS[..KINDS.len() - 1], &self.dropped),
        ] {
            for name in known {
                let count = counts.get(name).copied().unwrap_or_default();
                let least = match *name {
                    PRIORITY_KEPT | PROXIED_FLOOD => least / 20,
                    _ => least,
                };
                if count < least {
                    amiss.push(format!("{name}: {count}"));
                }
            }
            let unknown = counts.keys().filter(|name| !known.contains(name));
            amiss.extend(unknown.map(|name| format!("{name}: at all")));
        }
        amiss
    }

    pub(super) fn turned(&mut self, posture: Posture) {
        self.postures += 1;
        self.posture = Some(posture);
    }

    pub(super) fn installed(&mut self, policy: &Policy, posture: Posture) {
        self.policies += 1;
        self.posture = Some(posture);
        let kind = |rule: &cordon_policy::Rule| match (rule.origin, rule.allow) {
            (Origin::Written, true) => "written, allows",
            (Origin::Written, false) => "written, denies",
            (Origin::Infrastructure, _) => "infrastructure",
            (Origin::Segment, _) => "segment",
            (Origin::Observe, _) => "observe",
        };
        self.origins = policy.rules.iter().map(kind).collect();
    }

    pub(super) fn said(&mut self, port: u16, frame: &[u8], said: &Said) {
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
        if let (Some(posture), Some(_)) = (self.posture, rule_index(said.rule))
            && !matches!(said.verdict, Verdict::Drop(_))
        {
            *self.by_rule.entry(posture.name()).or_default() += 1;
        }
        for kind in kinds(frame, said) {
            *of_kinds.entry(kind).or_default() += 1;
        }
        let egress = match &said.verdict {
            Verdict::Drop(reason) => {
                *self.reasons.entry(*reason).or_default() += 1;
                return;
            }
            Verdict::Leaves { at, frame: out } => {
                self.tag(frame, out);
                to_one(port, frame, *at, out)
            }
            Verdict::Flood { inside, copies, .. } => {
                let copies: Vec<_> = copies.iter().flatten().collect();
                for (_, out) in &copies {
                    self.tag(frame, out);
                }
                if copies.windows(2).any(|two| two[0].0 == two[1].0) {
                    *self.egresses.entry(STITCHED).or_default() += 1;
                }
                if copies.iter().any(|(to, _)| *to == port) {
                    *self.egresses.entry(BACK).or_default() += 1;
                }
                let proxied = copies.iter().any(|(_, out)| out[6..12] == GATEWAY);
                match (copies.len(), inside) {
                    _ if proxied => PROXIED_FLOOD,
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
        let (before, after) = (tags(before), tags(after));
        let is_priority = |tags: &[(u16, u16)]| matches!(tags, [(_, tag)] if tag & 0x0fff == 0);
        let what = match (&before[..], &after[..]) {
            ([], []) => "none, none",
            ([], [_]) => "none, one",
            ([], _) => "none, two",
            (before, []) if is_priority(before) => "priority, none",
            (before, after) if is_priority(before) && before == after => PRIORITY_KEPT,
            (before, [_]) if is_priority(before) => "priority, one",
            (before, _) if is_priority(before) => "priority, two",
            ([_], []) => "one, none",
            ([_], [_]) if before == after => "one, the same",
            ([_], [_]) => "one, another",
            ([_], _) => "one, two",
            (_, []) => "two, none",
            (_, [_]) => "two, one",
            _ if before == after => "two, the same",
            ([(VLAN_TAG, _), _], [(SERVICE_TAG, _), _]) => "two, and 0x88a8 for 0x8100",
            ([(SERVICE_TAG, _), _], [(VLAN_TAG, _), _]) => "two, and 0x8100 for 0x88a8",
            _ => "two, others",
        };
        *self.tags.entry(what).or_default() += 1;
    }
}

/// How a frame left that left by one attachment.
fn to_one(port: u16, frame: &[u8], at: u32, out: &[u8]) -> &'static str {
    let same_port = port_of(at) == port;
    let from_gateway = out[6..12] == GATEWAY;
    if from_gateway && (!frame.starts_with(&GATEWAY) || out[..6] == frame[6..12]) {
        return match network(frame).and_then(|at| frame.get(at - 2..at)) {
            Some([0x08, 0x06]) => "answered, ARP",
            _ => "answered, solicitation",
        };
    }
    let (vlan, inner) = vlans(frame);
    match (from_gateway, same_port) {
        (false, false) => "to one attachment",
        (false, true) => "to another VLAN of the port",
        (true, false) => "proxied, to another port",
        (true, true) if at == location(port, vlan, inner) => "proxied, back where it came from",
        (true, true) => "proxied, to another VLAN of the port",
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
            ("by a rule of the policy", &self.by_rule),
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
