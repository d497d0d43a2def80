//! `cordon flows`.

use clap::{Args, ValueEnum};
use cordon_protocol::{Flow, Flows as Answer};

use super::would_drop::{By, WouldDropQuery, denied_by};
use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Style, Table};
use crate::text::{bytes, endpoint, number, span};

const AFTER: &str = "\
Examples:
  cordon flows --device ct-1                open flows of a device
  cordon flows --rule vendor-support        open flows that a rule allows
  cordon flows --state half-open --limit 50 flows without an answer
  cordon flows --would-drop                 flows that would stop if observed segments were enforced
  cordon flows --would-drop --by device     the same, one line for each device

From observe to enforce: set `mode: observe` for a segment in site.yaml and apply the policy. After a week, `cordon \
flows --would-drop` lists the flows that no rule allows. Write rules for the flows that must continue, and apply: flows \
that a rule allows leave the list. The flows that remain stop when the segment is enforced.

Guards (address and port bindings, ARP, DHCP and router advertisements, unknown devices) are enforced in observed \
segments too: `cordon watch --drops` shows what they drop.";

/// List open flows, the busiest first; or flows that enforcement would drop in observed segments
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Flows {
    /// Lines at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Only flows of this device, at either end.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only flows of this segment.
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Only flows that this rule allows; with --would-drop, flows that it would deny (`no-rule`: no rule allows them).
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only flows in this state: without an answer yet, or with one.
    #[arg(long, conflicts_with = "would_drop")]
    state: Option<State>,
    /// Flows that enforcement would have dropped since the segment is observed, each with the rule that denies it, if one
    /// does.
    #[arg(long)]
    would_drop: bool,
    /// One line for each combination of these, with the sums of its flows.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        requires = "would_drop"
    )]
    by: Vec<By>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    HalfOpen,
    Established,
}

impl Flows {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        if self.would_drop {
            return WouldDropQuery {
                limit: self.limit as usize,
                device: self.device,
                segment: self.segment,
                rule: self.rule,
                by: self.by,
            }
            .run(app);
        }
        let answer = app.gateway.get(&self.call())?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(Exit::Success);
        }
        let Answer {
            total,
            matching,
            flows,
        } = answer.read()?;
        if !flows.is_empty() {
            app.out.table(&table(&flows))?;
            app.out.line("")?;
        }
        let shown = flows.len() as u64;
        if self.filters().next().is_none() {
            app.out
                .line(format_args!("{shown} of {} flows shown", number(total)))?;
        } else {
            app.out.line(format_args!(
                "{shown} of {} matching flows shown; {} flows in all",
                number(matching),
                number(total)
            ))?;
        }
        if shown < matching {
            let narrower = match self.device {
                None => ", flows of one device with --device NAME",
                Some(_) => "",
            };
            app.out
                .line(format_args!("more with --limit N{narrower}"))?;
        }
        if flows.iter().any(|flow| flow.would_drop.is_some()) {
            app.out.line(
                "some flows pass only because a segment is observed: cordon flows --would-drop",
            )?;
        }
        Ok(Exit::Success)
    }

    fn filters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let state = self.state.map(|state| match state {
            State::HalfOpen => "half-open",
            State::Established => "established",
        });
        let filters = [
            ("device", self.device.as_deref()),
            ("segment", self.segment.as_deref()),
            ("rule", self.rule.as_deref()),
            ("state", state),
        ];
        filters
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }

    fn call(&self) -> String {
        let mut call = format!("/v1/flows?limit={}", self.limit);
        for (name, value) in self.filters() {
            call.push_str(&format!("&{name}={}", percent_encoded(value)));
        }
        call
    }
}

/// Percent-encodes a value for the query of a URL (RFC 3986, section 2.1).
fn percent_encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn table(flows: &[Flow]) -> Table {
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
        let state = match flow.answered {
            true => "established",
            false => "half-open",
        };
        table.row([
            endpoint(&flow.from).into(),
            endpoint(&flow.to).into(),
            Cell::from(flow.protocol.as_str()),
            Cell::from(flow.segment.as_str()),
            match &flow.would_drop {
                None => Cell::from(flow.rule.as_str()),
                Some(why) => Cell::styled(Style::Warn, format!("observed: {}", denied_by(why))),
            },
            match flow.current {
                true => Cell::from(state),
                false => Cell::styled(Style::Faint, format!("{state}, to be re-evaluated")),
            },
            bytes(flow.bytes_sent).into(),
            bytes(flow.bytes_received).into(),
            span(flow.idle_seconds).into(),
        ]);
    }
    table
}
