//! `cordon orders`.

use clap::Args;
use cordon_protocol::{Order, OrderKind, Scope};

use crate::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Clock, Ink, Table, milliseconds, posture};

/// Every quarantine and release: who, when, why, and how fast
#[derive(Args)]
pub struct Orders {}

impl Orders {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app.gateway.get("/v1/orders")?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Good);
        }
        let orders: Vec<Order> = answer.read()?;
        let clock = Clock(answer.now);
        if orders.is_empty() {
            app.out.line("no order was given yet")?;
            return Ok(Exit::Good);
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
                Cell::ink(
                    posture(&order.posture).1,
                    format!("{} -> {}", order.before, order.posture),
                ),
                Cell::from(order.by.as_str()),
                match order.in_force_milliseconds {
                    Some(after) => milliseconds(after).into(),
                    None => Cell::ink(Ink::Bad, "not at once"),
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
        Ok(Exit::Good)
    }
}

/// In words.
pub fn kind(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Quarantine => "quarantine",
        OrderKind::Release => "release",
    }
}

/// In words.
pub fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Site => "site",
    }
}
