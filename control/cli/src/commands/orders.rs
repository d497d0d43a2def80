//! `cordon orders`.

use clap::Args;
use cordon_protocol::{Order, OrderKind, Scope};

use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Clock, Style, Table, posture};
use crate::text::milliseconds;

/// List quarantines and releases, with user, time, reason, and how fast each came into force
#[derive(Args)]
pub struct Orders {}

impl Orders {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app.gateway.get("/v1/orders")?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Success);
        }
        let orders: Vec<Order> = answer.read()?;
        let clock = Clock(answer.now);
        if orders.is_empty() {
            app.out.line("no orders yet")?;
            return Ok(Exit::Success);
        }
        let mut table = Table::new(&[
            ">NO",
            "TIME",
            "ORDER",
            "SCOPE",
            "POSTURE",
            "BY",
            ">IN FORCE AFTER",
            "ENDS",
            "TICKET",
            "REASON",
        ]);
        for order in &orders {
            table.row([
                order.sequence.to_string().into(),
                clock.at(&order.time).into(),
                Cell::from(kind(order.kind)),
                Cell::from(scope(order.scope)),
                Cell::styled(
                    posture(&order.posture).1,
                    format!("{} -> {}", order.before, order.posture),
                ),
                Cell::from(order.by.as_str()),
                match order.in_force_milliseconds {
                    Some(after) => milliseconds(after).into(),
                    None => Cell::styled(Style::Bad, "not at once"),
                },
                order
                    .until
                    .as_ref()
                    .map_or_else(|| Cell::from("-"), |until| clock.at(until).into()),
                Cell::optional(order.ticket.as_deref()),
                Cell::from(order.reason.as_str()),
            ]);
        }
        app.out.table(&table)?;
        Ok(Exit::Success)
    }
}

fn kind(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Quarantine => "quarantine",
        OrderKind::Release => "release",
    }
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Site => "site",
    }
}
