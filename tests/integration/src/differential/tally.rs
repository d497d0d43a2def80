//! Counts what a run has covered: a comparison proves nothing about cases that did not occur.

use std::collections::BTreeMap;
use std::fmt;

use cordon_compile::rule_index;
use cordon_policy::{Origin, Policy, Posture};
use cordon_verdict::Reason;
use cordon_verdict::abi::{built_in, location};

use super::decision::{Decision, Verdict, port_of};
use super::kinds::{KINDS, kinds};
use crate::generate::GATEWAY;
use crate::generate::frame::{SERVICE_TAG, VLAN_TAG};
use crate::generate::offsets::{network, tags, vlans};

/// Reasons that cannot occur. The kernel's flow tables hold more flows than a run opens, and those of user space are
/// unbounded. A test run provides headroom, as drivers must, so that a tag always fits.
/// `tests/differential_limits` covers frames without headroom.
const NEVER: [Reason; 2] = [Reason::FlowTableFull, Reason::Retag];

/// Reasons that need a settable clock or very many frames at once: `tests/differential_limits` covers them.
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
    "proxied, to the ingress attachment",
    PROXIED_FLOOD,
    "answered, ARP",
    "answered, solicitation",
    "flood, no copy",
    "flood inside, no copy",
    "flood, one copy",
    "flood inside, one copy",
    "flood, copies",
    "flood inside, copies",
    STITCHED,
    BACK,
];
/// Rare: only answers of the gateway keep a priority tag.
const PRIORITY_KEPT: &str = "priority, the same";
/// Rare: only until the device's location is learned.
const PROXIED_FLOOD: &str = "proxied, flood";
/// Counted in addition to another egress.
pub const STITCHED: &str = "flood, several copies by one port";
/// Counted in addition to another egress.
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
/// Rare: only until the host's location is learned.
const TO_MEMBER: &str = "rule, inside, to one host";
/// What becomes of ARP, discovery and membership messages of a device-facing port, or of ruled packets, at a closed
/// boundary; and of messages that do not leave as they came.
const BOUNDARY: [&str; 10] = [
    "arp, crosses",
    "arp, inside",
    "nd, crosses",
    "nd, inside",
    "membership, inside",
    "membership, dropped",
    TO_MEMBER,
    "inside, without a receiver",
    "arp, rewritten",
    "nd, rewritten",
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

/// Postures at which rules of the policy let frames pass.
const BY_RULE: [&str; 5] = ["normal", "watch", "contain", "isolate", "lockdown"];

/// Counts of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Policies installed.
    pub policies: usize,
    /// Changes of posture.
    pub postures: usize,
    /// Dropped frames by reason.
    pub reasons: BTreeMap<Reason, usize>,
    /// Frames by the kind of the deciding rule.
    pub rules: BTreeMap<&'static str, usize>,
    /// Passed frames by egress.
    pub egresses: BTreeMap<&'static str, usize>,
    /// Frames and copies that left, by their tags before and after.
    pub tags: BTreeMap<&'static str, usize>,
    /// Passed frames by kind.
    pub passed: BTreeMap<&'static str, usize>,
    /// Dropped frames by kind.
    pub dropped: BTreeMap<&'static str, usize>,
    /// Frames passed by a rule of the policy, by posture.
    pub by_rule: BTreeMap<&'static str, usize>,
    /// Frames at a closed boundary, and frames that left rewritten.
    pub boundary: BTreeMap<&'static str, usize>,
    origins: Vec<&'static str>,
    posture: Option<Posture>,
}

impl Tally {
    /// The cases that occurred fewer than `least` times, and the impossible cases that occurred.
    pub fn gaps(&self, least: usize) -> Vec<String> {
        let mut gaps = Vec::new();
        for reason in Reason::ALL.iter().filter(|one| !LIMITS.contains(one)) {
            let count = self.reasons.get(reason).copied().unwrap_or_default();
            let never = NEVER.contains(reason);
            if (never && count > 0) || (!never && count < least) {
                gaps.push(format!("{}: {count}", reason.name()));
            }
        }
        for (known, counts) in [
            (&EGRESSES[..], &self.egresses),
            (&TAGS, &self.tags),
            (&RULES, &self.rules),
            (&BY_RULE, &self.by_rule),
            (&BOUNDARY, &self.boundary),
            (&KINDS, &self.passed),
            (&KINDS[..KINDS.len() - 1], &self.dropped),
        ] {
            for name in known {
                let count = counts.get(name).copied().unwrap_or_default();
                let least = match *name {
                    PRIORITY_KEPT | PROXIED_FLOOD | TO_MEMBER => least / 20,
                    _ => least,
                };
                if count < least {
                    gaps.push(format!("{name}: {count}"));
                }
            }
            let unknown = counts.keys().filter(|name| !known.contains(name));
            gaps.extend(unknown.map(|name| format!("{name}: unknown case")));
        }
        gaps
    }

