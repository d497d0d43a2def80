//! `cordon flows`.

use clap::Args;
use cordon_protocol::{Endpoint, Flow, Flows as Answered};

use crate::App;
use crate::commands::devices::must_exist;
use crate::error::{Error, Exit};
use crate::render::{Cell, Ink, Table, bytes, clean, endpoint, number, span};

/// More than any gateway holds.
const ALL: u64 = 100_000_000;

/// The flows that are open, the busiest first
#[derive(Args)]
pub struct Flows {
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Only those of a device, at either end.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

impl Flows {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        if let Some(name) = &self.device {
            must_exist(app, name)?;
        }
        // The busiest of a device may be far down the list of all; how many are told of is the gateway's to limit.
        let asked = if self.device.is_some() {
            ALL
        } else {
            self.limit
        };
        let answer = app.gateway.get(&format!("/v1/flows?limit={asked}"))?;
        let Answered { total, flows } = answer.read()?;
        let is = |end: &Endpoint, name: &str| end.device.as_deref() == Some(name);
        let wanted = |flow: &&Flow| match &self.device {
            Some(name) => is(&flow.from, name) || is(&flow.to, name),
            None => true,
        };
        let limit = self.limit as usize;
        if app.json {
            let mut document: serde_json::Value = answer.read()?;
            if let Some(list) = document["flows"].as_array_mut() {
                let mut keep = flows.iter().map(|flow| wanted(&flow));
                list.retain(|_| keep.next().unwrap_or(true));
                list.truncate(limit);
            }
            app.out.json(&document)?;
            return Ok(Exit::Good);
        }
        let found: Vec<&Flow> = flows.iter().filter(wanted).collect();
        let shown = &found[..found.len().min(limit)];
        if !shown.is_empty() {
            app.out.table(&table(shown))?;
            app.out.line("")?;
        }
        let Some(name) = &self.device else {
            app.out.line(format_args!(
                "{} of {} flows shown",
                shown.len(),
                number(total)
            ))?;
            if (shown.len() as u64) < total {
                app.out
                    .line("more with --limit N, those of one device with --device NAME")?;
            }
            return Ok(Exit::Good);
        };
        app.out.line(format_args!(
            "{} of {} flows of {} shown; {} in all",
            shown.len(),
            number(found.len() as u64),
            clean(name),
            number(total)
        ))?;
        if (flows.len() as u64) < total {
            let busiest = number(flows.len() as u64);
            app.out.line(format_args!(
                "looked for among the busiest {busiest} only: the gateway told of no more"
            ))?;
        }
        if shown.len() < found.len() {
            app.out.line("more with --limit N")?;
        }
        Ok(Exit::Good)
    }
}

fn table(flows: &[&Flow]) -> Table {
    let mut table = Table::new(&[
        "FROM",
        "TO",
        "PROTOCOL",
        "SEGMENT",
        "RULE",
        "STATE",
        ">SENT",
        ">RECEIVED",
        ">IDLE",
    ]);
    for flow in flows {
        let state = if flow.answered { "open" } else { "half-open" };
        table.row([
            endpoint(&flow.from).into(),
            endpoint(&flow.to).into(),
            Cell::from(flow.protocol.as_str()),
            Cell::from(flow.segment.as_str()),
            Cell::from(flow.rule.as_str()),
            match flow.current {
                true => Cell::from(state),
                false => Cell::ink(Ink::Faint, format!("{state}, to be judged again")),
            },
            bytes(flow.bytes_sent).into(),
            bytes(flow.bytes_received).into(),
            span(flow.idle_seconds).into(),
        ]);
    }
    table
}
