//! What stops at a posture and what goes on, told before a quarantine and after it.

use cordon_policy::Posture;
use cordon_protocol::Rule;

use crate::error::Error;
use crate::render::{Cell, Clock, Ink, Out, Table, clean};

/// Longer lists belong on a screen of their own.
const LISTED: usize = 40;

/// The rules, sorted by what becomes of them. Those that let nothing through at any posture are left out.
pub struct Outlook<'a> {
    posture: Posture,
    goes_on: Vec<&'a Rule>,
    /// What nobody wrote.
    built_in: Vec<&'a Rule>,
    partly: Vec<&'a Rule>,
    /// Segments that are observed.
    observed: Vec<&'a str>,
    stops: Vec<&'a Rule>,
}

impl<'a> Outlook<'a> {
    /// At a posture.
    pub fn new(rules: &'a [Rule], posture: Posture, clock: Clock) -> Outlook<'a> {
        let mut outlook = Outlook {
            posture,
            goes_on: Vec::new(),
            built_in: Vec::new(),
            partly: Vec::new(),
            observed: Vec::new(),
            stops: Vec::new(),
        };
        let today = clock.today();
        let over = |rule: &Rule| rule.expires.as_ref().is_some_and(|last| *last < today);
        // An older gateway does not say what a rule comes to.
        let told = rules.iter().any(|rule| !rule.open_at.is_empty());
        for rule in rules
            .iter()
            .filter(|rule| rule.action != "deny" && !over(rule))
        {
            let survives = rule.survives.parse::<Posture>();
            let open = match (told, &survives) {
                (true, _) => rule.open_at.iter().any(|open| open == posture.name()),
                (false, Ok(survives)) => *survives >= posture && posture < Posture::Sever,
                (false, Err(_)) => partly(posture).is_some(),
            };
            match survives {
                _ if told && rule.open_at.is_empty() => {}
                _ if !open => outlook.stops.push(rule),
                Ok(_) if rule.place.is_none() => outlook.built_in.push(rule),
                Ok(_) => outlook.goes_on.push(rule),
                Err(_) => match observed(&rule.name) {
                    Some(segment) => outlook.observed.push(segment),
                    None => outlook.partly.push(rule),
                },
            }
        }
        outlook
    }

    /// Tells it.
    pub fn tell(&self, out: &mut Out) -> Result<(), Error> {
        let posture = self.posture;
        let heading = out.ink(Ink::Good, "Goes on");
        match self.goes_on.as_slice() {
            [] if posture == Posture::Sever => out.line(format_args!("{heading}: nothing"))?,
            [] => out.line(format_args!(
                "{heading}: no rule says that it survives {posture}"
            ))?,
            rules => {
                out.line(format_args!("{heading}, by rules that survive {posture}:"))?;
                list(out, rules)?;
            }
        }
        if let (Some(part), false) = (partly(posture), self.partly.is_empty()) {
            let heading = out.ink(Ink::Good, "Goes on");
            out.line(format_args!(
                "{heading}{part}, by rules that do not say what they survive:"
            ))?;
            names(out, &self.partly)?;
        }
        if let (Some(part), false) = (partly(posture), self.observed.is_empty()) {
            let heading = out.ink(Ink::Warn, "Only observed, not enforced");
            let mut segments = self.observed.clone();
            segments.dedup();
            let comma = if part.is_empty() { "" } else { "," };
            out.line(format_args!(
                "{heading}: {}. What no rule allows goes on there too{comma}{part}",
                clean(&segments.join(", "))
            ))?;
        }
        if !self.built_in.is_empty() {
            let heading = out.ink(Ink::Good, "Goes on");
            let names: Vec<&str> = self
                .built_in
                .iter()
                .map(|rule| rule.name.as_str())
                .collect();
            out.line(format_args!(
                "{heading}, so that hosts find each other: {}",
                clean(&names.join(", "))
            ))?;
        }
        if !self.stops.is_empty() {
            let heading = out.ink(Ink::Bad, "Stops");
            out.line(format_args!("{heading}, what these rules allowed:"))?;
            names(out, &self.stops)?;
        }
        Ok(())
    }
}

/// The segment that a rule lets be, if it is one of an observed segment.
fn observed(rule: &str) -> Option<&str> {
    let segment = rule.strip_prefix("observe:")?;
    Some(segment.strip_suffix("-inbound").unwrap_or(segment))
}

/// What is left of a rule that does not say what it survives; none if it stops.
fn partly(posture: Posture) -> Option<&'static str> {
    match posture {
        Posture::Normal | Posture::Watch => Some(""),
        Posture::Contain => Some(" inside the site, and no further"),
        Posture::Isolate => Some(" within each zone, and no further"),
        Posture::Lockdown | Posture::Sever => None,
    }
}

fn list(out: &mut Out, rules: &[&Rule]) -> Result<(), Error> {
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
    more(out, rules.len())
}

fn names(out: &mut Out, rules: &[&Rule]) -> Result<(), Error> {
    for rule in rules.iter().take(LISTED) {
        out.line(format_args!("  {}", clean(&rule.name)))?;
    }
    more(out, rules.len())
}

fn more(out: &mut Out, rules: usize) -> Result<(), Error> {
    match rules.checked_sub(LISTED) {
        None | Some(0) => Ok(()),
        Some(more) => out.line(format_args!("  and {more} more: cordon rules")),
    }
}
