//! `cordon status`.

use clap::Args;
use cordon_protocol::{Order, PolicyStatus, Status as Answered};

use super::let_be::in_words;
use crate::App;
use crate::error::{Error, Exit};
use crate::render::{
    Cell, Clock, Ink, Table, bytes, clean, count, number, posture, posture_help, span,
};

/// The state of the gateway: posture, policy, ports, flows, drops, warnings.
#[derive(Args)]
pub struct Status {}

impl Status {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app.gateway.get("/v1/status")?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Good);
        }
        let status: Answered = answer.read()?;
        let clock = Clock(answer.now);
        head(app, &status, clock)?;
        if !status.warnings.is_empty() {
            app.out.line("")?;
            let word = app.out.ink(Ink::Warn, "warning");
            for warning in &status.warnings {
                app.out.line(format_args!("{word}  {}", clean(warning)))?;
            }
        }
        for table in [ports(&status), segments(&status), drops(&status)] {
            if !table.is_empty() {
                app.out.line("")?;
                app.out.table(&table)?;
            }
        }
        Ok(Exit::Good)
    }
}

fn head(app: &mut App, status: &Answered, clock: Clock) -> Result<(), Error> {
    let site = status
        .site
        .as_deref()
        .map_or("none: no policy was applied yet".to_owned(), clean);
    app.out
        .line(format_args!("site     {}", app.out.ink(Ink::Strong, site)))?;

    let (name, ink) = posture(&status.posture);
    let help = posture_help(&status.posture);
    if ink == Ink::Good {
        app.out
            .line(format_args!("posture  {}: {help}", app.out.ink(ink, name)))?;
    } else {
        app.out.line(format_args!(
            "posture  {} {help}",
            app.out.ink(ink, format!("*** {name} ***"))
        ))?;
        match &status.order {
            Some(order) => under(app, order, clock)?,
            None => app
                .out
                .line("         by no order that this gateway knows of")?,
        }
        app.out
            .line("         open again: cordon release site --reason \"why it is over\"")?;
    }

    match &status.policy {
        Some(policy) => in_force(app, policy, clock)?,
        None => app
            .out
            .line("policy   none, so nothing is forwarded: cordon apply DIR")?,
    }
    app.out.line(format_args!(
        "gateway  cordond {}, up {}, data plane {}",
        clean(&status.version),
        span(status.uptime_seconds),
        dataplane(&status.dataplane)
    ))?;
    let dropped: u64 = status.drops.iter().map(|drop| drop.packets).sum();
    app.out.line(format_args!(
        "packets  {} passed, {} dropped",
        number(status.passed_packets),
        number(dropped)
    ))?;
    let flows = &status.flows;
    app.out.line(format_args!(
        "flows    {} open, {} half-open, room for {}",
        number(flows.open),
        number(flows.half_open),
        number(flows.limit)
    ))?;
    for segment in status
        .segments
        .iter()
        .filter_map(|segment| segment.would_drop.as_ref())
    {
        app.out
            .line(format_args!("observe  {}", in_words(segment)))?;
        if segment.flows > 0 {
            app.out
                .line("         which and why: cordon flows --would-drop")?;
        }
    }
    if status.events_lost > 0 {
        app.out.line(format_args!(
            "events   {} could not be told of",
            number(status.events_lost)
        ))?;
    }
    Ok(())
}

/// How the data plane was found at the start, in words.
fn dataplane(found: &str) -> String {
    match found {
        "new" => "loaded when it started".to_owned(),
        "taken-over" => "taken over from before it started".to_owned(),
        "replaced" => "replaced when it started".to_owned(),
        other => clean(other),
    }
}

/// Who closed the site, why, and until when.
fn under(app: &mut App, order: &Order, clock: Clock) -> Result<(), Error> {
    app.out
        .line(format_args!("         since {}", clock.when(&order.time)))?;
    let ticket = order
        .ticket
        .as_deref()
        .map(|ticket| format!(", ticket {}", clean(ticket)))
        .unwrap_or_default();
    app.out.line(format_args!(
        "         order {} by {}{ticket}",
        order.sequence,
        clean(&order.by)
    ))?;
    app.out
        .line(format_args!("         why: {}", clean(&order.reason)))?;
    app.out.line(match &order.until {
        Some(until) => format!("         ends by itself at {}", clock.when(until)),
        None => "         ends only by a release".to_owned(),
    })?;
    match &order.warning {
        Some(warning) => {
            let word = app.out.ink(Ink::Warn, "warning");
            app.out
                .line(format_args!("         {word}: {}", clean(warning)))
        }
        None => Ok(()),
    }
}

