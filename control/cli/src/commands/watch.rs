//! `cordon watch`.

use std::collections::HashMap;
use std::io::{self, IsTerminal};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use cordon_protocol::{Event, EventKind};
use cordon_verdict::Reason;

use super::devices::must_exist;
use super::flows::denied_by;
use crate::App;
use crate::client::Heard;
use crate::error::{Error, Exit};
use crate::render::{Ink, Look, clean, count, endpoint, number, of_day};

/// Drops and new flows as they happen.
///
/// One line each; what repeats is summed up every few seconds. Events are sampled: under load not every packet is told
/// of, while the counters of `cordon status` are exact. Where a segment is observed, a new flow that enforcement would
/// drop says so. Ctrl-C ends it.
#[derive(Args)]
pub struct Watch {
    /// Only drops.
    #[arg(long)]
    drops: bool,
    /// Only what a device sends or is sent.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only drops of this reason.
    #[arg(long, value_parser = reasons())]
    reason: Option<String>,
    /// Only new flows in observed segments that enforcement would drop.
    #[arg(long, conflicts_with_all = ["drops", "reason"])]
    would_drop: bool,
}

fn reasons() -> PossibleValuesParser {
    let value = |reason: &Reason| PossibleValue::new(reason.name()).help(reason.help().trim());
    PossibleValuesParser::new(Reason::ALL.iter().map(value))
}

impl Watch {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        if let Some(name) = &self.device {
            must_exist(app, name)?;
        }
        let mut repeats = Repeats::default();
        let (mut drops, mut flows, mut let_be) = (0, 0, 0);
        let App {
            gateway,
            out,
            err,
            json,
        } = app;
        let look = out.look;
        if io::stdout().is_terminal() && !*json {
            // An empty screen would look like one that does not work.
            err.line(look.ink(Ink::Faint, "listening; times are UTC, Ctrl-C ends it"))?;
        }
        gateway.follow("/v1/events", |heard| {
            match heard {
                Heard::Line(line) => match serde_json::from_slice::<Event>(line) {
                    Ok(event) if self.wants(&event) => {
                        match event.kind {
                            EventKind::Drop => drops += 1,
                            EventKind::Flow => flows += 1,
                        }
                        let_be += usize::from(event.would_drop.is_some());
                        if *json {
                            out.line(String::from_utf8_lossy(line))?;
                        } else if let Some(line) = repeats.heard(&event, look) {
                            out.line(line)?;
                        }
                    }
                    Ok(_) => {}
                    // A program that asked for everything gets it.
                    Err(_) if *json && !self.filters() => {
                        out.line(String::from_utf8_lossy(line))?
                    }
                    Err(error) => {
                        let line = String::from_utf8_lossy(line);
                        err.line(format_args!("not understood ({error}): {}", clean(&line)))?;
                    }
                },
                Heard::Second => repeats
                    .second(look)
                    .into_iter()
                    .try_for_each(|line| out.line(line))?,
                Heard::Interrupt => {
                    repeats
                        .rest(look)
                        .into_iter()
                        .try_for_each(|line| out.line(line))?;
                    out.flush()?;
                    err.line(format_args!(
                        "\n{} and {} were told of",
                        count(drops, "drop"),
                        count(flows, "new flow")
                    ))?;
                    if let_be > 0 {
                        err.line(format_args!(
                            "{} of these flows would be dropped if their segment were not observed",
                            number(let_be as u64)
                        ))?;
                    }
                    return Ok(false);
                }
            }
            out.flush()?;
            Ok(!out.closed())
        })?;
        Ok(Exit::Good)
    }

    fn filters(&self) -> bool {
        self.drops || self.would_drop || self.device.is_some() || self.reason.is_some()
    }

    fn wants(&self, event: &Event) -> bool {
        let at = |end: &Option<cordon_protocol::Endpoint>, name: &str| {
            end.as_ref()
                .is_some_and(|end| end.device.as_deref() == Some(name))
        };
        (!self.drops || event.kind == EventKind::Drop)
            && (!self.would_drop || event.would_drop.is_some())
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| event.reason.as_ref() == Some(reason))
            && self.device.as_ref().is_none_or(|name| {
                event.device.as_ref() == Some(name) || at(&event.from, name) || at(&event.to, name)
            })
    }
}

/// Events that differ in nothing but time and ports are of one kind.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    drop: bool,
    reason: Option<String>,
    rule: Option<String>,
    would_drop: Option<String>,
    ingress: String,
    from: String,
    to: String,
    protocol: Option<String>,
}

/// How often a kind was heard since it was last printed.
struct Count {
    /// Its line, without time and ports.
    text: String,
    more: u64,
    seconds: u32,
}

