//! Giving an order: what `cordon quarantine` and `cordon release` have in common.

use clap::Args;
use cordon_protocol::{NewOrder, Order, OrderKind, Scope};

use crate::app::App;
use crate::error::{Error, Exit};
use crate::parse::one_line;
use crate::render::{Clock, Style, posture, posture_help};
use crate::text::{clean, milliseconds};

/// Options of every order.
#[derive(Args)]
pub struct OrderArgs {
    /// Why. It is stored with the order, for the record.
    #[arg(long, value_name = "WHY", value_parser = one_line)]
    reason: String,
    /// The ticket of the incident.
    #[arg(long, value_parser = one_line)]
    ticket: Option<String>,
    /// The person who gives the order [default: the user who is logged in].
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    by: Option<String>,
}

impl OrderArgs {
    /// An order for the whole site, without an end.
    pub fn into_order(self, kind: OrderKind, posture: String) -> NewOrder {
        NewOrder {
            kind,
            scope: Scope::Site,
            posture,
            reason: self.reason,
            ticket: self.ticket,
            by: self.by.or_else(login),
            seconds: None,
        }
    }
}

/// The user who logged in, also under `sudo`.
fn login() -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    names.iter().find_map(|name| {
        std::env::var(name)
            .ok()
            .filter(|user| !user.trim().is_empty())
    })
}

/// An order that is not in force yet is a failure, so that a script does not take it for done.
pub fn exit_of(order: &Order) -> Exit {
    match order.in_force_milliseconds {
        Some(_) => Exit::Success,
        None => Exit::Failed,
    }
}

/// Prints what is in force after an order.
pub fn print_order(app: &mut App, order: &Order, clock: Clock) -> Result<(), Error> {
    let out = &mut app.out;
    let (name, style) = posture(&order.posture);
    let name = out.style(style, format!("*** {name} ***"));
    match order.in_force_milliseconds {
        Some(after) => out.line(format_args!(
            "{name} is in force since {}, {} after the order came in",
            clock.at(&order.time),
            milliseconds(after)
        ))?,
        None => out.line(format_args!(
            "{name} is ordered but NOT YET IN FORCE: cordon status"
        ))?,
    }
    out.line(format_args!("  {}", posture_help(&order.posture)))?;
    print_details(app, order, clock, "  ")
}

/// Prints the origin, the reason and the end of an order, a line each.
pub fn print_details(
    app: &mut App,
    order: &Order,
    clock: Clock,
    indent: &str,
) -> Result<(), Error> {
    let out = &mut app.out;
    let ticket = order
        .ticket
        .as_deref()
        .map(|ticket| format!(", ticket {}", clean(ticket)))
        .unwrap_or_default();
    out.line(format_args!(
        "{indent}order {} by {}{ticket}",
        order.sequence,
        clean(&order.by)
    ))?;
    out.line(format_args!("{indent}reason: {}", clean(&order.reason)))?;
    match (order.kind, &order.until) {
        (OrderKind::Release, _) => out.line(format_args!(
            "{indent}posture before: {}",
            clean(&order.before)
        )),
        (_, Some(until)) => out.line(format_args!(
            "{indent}ends by itself at {}",
            clock.when(until)
        )),
        (_, None) => out.line(format_args!("{indent}ends only by a release")),
    }?;
    match &order.warning {
        Some(warning) => {
            let label = out.style(Style::Warn, "warning");
            out.line(format_args!("{indent}{label}: {}", clean(warning)))
        }
        None => Ok(()),
    }
}
