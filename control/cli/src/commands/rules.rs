//! `cordon rules`.

use clap::Args;
use cordon_protocol::Rule;

use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Clock, Style, Table};
use crate::text::{bytes, count, number};

/// List the rules in order, with the posture that each survives, and its packets and bytes
#[derive(Args)]
pub struct Rules {
    /// Only the continuity list: rules that survive `contain` or a stricter posture, with owner and reason.
    #[arg(long)]
    continuity: bool,
}

impl Rules {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app.gateway.get("/v1/rules")?;
        let rules: Vec<Rule> = answer.read()?;
        let wanted = |rule: &Rule| !self.continuity || rule.continuity;
        if app.json {
            let mut list: Vec<serde_json::Value> = answer.read()?;
            let mut keep = rules.iter().map(wanted);
            list.retain(|_| keep.next().unwrap_or(true));
            app.out.json(&list.into())?;
            return Ok(Exit::Success);
        }
        let clock = Clock(answer.now);
        let shown: Vec<&Rule> = rules.iter().filter(|rule| wanted(rule)).collect();
        let table = if self.continuity {
            continuity(&shown, clock)
        } else {
            all(&shown, clock)
        };
        if !table.is_empty() {
            app.out.table(&table)?;
            app.out.line("")?;
        }
        let kept = rules.iter().filter(|rule| rule.continuity).count();
        app.out.line(format_args!(
            "{}, {} on the continuity list; the first match decides",
            count(rules.len(), "rule"),
            number(kept as u64)
        ))?;
        Ok(Exit::Success)
    }
}

fn all(rules: &[&Rule], clock: Clock) -> Table {
    let ends = rules.iter().any(|rule| rule.expires.is_some());
    let mut columns = vec![
        "RULE", "FROM", "TO", "SERVICE", "SURVIVES", ">PACKETS", ">BYTES",
    ];
    columns.extend(ends.then_some("EXPIRES"));
    columns.push("WRITTEN AT");
    let mut table = Table::new(&columns);
    for rule in rules {
        let mut cells = vec![
            Cell::styled(Style::Strong, &rule.name),
            few(&rule.from),
            few(&rule.to),
            few(&rule.services),
            survives(rule),
            number(rule.packets).into(),
            bytes(rule.bytes).into(),
        ];
        cells.extend(ends.then(|| expires(rule, clock)));
        cells.push(Cell::from(rule.place.as_deref().unwrap_or("built in")));
        table.cells(cells);
    }
    table
}

/// The first two of a list, and the number of the others.
fn few(all: &[String]) -> Cell {
    match all {
        [] => Cell::from("-"),
        [one] => Cell::from(one.as_str()),
        [one, other] => Cell::from(format!("{one}, {other}")),
        [one, other, more @ ..] => Cell::from(format!("{one}, {other} and {} more", more.len())),
    }
}

fn continuity(rules: &[&Rule], clock: Clock) -> Table {
    let mut table = Table::new(&[
        "RULE", "SURVIVES", "OWNER", "EXPIRES", ">PACKETS", ">BYTES", "REASON",
    ]);
    for rule in rules {
        table.row([
            Cell::styled(Style::Strong, &rule.name),
            survives(rule),
            Cell::optional(rule.owner.as_deref()),
            expires(rule, clock),
            number(rule.packets).into(),
            bytes(rule.bytes).into(),
            Cell::optional(rule.reason.as_deref()),
        ]);
    }
    table
}

/// A deny rule has no posture: it applies at each.
fn survives(rule: &Rule) -> Cell {
    match rule.action.as_str() {
        "deny" => Cell::styled(Style::Bad, "denied"),
        _ => Cell::from(rule.survives.as_str()),
    }
}

fn expires(rule: &Rule, clock: Clock) -> Cell {
    match &rule.expires {
        Some(day) if *day < clock.today() => Cell::styled(Style::Warn, format!("{day}, expired")),
        other => Cell::optional(other.as_deref()),
    }
}
