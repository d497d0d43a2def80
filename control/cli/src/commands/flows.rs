//! `cordon flows`.

use clap::{Args, ValueEnum};
use cordon_protocol::{Flow, Flows as Answered, WouldDrop};

use super::let_be::{By, LetBe};
use crate::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Ink, Table, bytes, clean, endpoint, number, span};

const AFTER: &str = "\
Examples:
  cordon flows --device ct-1                what a device is talking to
  cordon flows --rule vendor-support        who uses a rule just now
  cordon flows --state half-open --limit 50 who asks and is not answered
  cordon flows --would-drop                 what would break if observed segments were enforced
  cordon flows --would-drop --by device     the same, a line for each device

From observe to enforce: write `mode: observe` at a segment in site.yaml and apply. A week later, `cordon flows \
--would-drop` lists who talked to whom without a rule that allows it. Write rules for what must go on and apply: what \
they allow leaves the list. What is left is what stops when the segment is enforced.

Guards (address and port bindings, ARP, DHCP and router advertisements, unknown devices) are enforced in observed \
segments too: what they drop is dropped, and `cordon watch --drops` shows it.";

/// The flows that are open, the busiest first; what enforcement would drop in observed segments
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Flows {
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Only those of a device, at either end.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only those of a segment.
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Only those that a rule allows; with --would-drop, that it would deny (`no-rule` for none).
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only those that are answered, or not yet.
    #[arg(long, conflicts_with = "would_drop")]
    state: Option<State>,
    /// What observed segments let be for as long as they are observed, not only now: who talked to whom without a rule
    /// that allows it, and which rule denies it, if one does.
    #[arg(long)]
    would_drop: bool,
    /// A line for each of these, summed up.
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
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        if self.would_drop {
            return LetBe {
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
            return Ok(Exit::Good);
        }
        let Answered {
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
                "{shown} of {} such flows shown; {} in all",
                number(matching),
                number(total)
            ))?;
        }
        if shown < matching {
            let narrower = match self.device {
                None => ", those of one device with --device NAME",
                Some(_) => "",
            };
            app.out
                .line(format_args!("more with --limit N{narrower}"))?;
        }
        if flows.iter().any(|flow| flow.would_drop.is_some()) {
            app.out
                .line("some pass only because a segment is observed: cordon flows --would-drop")?;
        }
        Ok(Exit::Good)
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
            call.push_str(&format!("&{name}={}", encoded(value)));
        }
        call
    }
}

/// As it is written in the query of a URL.
fn encoded(text: &str) -> String {
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
        let state = if flow.answered { "open" } else { "half-open" };
        table.row([
            endpoint(&flow.from).into(),
            endpoint(&flow.to).into(),
            Cell::from(flow.protocol.as_str()),
            Cell::from(flow.segment.as_str()),
            match &flow.would_drop {
                None => Cell::from(flow.rule.as_str()),
                Some(why) => Cell::ink(Ink::Warn, format!("observed: {}", denied_by(why))),
            },
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

/// Which rule denies it, or that none allows it.
pub fn denied_by(why: &WouldDrop) -> String {
    match (&why.rule, &why.place) {
        (Some(rule), Some(place)) => format!("{} denies it ({})", clean(rule), clean(place)),
        (Some(rule), None) => format!("{} denies it", clean(rule)),
        (None, _) => "no rule allows it".to_owned(),
    }
}
