//! `cordon explain`.

use clap::Args;
use cordon_protocol::{AtPosture, Explanation, Question};
use cordon_verdict::Reason;

use super::would_drop::denied_by;
use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Style, Table, posture};
use crate::text::clean;

const AFTER: &str = "\
Examples:
  cordon explain ct-1 10.200.4.7 dicom
  cordon explain 10.29.0.50 pump-1 tcp/445
  cordon explain monitor-1 broadcast intellivue-announce

The gateway answers with the function that also decides about packets in the kernel. Exit code 0 if the packet passes \
at the posture in force, with every protocol and port of the service; otherwise 4.";

/// Show whether a packet passes at each posture, and which rule decides
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Explain {
    /// A device's name, or an IP address.
    from: String,
    /// A device's name, an IP address, or `broadcast`.
    to: String,
    /// A service's name, or tcp/104, udp/53, icmp.
    service: String,
}

impl Explain {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let Explain { from, to, service } = self;
        let question = Question { from, to, service };
        let answer = app.gateway.post("/v1/explain", &question)?;
        let explanations: Vec<Explanation> = answer.read()?;
        let passes = explanations
            .iter()
            .all(|one| current(one).is_some_and(|at| at.allowed));
        let exit = if passes && !explanations.is_empty() {
            Exit::Success
        } else {
            Exit::Dropped
        };
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(exit);
        }
        for (index, packets) in grouped(&explanations).iter().enumerate() {
            if index > 0 {
                app.out.line("")?;
            }
            print(app, packets)?;
        }
        Ok(exit)
    }
}

/// The verdict at the posture in force.
fn current(explanation: &Explanation) -> Option<&AtPosture> {
    explanation
        .postures
        .iter()
        .find(|at| at.posture == explanation.posture)
}

/// Groups packets that differ only in protocol and port.
fn grouped(explanations: &[Explanation]) -> Vec<Vec<&Explanation>> {
    let mut groups: Vec<Vec<&Explanation>> = Vec::new();
    for one in explanations {
        let same = |other: &Explanation| {
            Explanation {
                packet: one.packet.clone(),
                ..other.clone()
            } == *one
        };
        match groups.iter_mut().find(|group| same(group[0])) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

fn print(app: &mut App, packets: &[&Explanation]) -> Result<(), Error> {
    let Some(first) = packets.first() else {
        return Ok(());
    };
    let names: Vec<_> = packets.iter().map(|one| clean(&one.packet)).collect();
    app.out
        .line(format_args!("from    {}", clean(&first.from)))?;
    app.out.line(format_args!("to      {}", clean(&first.to)))?;
    app.out.line(format_args!(
        "packet  {}, {}",
        names.join(" and "),
        clean(&first.reach)
    ))?;
    app.out
        .line(format_args!("enters  {}", clean(&first.ingress)))?;
    app.out.line("")?;
    app.out.table(&table(first))?;
    app.out.line("")?;
    let at = current(first);
    let verdict = match at.is_some_and(|at| at.allowed) {
        true => app.out.style(Style::Good, "passes"),
        false => app.out.style(Style::Bad, "is dropped"),
    };
    let (posture, _) = posture(&first.posture);
    let by = at.map(decided).unwrap_or_default();
    app.out.line(format_args!(
        "At {posture}, which is in force, it {verdict}{by}."
    ))?;
    if at.is_some_and(|at| at.inside) {
        app.out
            .line("It is sent to device-facing ports only: no copy leaves through an uplink.")?;
    }
    match at.and_then(|at| at.would_drop.as_ref()) {
        Some(why) => app.out.line(format_args!(
            "It passes only because a segment is observed. Enforced, it would be dropped: {}.",
            denied_by(why)
        )),
        None => Ok(()),
    }
}

fn table(explanation: &Explanation) -> Table {
    let mut table = Table::new(&["", "POSTURE", "VERDICT", "RULE", "WRITTEN AT", "NOTE"]);
    for at in &explanation.postures {
        table.row([
            Cell::from(if at.posture == explanation.posture {
                "*"
            } else {
                ""
            }),
            Cell::from(at.posture.as_str()),
            match (at.allowed, at.inside, &at.would_drop) {
                (true, _, Some(_)) => Cell::styled(Style::Warn, "pass"),
                (true, true, _) => Cell::styled(Style::Warn, "pass inside"),
                (true, false, _) => Cell::styled(Style::Good, "pass"),
                (false, ..) => Cell::styled(Style::Bad, "drop"),
            },
            Cell::optional(at.rule.as_deref()),
            Cell::optional(at.place.as_deref()),
            Cell::from(note(at)),
        ]);
    }
    table
}

/// Why a packet is dropped, or passes only in part.
fn note(at: &AtPosture) -> String {
    let mut notes = Vec::new();
    notes.extend(at.reason.as_deref().map(reason_help));
    if at.inside {
        notes.push("not through an uplink".to_owned());
    }
    if let Some(why) = &at.would_drop {
        notes.push(format!(
            "observed; if enforced, dropped: {}",
            denied_by(why)
        ));
    }
    notes.join("; ")
}

/// The rule that allows or denies a packet. If the posture drops it, the reason instead: the table names the rule.
fn decided(at: &AtPosture) -> String {
    if !at.allowed && at.reason.as_deref() != Some(Reason::Rule.name()) {
        return at
            .reason
            .as_deref()
            .map(|reason| format!(": {}", clean(&reason_help(reason))))
            .unwrap_or_default();
    }
    match (&at.rule, &at.place) {
        (Some(rule), Some(place)) => format!(" by {} ({})", clean(rule), clean(place)),
        (Some(rule), None) => format!(" by {}", clean(rule)),
        (None, _) => String::new(),
    }
}

/// The name of a drop reason with its help. A reason of a newer gateway is returned as it is.
fn reason_help(name: &str) -> String {
    // The general help says "the posture in force", which would be wrong in a table of all postures.
    if name == Reason::Posture.name() {
        return format!("{name}: the rule does not survive it");
    }
    let known = Reason::ALL.iter().find(|reason| reason.name() == name);
    known.map_or_else(
        || name.to_owned(),
        |reason| format!("{name}: {}", reason.help().trim().trim_end_matches('.')),
    )
}
