//! What stops at a posture and what goes on, told before a quarantine and after it.

use cordon_policy::Posture;
use cordon_protocol::Rule;

use crate::error::Error;
use crate::render::{Cell, Clock, Ink, Out, Table, clean};

/// Longer lists belong on a screen of their own.
const LISTED: usize = 40;

/// The rules, sorted by what becomes of them.
pub struct Outlook<'a> {
    posture: Posture,
    goes_on: Vec<&'a Rule>,
    stops: Vec<&'a Rule>,
    by_reach: Vec<&'a Rule>,
}

impl<'a> Outlook<'a> {
    /// At a posture. A rule that denies, or is over, allows nothing either way.
    pub fn new(rules: &'a [Rule], posture: Posture, clock: Clock) -> Outlook<'a> {
        let mut outlook = Outlook {
            posture,
            goes_on: Vec::new(),
            stops: Vec::new(),
            by_reach: Vec::new(),
        };
        let today = clock.today();
        let over = |rule: &Rule| rule.expires.as_ref().is_some_and(|last| *last < today);
        for rule in rules
            .iter()
            .filter(|rule| rule.action != "deny" && !over(rule))
        {
            match rule.survives.parse::<Posture>() {
                Ok(survives) if survives >= posture && posture < Posture::Sever => {
                    outlook.goes_on.push(rule)
                }
                Ok(_) => outlook.stops.push(rule),
                Err(_) => match inside(posture) {
                    Some(_) => outlook.by_reach.push(rule),
                    None => outlook.stops.push(rule),
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
        if let (Some(what), false) = (inside(posture), self.by_reach.is_empty()) {
            let heading = out.ink(Ink::Warn, "By reach");
            out.line(format_args!(
                "{heading}, for rules that do not say: {what}:"
            ))?;
            names(out, &self.by_reach)?;
        }
        let heading = out.ink(Ink::Bad, "Stops");
        match self.stops.as_slice() {
            [] => Ok(()),
            rules => {
                out.line(format_args!(
                    "{heading}, by rules that do not survive {posture}:"
                ))?;
                names(out, rules)
            }
        }
    }
}

/// What becomes of a rule that does not say what it survives; none if it stops altogether.
fn inside(posture: Posture) -> Option<&'static str> {
    match posture {
        Posture::Normal | Posture::Watch => Some("all of it goes on"),
        Posture::Contain => Some("inside the site it goes on, across the site's boundary it stops"),
        Posture::Isolate => {
            Some("within a zone it goes on, between zones and across the boundary it stops")
        }
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