    pub(super) fn posture_changed(&mut self, posture: Posture) {
        self.postures += 1;
        self.posture = Some(posture);
    }

    pub(super) fn policy_installed(&mut self, policy: &Policy, posture: Posture) {
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

    pub(super) fn record(&mut self, port: u16, frame: &[u8], decision: &Decision) {
        let rule = match decision.rule {
            0 => "none",
            number => match (built_in(number), rule_index(number)) {
                (Some((name, _)), _) => name,
                (None, Some(index)) => self.origins.get(index).copied().unwrap_or("unknown"),
                (None, None) => "unknown",
            },
        };
        *self.rules.entry(rule).or_default() += 1;
        for case in self.boundary_cases(frame, decision, rule) {
            *self.boundary.entry(case).or_default() += 1;
        }
        let of_kinds = match decision.verdict {
            Verdict::Drop(_) => &mut self.dropped,
            _ => &mut self.passed,
        };
        if let (Some(posture), Some(_)) = (self.posture, rule_index(decision.rule))
            && !matches!(decision.verdict, Verdict::Drop(_))
        {
            *self.by_rule.entry(posture.name()).or_default() += 1;
        }
        for kind in kinds(frame, decision) {
            *of_kinds.entry(kind).or_default() += 1;
        }
        let egress = match &decision.verdict {
            Verdict::Drop(reason) => {
                *self.reasons.entry(*reason).or_default() += 1;
                return;
            }
            Verdict::Leaves { at, frame: out } => {
                self.count_tags(frame, out);
                unicast_egress(port, frame, *at, out)
            }
            Verdict::Flood { inside, copies, .. } => {
                let copies: Vec<_> = copies.iter().flatten().collect();
                for (_, out) in &copies {
                    self.count_tags(frame, out);
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
                    (0, false) => "flood, no copy",
                    (0, true) => "flood inside, no copy",
                    (1, false) => "flood, one copy",
                    (1, true) => "flood inside, one copy",
                    (_, false) => "flood, copies",
                    (_, true) => "flood inside, copies",
                }
            }
            Verdict::Invalid(_) => "invalid",
        };
        *self.egresses.entry(egress).or_default() += 1;
    }

    /// The cases of [`BOUNDARY`] that a decision is one of.
    fn boundary_cases(
        &self,
        frame: &[u8],
        decision: &Decision,
        rule: &'static str,
    ) -> Vec<&'static str> {
        let mut cases = Vec::new();
        let to_group = frame.first().is_some_and(|first| first & 1 == 1);
        let is_closed =
            self.posture >= Some(Posture::Contain) && self.posture != Some(Posture::Sever);
        match (&decision.verdict, rule) {
            (Verdict::Flood { inside: true, .. }, "arp") => cases.push("arp, inside"),
            (Verdict::Flood { inside: true, .. }, "nd") => cases.push("nd, inside"),
            (Verdict::Flood { inside: true, .. }, "membership") => cases.push("membership, inside"),
            (Verdict::Flood { inside: true, .. }, "segment") if is_closed && !to_group => {
                cases.push(TO_MEMBER);
            }
            (Verdict::Flood { inside: false, .. }, "arp") if is_closed => {
                cases.push("arp, crosses")
            }
            (Verdict::Flood { inside: false, .. }, "nd") if is_closed => cases.push("nd, crosses"),
            (Verdict::Drop(Reason::Posture), "membership") if is_closed => {
                cases.push("membership, dropped");
            }
            (Verdict::Drop(Reason::Posture), "arp" | "nd") if is_closed => {
                cases.push("inside, without a receiver");
            }
            _ => {}
        }
        let left = match &decision.verdict {
            Verdict::Leaves { frame, .. } => Some(frame),
            Verdict::Flood { copies, .. } => copies.iter().flatten().map(|(_, copy)| copy).next(),
            _ => None,
        };
        if let Some(left) = left
            && left[6..12] != GATEWAY
            && network(left).map(|at| &left[at..]) != network(frame).map(|at| &frame[at..])
        {
            match rule {
                "arp" => cases.push("arp, rewritten"),
                "nd" => cases.push("nd, rewritten"),
                _ => {}
            }
        }
        cases
    }

    fn count_tags(&mut self, before: &[u8], after: &[u8]) {
        let (before, after) = (tags(before), tags(after));
        let is_priority =
            |tags: &[(u16, u16)]| matches!(tags, [(_, count_tags)] if count_tags & 0x0fff == 0);
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

/// The egress of a frame that left by one attachment.
fn unicast_egress(port: u16, frame: &[u8], at: u32, out: &[u8]) -> &'static str {
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
        (true, true) if at == location(port, vlan, inner) => "proxied, to the ingress attachment",
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
            ("tags on egress", &self.tags),
            ("rules", &self.rules),
            ("boundary", &self.boundary),
            ("passed by a rule of the policy", &self.by_rule),
            ("kinds passed", &self.passed),
            ("kinds dropped", &self.dropped),
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
