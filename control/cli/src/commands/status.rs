//! `cordon status`.

use clap::Args;
use cordon_protocol::{Order, PolicyStatus, Status as Answer};

use super::new_order::print_details;
use super::would_drop::segment_summary;
use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Clock, Style, Table, posture, posture_help};
use crate::text::{bytes, classes, clean, count, number, span};

/// Show the state of the gateway: posture, policy, ports, flows, drops, warnings.
#[derive(Args)]
pub struct Status {}

impl Status {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app.gateway.get("/v1/status")?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Success);
        }
        let status: Answer = answer.read()?;
        let clock = Clock(answer.now);
        print_head(app, &status, clock)?;
        if !status.warnings.is_empty() {
            app.out.line("")?;
            let word = app.out.style(Style::Warn, "warning");
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
        Ok(Exit::Success)
    }
}

fn print_head(app: &mut App, status: &Answer, clock: Clock) -> Result<(), Error> {
    let site = status
        .site
        .as_deref()
        .map_or("unknown: no policy was applied yet".to_owned(), clean);
    app.out.line(format_args!(
        "site     {}",
        app.out.style(Style::Strong, site)
    ))?;

    let (name, style) = posture(&status.posture);
    let help = posture_help(&status.posture);
    if style == Style::Good {
        app.out.line(format_args!(
            "posture  {}: {help}",
            app.out.style(style, name)
        ))?;
    } else {
        app.out.line(format_args!(
            "posture  {} {help}",
            app.out.style(style, format!("*** {name} ***"))
        ))?;
        match &status.order {
            Some(order) => print_quarantine(app, order, clock)?,
            None => app
                .out
                .line("         the gateway has no record of the order")?,
        }
        app.out
            .line("         open again: cordon release site --reason \"why it is over\"")?;
    }

    match &status.policy {
        Some(policy) => print_policy(app, policy, clock)?,
        None => app
            .out
            .line("policy   none, so no packet is forwarded: cordon apply DIR")?,
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
        "flows    {} established, {} half-open, limit {}",
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
            .line(format_args!("observe  {}", segment_summary(segment)))?;
        if segment.flows > 0 {
            app.out
                .line("         list them: cordon flows --would-drop")?;
        }
    }
    if status.events_lost > 0 {
        app.out.line(format_args!(
            "events   {} lost: more happened than could be reported",
            number(status.events_lost)
        ))?;
    }
    Ok(())
}

/// What the daemon did with the data plane when it started.
fn dataplane(found: &str) -> String {
    match found {
        "new" => "loaded at the start of cordond".to_owned(),
        "taken-over" => "kept from before the start of cordond".to_owned(),
        "replaced" => "replaced at the start of cordond".to_owned(),
        other => clean(other),
    }
}

/// Prints the order that closed the site.
fn print_quarantine(app: &mut App, order: &Order, clock: Clock) -> Result<(), Error> {
    app.out
        .line(format_args!("         since {}", clock.when(&order.time)))?;
    print_details(app, order, clock, "         ")
}

fn print_policy(app: &mut App, policy: &PolicyStatus, clock: Clock) -> Result<(), Error> {
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
        let not = app.out.style(Style::Warn, "not confirmed");
        app.out.line(format_args!(
            "         {not}: the previous policy returns at {}, unless you run: cordon confirm",
            clock.when(reverts)
        ))?;
    }
    Ok(())
}

/// The beginning of the hash: enough to distinguish policies.
pub fn hash(policy: &PolicyStatus) -> String {
    clean(&policy.hash).chars().take(12).collect()
}

fn ports(status: &Answer) -> Table {
    let mut table = Table::new(&["PORT", "INTERFACE", "FACES", "STATE"]);
    for port in &status.ports {
        table.row([
            Cell::styled(Style::Strong, &port.name),
            Cell::from(port.device.as_str()),
            Cell::from(if port.uplink {
                "the wider network"
            } else {
                "devices"
            }),
            match port.state.as_str() {
                "up" => Cell::styled(Style::Good, "up"),
                other => Cell::styled(Style::Bad, other),
            },
        ]);
    }
    table
}

fn segments(status: &Answer) -> Table {
    let mut table = Table::new(&["SEGMENT", "ZONE", "ITS DEVICES", "MODE", "ATTACHED TO"]);
    for segment in &status.segments {
        table.row([
            Cell::styled(Style::Strong, &segment.name),
            Cell::from(segment.zone.as_str()),
            Cell::from(if segment.isolate {
                "isolated"
            } else {
                "may connect"
            }),
            match segment.mode.as_str() {
                "observe" => Cell::styled(Style::Warn, "observe"),
                other => Cell::from(other),
            },
            attached_to(&segment.attachments).into(),
        ]);
    }
    table
}

/// The first attachments, and the number of the others: a segment with a VLAN for each device has hundreds. JSON lists
/// them all.
fn attached_to(attachments: &[String]) -> String {
    const SHOWN: usize = 4;
    match attachments.len().checked_sub(SHOWN) {
        None | Some(0) => attachments.join(" "),
        Some(more) => format!("{} and {more} more", attachments[..SHOWN].join(" ")),
    }
}

fn drops(status: &Answer) -> Table {
    let mut table = Table::new(&["DROP REASON", ">PACKETS", ">BYTES", "MEANING"]);
    for drop in &status.drops {
        table.row([
            Cell::styled(Style::Strong, &drop.reason),
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
    fn a_long_list_of_attachments_is_shortened() {
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