/// Sums up what repeats: the first of a kind is printed at once, the others as a number.
#[derive(Default)]
struct Repeats {
    kinds: HashMap<Kind, Count>,
}

impl Repeats {
    /// Repeats are printed this often, and a kind that was quiet for as long is new again.
    const SECONDS: u32 = 5;
    /// A flood of different events must not fill the memory: beyond it, every one is printed.
    const KINDS: usize = 4096;

    fn heard(&mut self, event: &Event, look: Look) -> Option<String> {
        let kind = Kind::of(event);
        if let Some(count) = self.kinds.get_mut(&kind) {
            count.more += 1;
            return None;
        }
        let line = line(event, look, true);
        if self.kinds.len() < Self::KINDS {
            let text = self::line(event, look, false);
            self.kinds.insert(
                kind,
                Count {
                    text,
                    more: 0,
                    seconds: 0,
                },
            );
        }
        Some(format!("{}  {line}", of_day(&event.time)))
    }

    fn second(&mut self, look: Look) -> Vec<String> {
        let mut lines = Vec::new();
        self.kinds.retain(|_, count| {
            count.seconds += 1;
            if count.seconds < Self::SECONDS {
                return true;
            }
            lines.extend(count.line(look));
            let quiet = count.more == 0;
            (count.more, count.seconds) = (0, 0);
            !quiet
        });
        lines.sort();
        lines
    }

    fn rest(&mut self, look: Look) -> Vec<String> {
        let mut lines: Vec<_> = self
            .kinds
            .drain()
            .filter_map(|(_, count)| count.line(look))
            .collect();
        lines.sort();
        lines
    }
}

impl Count {
    fn line(&self, look: Look) -> Option<String> {
        let more = look.ink(
            Ink::Strong,
            format_args!("{} more in {} s", number(self.more), self.seconds.max(1)),
        );
        // Under the lines that have a time.
        (self.more > 0).then(|| format!("{:12}  {}  {more}", "", self.text))
    }
}

impl Kind {
    fn of(event: &Event) -> Kind {
        let who = |end: &Option<cordon_protocol::Endpoint>, mac: &str| {
            end.as_ref().map_or(mac.to_owned(), |end| end.ip.clone())
        };
        Kind {
            drop: event.kind == EventKind::Drop,
            reason: event.reason.clone(),
            rule: event.rule.clone(),
            would_drop: event.would_drop.as_ref().map(denied_by),
            ingress: event.ingress.clone(),
            from: who(&event.from, &event.source_mac),
            to: who(&event.to, &event.destination_mac),
            protocol: event.protocol.clone(),
        }
    }
}

/// Who it was, where that is not who has the address: the one to look for.
fn sent_by(event: &Event) -> String {
    let Some(from) = &event.from else {
        return String::new();
    };
    match &event.device {
        Some(device) if from.device.as_ref() != Some(device) => {
            format!(" (sent by {device} {})", event.source_mac)
        }
        None if event.protocol.as_deref() == Some("arp") => {
            format!(" (sent by {})", event.source_mac)
        }
        _ => String::new(),
    }
}

/// An event without its time.
fn line(event: &Event, look: Look, ports: bool) -> String {
    let what = match event.kind {
        EventKind::Drop => look.ink(Ink::Bad, "drop"),
        EventKind::Flow => look.ink(Ink::Good, "flow"),
    };
    let who =
        |end: &Option<cordon_protocol::Endpoint>, mac: &str, device: &Option<String>| match end {
            Some(end) if ports => endpoint(end),
            Some(end) => endpoint(&cordon_protocol::Endpoint {
                port: 0,
                ..end.clone()
            }),
            None => device
                .as_ref()
                .map(|device| format!("{device} {mac}"))
                .unwrap_or(mac.to_owned()),
        };
    let mut text = format!(
        "{}  {}{} -> {}",
        event.ingress,
        who(&event.from, &event.source_mac, &event.device),
        sent_by(event),
        who(&event.to, &event.destination_mac, &None)
    );
    // Where it is only let be, what would become of it says more than the rule that lets it.
    let rule = event.rule.as_ref().filter(|_| event.would_drop.is_none());
    for (before, part) in [
        (" ", event.protocol.as_ref()),
        ("  ", event.reason.as_ref()),
        ("  rule ", rule),
    ] {
        if let Some(part) = part {
            text.push_str(before);
            text.push_str(part);
        }
    }
    let let_be = event.would_drop.as_ref().map(|why| {
        let why = format!("observed, would be dropped: {}", denied_by(why));
        format!("  {}", look.ink(Ink::Warn, why))
    });
    format!("{what}  {}{}", clean(&text), let_be.unwrap_or_default())
}
