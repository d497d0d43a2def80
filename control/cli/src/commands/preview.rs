//! What continues and what stops at a posture. Printed before a quarantine and after it.

use cordon_policy::Posture;
use cordon_protocol::Rule;

use crate::error::Error;
use crate::render::{Cell, Clock, Out, Style, Table};
use crate::text::clean;

/// Rules listed at most. The rest is left to `cordon rules`.
const LISTED: usize = 40;

/// The rules, grouped by their effect at a posture. Rules that allow no traffic at any posture are left out.
pub struct Preview<'a> {
    posture: Posture,
    /// Rules that survive the posture.
    continues: Vec<&'a Rule>,
    /// Rules of the gateway itself, which no file of the policy holds.
    built_in: Vec<&'a Rule>,
    /// Rules without `survives`, of which the posture leaves a part.
    partial: Vec<&'a Rule>,
    /// Observed segments.
    observed: Vec<&'a str>,
    stops: Vec<&'a Rule>,
}

impl<'a> Preview<'a> {
    /// Groups the rules. `clock` decides which have expired.
    pub fn new(rules: &'a [Rule], posture: Posture, clock: Clock) -> Preview<'a> {
        let mut preview = Preview {
            posture,
            continues: Vec::new(),
            built_in: Vec::new(),
            partial: Vec::new(),
            observed: Vec::new(),
            stops: Vec::new(),
        };
        let today = clock.today();
        let is_expired = |rule: &Rule| rule.expires.as_ref().is_some_and(|last| *last < today);
        // An older gateway does not list the postures at which a rule allows traffic.
        let has_open_at = rules.iter().any(|rule| !rule.open_at.is_empty());
        for rule in rules
            .iter()
            .filter(|rule| rule.action != "deny" && !is_expired(rule))
        {
            let survives = rule.survives.parse::<Posture>();
            let open = match (has_open_at, &survives) {
                (true, _) => rule.open_at.iter().any(|open| open == posture.name()),
                (false, Ok(survives)) => *survives >= posture && posture < Posture::Sever,
                (false, Err(_)) => extent(posture).is_some(),
            };
            match survives {
                _ if has_open_at && rule.open_at.is_empty() => {}
                _ if !open => preview.stops.push(rule),
                Ok(_) if rule.place.is_none() => preview.built_in.push(rule),
                Ok(_) => preview.continues.push(rule),
                Err(_) => match observed_segment(&rule.name) {
                    Some(segment) => preview.observed.push(segment),
                    None => preview.partial.push(rule),
                },
            }
        }
        preview
    }

    /// Prints it.
    pub fn print(&self, out: &mut Out) -> Result<(), Error> {
        let posture = self.posture;
        let heading = out.style(Style::Good, "Continues");
        match self.continues.as_slice() {
            [] if posture == Posture::Sever => out.line(format_args!("{heading}: no traffic"))?,
            [] => out.line(format_args!(
                "{heading}: no rule declares that it survives {posture}"
            ))?,
            rules => {
                out.line(format_args!("{heading}, by rules that survive {posture}:"))?;
                print_table(out, rules)?;
            }
        }
        if let (Some(part), false) = (extent(posture), self.partial.is_empty()) {
            let heading = out.style(Style::Good, "Continues");
            out.line(format_args!(
                "{heading}{part}, by rules without `survives`:"
            ))?;
            print_names(out, &self.partial)?;
        }
        if let (Some(part), false) = (extent(posture), self.observed.is_empty()) {
            let heading = out.style(Style::Warn, "Only observed, not enforced");
            let mut segments = self.observed.clone();
            segments.dedup();
            let comma = if part.is_empty() { "" } else { "," };
            out.line(format_args!(
                "{heading}: {}. Traffic that no rule allows continues there too{comma}{part}",
                clean(&segments.join(", "))
            ))?;
        }
        if !self.built_in.is_empty() {
            let heading = out.style(Style::Good, "Continues");
            let names: Vec<&str> = self
                .built_in
                .iter()
                .map(|rule| rule.name.as_str())
                .collect();
            out.line(format_args!(
                "{heading}, by built-in rules: {}",
                clean(&names.join(", "))
            ))?;
        }
        if !self.stops.is_empty() {
            let heading = out.style(Style::Bad, "Stops");
            out.line(format_args!("{heading} (traffic allowed by these rules):"))?;
            print_names(out, &self.stops)?;
        }
        Ok(())
    }
}

/// The segment, if the rule is the gateway's own rule for an observed segment.
fn observed_segment(rule: &str) -> Option<&str> {
    let segment = rule.strip_prefix("observe:")?;
    Some(segment.strip_suffix("-inbound").unwrap_or(segment))
}

/// Where a rule without `survives` still allows traffic. `None` if it allows none.
fn extent(posture: Posture) -> Option<&'static str> {
    match posture {
        Posture::Normal | Posture::Watch => Some(""),
        Posture::Contain => Some(" inside the site only"),
        Posture::Isolate => Some(" within each zone only"),
        Posture::Lockdown | Posture::Sever => None,
    }
}

fn print_table(out: &mut Out, rules: &[&Rule]) -> Result<(), Error> {
    let mut table = Table::new(&["RULE", "SURVIVES", "OWNER", "REASON"]).indented();
    for rule in rules.iter().take(LISTED) {
        table.row([
            Cell::from(rule.name.as_str()),
            Cell::from(rule.survives.as_str()),
            Cell::optional(rule.owner.as_deref()),
            Cell::optional(rule.reason.as_deref()),
        ]);
    }
    out.table(&table)?;
    print_rest(out, rules.len())
}

fn print_names(out: &mut Out, rules: &[&Rule]) -> Result<(), Error> {
    for rule in rules.iter().take(LISTED) {
        out.line(format_args!("  {}", clean(&rule.name)))?;
    }
    print_rest(out, rules.len())
}

fn print_rest(out: &mut Out, rules: usize) -> Result<(), Error> {
    match rules.checked_sub(LISTED) {
        None | Some(0) => Ok(()),
        Some(more) => out.line(format_args!("  and {more} more: cordon rules")),
    }
}
