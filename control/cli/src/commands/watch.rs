//! `cordon watch`.

use std::collections::HashMap;
use std::io::{self, IsTerminal};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use cordon_protocol::{Event, EventKind};
use cordon_verdict::Reason;

use super::devices::must_exist;
use super::would_drop::denied_by;
use crate::app::App;
use crate::client::StreamEvent;
use crate::error::{Error, Exit};
use crate::render::{Style, TermCaps, time_of_day};
use crate::text::{clean, count, endpoint, number};

/// Show drops and new flows as they happen.
///
/// One line for each event; repeats are counted and printed every few seconds. Events are sampled: under load, not every
/// packet has an event, while the counters of `cordon status` are exact. In an observed segment, a new flow that
/// enforcement would drop is marked. Ctrl-C ends the command.
#[derive(Args)]
pub struct Watch {
    /// Only drops.
    #[arg(long)]
    drops: bool,
    /// Only events of packets from or to this device.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only drops with this reason.
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
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        if let Some(name) = &self.device {
            must_exist(app, name)?;
        }
        let mut repeats = Repeats::default();
        let (mut drops, mut flows, mut would_drop) = (0, 0, 0);
        let App {
            gateway,
            out,
            err,
            json,
        } = app;
        let caps = out.caps;
        if io::stdout().is_terminal() && !*json {
            // Until the first event, an empty screen would look like a program that does not work.
            err.line(caps.style(
                Style::Faint,
                "waiting for events; times are in UTC, Ctrl-C ends the command",
            ))?;
        }
        gateway.follow("/v1/events", |event| {
            match event {
                StreamEvent::Line(line) => match serde_json::from_slice::<Event>(line) {
                    Ok(event) if self.wants(&event) => {
                        match event.kind {
                            EventKind::Drop => drops += 1,
                            EventKind::Flow => flows += 1,
                        }
                        would_drop += usize::from(event.would_drop.is_some());
                        if *json {
                            out.line(String::from_utf8_lossy(line))?;
                        } else if let Some(line) = repeats.record(&event, caps) {
                            out.line(line)?;
                        }
                    }
                    Ok(_) => {}
                    // Without a filter, a program gets events of a newer gateway too.
                    Err(_) if *json && !self.has_filter() => {
                        out.line(String::from_utf8_lossy(line))?
                    }
                    Err(error) => {
                        let line = String::from_utf8_lossy(line);
                        err.line(format_args!("unknown event ({error}): {}", clean(&line)))?;
                    }
                },
                StreamEvent::Tick => repeats
                    .tick(caps)
                    .into_iter()
                    .try_for_each(|line| out.line(line))?,
                StreamEvent::Interrupt => {
                    repeats
                        .finish(caps)
                        .into_iter()
                        .try_for_each(|line| out.line(line))?;
                    out.flush()?;
                    err.line(format_args!(
                        "\n{} and {} shown",
                        count(drops, "drop"),
                        count(flows, "new flow")
                    ))?;
                    if would_drop > 0 {
                        err.line(format_args!(
                            "{} of these flows would be dropped if their segment were enforced",
                            number(would_drop as u64)
                        ))?;
                    }
                    return Ok(false);
                }
            }
            out.flush()?;
            Ok(!out.is_closed())
        })?;
        Ok(Exit::Success)
    }

    fn has_filter(&self) -> bool {
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

/// What repeated events have in common: everything except time and ports.
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

/// How often a kind of event was repeated since its last line.
struct Count {
    /// The line, without time and ports.
    text: String,
    repeats: u64,
    seconds: u32,
}

/// Prints the first event of a kind at once, and counts its repeats.
#[derive(Default)]
struct Repeats {
    kinds: HashMap<Kind, Count>,
}

impl Repeats {
    /// Repeats are printed at this interval. A kind without a repeat for as long counts as new again.
    const SECONDS: u32 = 5;
    /// Kinds at most, to bound the memory. If there are more, every event of the others is printed.
    const KINDS: usize = 4096;

    fn record(&mut self, event: &Event, caps: TermCaps) -> Option<String> {
        let kind = Kind::of(event);
        if let Some(count) = self.kinds.get_mut(&kind) {
            count.repeats += 1;
            return None;
        }
        let line = line(event, caps, true);
        if self.kinds.len() < Self::KINDS {
            let text = self::line(event, caps, false);
            self.kinds.insert(
                kind,
                Count {
                    text,
                    repeats: 0,
                    seconds: 0,
                },
            );
        }
        Some(format!("{}  {line}", time_of_day(&event.time)))
    }

    fn tick(&mut self, caps: TermCaps) -> Vec<String> {
        let mut lines = Vec::new();
        self.kinds.retain(|_, count| {
            count.seconds += 1;
            if count.seconds < Self::SECONDS {
                return true;
            }
            lines.extend(count.line(caps));
            let is_over = count.repeats == 0;
            (count.repeats, count.seconds) = (0, 0);
            !is_over
        });
        lines.sort();
        lines
    }

    fn finish(&mut self, caps: TermCaps) -> Vec<String> {
        let mut lines: Vec<_> = self
            .kinds
            .drain()
            .filter_map(|(_, count)| count.line(caps))
            .collect();
        lines.sort();
        lines
    }
}

impl Count {
    fn line(&self, caps: TermCaps) -> Option<String> {
        let more = caps.style(
            Style::Strong,
            format_args!("{} more in {} s", number(self.repeats), self.seconds.max(1)),
        );
        // Aligned with the lines that have a time.
        (self.repeats > 0).then(|| format!("{:12}  {}  {more}", "", self.text))
    }
}

impl Kind {
    fn of(event: &Event) -> Kind {
        let address = |end: &Option<cordon_protocol::Endpoint>, mac: &str| {
            end.as_ref().map_or(mac.to_owned(), |end| end.ip.clone())
        };
        Kind {
            drop: event.kind == EventKind::Drop,
            reason: event.reason.clone(),
            rule: event.rule.clone(),
            would_drop: event.would_drop.as_ref().map(denied_by),
            ingress: event.ingress.clone(),
            from: address(&event.from, &event.source_mac),
            to: address(&event.to, &event.destination_mac),
            protocol: event.protocol.clone(),
        }
    }
}

/// The device or MAC address that sent the packet, if the source address belongs to another device.
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
fn line(event: &Event, caps: TermCaps, ports: bool) -> String {
    let what = match event.kind {
        EventKind::Drop => caps.style(Style::Bad, "drop"),
        EventKind::Flow => caps.style(Style::Good, "flow"),
    };
    let party =
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
        party(&event.from, &event.source_mac, &event.device),
        sent_by(event),
        party(&event.to, &event.destination_mac, &None)
    );
    // For a flow that passes only because its segment is observed, the reason for a drop says more than the rule.
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
    let would_drop = event.would_drop.as_ref().map(|why| {
        let why = format!("observed, would be dropped: {}", denied_by(why));
        format!("  {}", caps.style(Style::Warn, why))
    });
    format!("{what}  {}{}", clean(&text), would_drop.unwrap_or_default())
}