fn in_force(app: &mut App, policy: &PolicyStatus, clock: Clock) -> Result<(), Error> {
    app.out.line(format_args!(
        "policy   generation {}, {}, {}, {}",
        policy.generation,
        count(policy.devices, "device"),
        count(policy.rules, "rule"),
        classes(policy.classes)
    ))?;
    app.out.line(format_args!(
        "         applied {}, hash {}",
        clock.when(&policy.applied),
        hash(policy)
    ))?;
    if let Some(reverts) = &policy.reverts {
        let not = app.out.ink(Ink::Warn, "not confirmed");
        app.out.line(format_args!(
            "         {not}: the policy before it comes back at {}, unless you say: cordon confirm",
            clock.when(reverts)
        ))?;
    }
    Ok(())
}

/// `1 class`, `9 classes`.
pub fn classes(classes: usize) -> String {
    if classes == 1 {
        "1 class".to_owned()
    } else {
        format!("{} classes", number(classes as u64))
    }
}

/// As much of a hash as tells two policies apart.
pub fn hash(policy: &PolicyStatus) -> String {
    clean(&policy.hash).chars().take(12).collect()
}

fn ports(status: &Answered) -> Table {
    let mut table = Table::new(&["PORT", "INTERFACE", "FACES", "STATE"]);
    for port in &status.ports {
        table.row([
            Cell::ink(Ink::Strong, &port.name),
            Cell::from(port.device.as_str()),
            Cell::from(if port.uplink {
                "the wider network"
            } else {
                "devices"
            }),
            match port.state.as_str() {
                "up" => Cell::ink(Ink::Good, "up"),
                other => Cell::ink(Ink::Bad, other),
            },
        ]);
    }
    table
}

fn segments(status: &Answered) -> Table {
    let mut table = Table::new(&["SEGMENT", "ZONE", "DEVICES OF IT", "MODE", "ATTACHED TO"]);
    for segment in &status.segments {
        table.row([
            Cell::ink(Ink::Strong, &segment.name),
            Cell::from(segment.zone.as_str()),
            Cell::from(if segment.isolate {
                "kept apart"
            } else {
                "may talk"
            }),
            match segment.mode.as_str() {
                "observe" => Cell::ink(Ink::Warn, "observe"),
                other => Cell::from(other),
            },
            attached_to(&segment.attachments).into(),
        ]);
    }
    table
}

/// A segment with a VLAN for each device is attached to hundreds: the first stand for the rest. JSON has them all.
fn attached_to(attachments: &[String]) -> String {
    const SHOWN: usize = 4;
    match attachments.len().checked_sub(SHOWN) {
        None | Some(0) => attachments.join(" "),
        Some(more) => format!("{} and {more} more", attachments[..SHOWN].join(" ")),
    }
}

fn drops(status: &Answered) -> Table {
    let mut table = Table::new(&["DROPPED FOR", ">PACKETS", ">BYTES", "WHICH MEANS"]);
    for drop in &status.drops {
        table.row([
            Cell::ink(Ink::Strong, &drop.reason),
            number(drop.packets).into(),
            bytes(drop.bytes).into(),
            Cell::from(drop.help.trim()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundreds_of_attachments_fit_a_line() {
        let attachments =
            |count: usize| -> Vec<String> { (1..=count).map(|vlan| format!("a.{vlan}")).collect() };
        assert_eq!(attached_to(&attachments(2)), "a.1 a.2");
        assert_eq!(attached_to(&attachments(4)), "a.1 a.2 a.3 a.4");
        assert_eq!(
            attached_to(&attachments(300)),
            "a.1 a.2 a.3 a.4 and 296 more"
        );
    }
}
