//! What a compromised host may send across a boundary.

use std::collections::BTreeMap;
use std::fmt;

use cordon_policy::Posture;
use cordon_portable::Judged;
use cordon_verdict::abi::{
    RULE_ARP, RULE_ETHER_TYPE, RULE_FIRST, RULE_LINK_CONTROL, RULE_MEMBERSHIP, RULE_ND,
};

use super::canonical;
use super::continuity::{addresses, is_explicit, survives};
use super::host::Host;
use super::router::route;
use super::site::Site;
use crate::differential::hex;
use crate::generate::frame::{SCTP, SYN, TCP};
use crate::generate::offsets::offsets;

/// What was seen. Named exceptions are counted, so that it shows when one of them is gone.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Pairs of runs.
    pub runs: usize,
    /// Frames of honest hosts that left and were compared.
    pub honest: usize,
    /// Frames of compromised hosts, by what became of them.
    pub hostile: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Counts a frame of a compromised host.
    fn count(&mut self, what: &'static str) {
        *self.hostile.entry(what).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { runs, honest, .. } = self;
        writeln!(
            f,
            "{runs} pairs of runs, {honest} frames of honest hosts compared"
        )?;
        for (what, count) in &self.hostile {
            writeln!(f, "{count:>10} {what}")?;
        }
        Ok(())
    }
}

/// Checks what leaves because of a frame of the compromised host; `sent` are the frames of honest hosts so far.
///
/// # Errors
/// What must not have left.
pub fn check_hostile(
    site: &mut Site,
    hosts: &[Host],
    attacker: &Host,
    (port, frame): (u16, &[u8]),
    judged: &Judged,
    sent: &[&[u8]],
    tally: &mut Tally,
) -> Result<(), String> {
    let posture = Posture::from_number(judged.outcome.control.posture).ok_or("no posture")?;
    let rule = judged.outcome.rule;
    tally.count("hostile frames");
    let crossing = site.crossing(judged);
    for (egress, left) in &crossing {
        let wrong = |why: &str| {
            let (came, left) = (hex(frame), hex(left));
            Err(format!(
                "{why}: rule {rule}\np{port}: {came}\nleaves by p{egress}: {left}"
            ))
        };
        match rule {
            RULE_ARP | RULE_ND => {
                if let Err(why) = canonical::check(left) {
                    return wrong(&format!("not canonical, {why}"));
                }
                tally.count("crossed: address resolution");
            }
            RULE_LINK_CONTROL => tally.count("crossed: link control (exception)"),
            rule if rule < RULE_FIRST => return wrong("crosses by a built-in rule"),
            rule => {
                if !survives(&site.policy, posture, rule, attacker.segment, left) {
                    return wrong("crosses by a rule that does not survive the posture");
                }
                match is_mid_stream(site, (port, frame), sent) {
                    true => tally.count("crossed: mid-stream (exception)"),
                    false => tally.count("crossed: continuity"),
                }
            }
        }
        if posture >= Posture::Isolate {
            check_other_zones(site, hosts, attacker, posture, left, tally)?;
        }
    }
    let inside = judged.leaving.len() - crossing.len();
    if inside > 0 && site.policy.segments[attacker.segment].isolate {
        match rule {
            RULE_ARP => tally.count("isolated segment: arp (exception)"),
            RULE_ND => tally.count("isolated segment: nd (exception)"),
            RULE_MEMBERSHIP => tally.count("isolated segment: membership (exception)"),
            RULE_ETHER_TYPE => tally.count("isolated segment: ether-type (exception)"),
            RULE_LINK_CONTROL => {}
            rule if is_explicit(&site.policy, rule) => tally.count("isolated segment: by a rule"),
            rule => {
                let frame = hex(frame);
                return Err(format!(
                    "reaches others of its isolated segment: rule {rule}\n{frame}"
                ));
            }
        }
    }
    Ok(())
}

/// Checks that a frame reaches hosts of another zone only by a written rule that survives the posture.
fn check_other_zones(
    site: &mut Site,
    hosts: &[Host],
    attacker: &Host,
    posture: Posture,
    left: &[u8],
    tally: &mut Tally,
) -> Result<(), String> {
    let Some((port, routed, segment)) = route(site, hosts, attacker.segment, left) else {
        return Ok(());
    };
    let arrived = site.judge(port, &routed);
    let zone = |segment: usize| site.policy.segments[segment].zone;
    let inside = arrived
        .leaving
        .iter()
        .any(|(port, _)| !site.is_uplink(*port));
    if !inside || zone(segment) == zone(attacker.segment) {
        return Ok(());
    }
    let rule = arrived.outcome.rule;
    let index = cordon_compile::rule_index(rule);
    let written = index.and_then(|index| site.policy.rules.get(index));
    let survives = written.and_then(|rule| rule.survives);
    if survives.is_none_or(|survives| survives < posture) {
        let frame = hex(&routed);
        return Err(format!(
            "reaches another zone: rule {rule}\np{port}: {frame}"
        ));
    }
    tally.count("reached another zone: by a rule");
    Ok(())
}

/// Whether a TCP or SCTP packet passes in the middle of a connection that its sender may not open, and that no other host
/// has opened.
fn is_mid_stream(site: &mut Site, (port, frame): (u16, &[u8]), sent: &[&[u8]]) -> bool {
    let Some(headers) = offsets(frame) else {
        return false;
    };
    let mut opening = frame.to_vec();
    match headers.protocol {
        TCP => match opening.get_mut(headers.transport + 13) {
            Some(flags) => *flags = SYN,
            None => return false,
        },
        SCTP => match opening.get_mut(headers.transport + 4..headers.transport + 8) {
            Some(tag) => tag.fill(0),
            None => return false,
        },
        _ => return false,
    }
    let ends = |frame: &[u8]| {
        let headers = offsets(frame)?;
        let ports: [u8; 4] = *frame.get(headers.transport..)?.first_chunk()?;
        let (from, to) = addresses(frame)?;
        Some((
            headers.protocol,
            (from, ports[0], ports[1]),
            (to, ports[2], ports[3]),
        ))
    };
    let asked = sent.iter().any(|before| match (ends(before), ends(frame)) {
        (Some((protocol, from, to)), Some((same, source, destination))) => {
            protocol == same && from == destination && to == source
        }
        _ => false,
    });
    !asked
        && site.tentatively(|site| {
            let judged = site.judge(port, &opening);
            site.crossing(&judged).is_empty()
        })
}
