//! `cordon flows --would-drop`: flows of observed segments that enforcement would have dropped.

use std::collections::BTreeMap;

use clap::ValueEnum;
use cordon_protocol::{
    Observed, ObservedConversation, ObservedEnd, ObservedSegment, Party, Rule, WouldDrop,
};
use serde_json::{Map, Value, json};

use super::devices::{must_exist, unknown};
use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Clock, Style, Table};
use crate::text::{bytes, clean, count, number};

/// What flows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The end that opened the flow.
    From,
    /// The other end.
    To,
    /// The end in the observed segment.
    Device,
    /// Protocol and port.
    Service,
    /// The rule that denies the flow, or that none allows it.
    Rule,
    /// The observed segment.
    Segment,
}

/// What flows are grouped by without --by.
const DEFAULT_BY: [By; 4] = [By::From, By::To, By::Service, By::Rule];

/// Stands for a rule in filters: flows that no rule allows.
const NO_RULE: &str = "no-rule";

/// What to list.
pub struct WouldDropQuery {
    /// Lines at most.
    pub limit: usize,
    /// Only flows of this device, at either end.
    pub device: Option<String>,
    /// Only flows of this segment.
    pub segment: Option<String>,
    /// Only flows that this rule would deny.
    pub rule: Option<String>,
    /// What flows are grouped by.
    pub by: Vec<By>,
}

/// A group of flows.
struct Sum<'a> {
    /// One of them, for what they have in common.
    example: &'a ObservedConversation,
    flows: u64,
    bytes: u64,
    first: &'a str,
    last: &'a str,
}

impl WouldDropQuery {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        if let Some(name) = &self.device {
            must_exist(app, name)?;
        }
        let answer = app.gateway.get("/v1/observed")?;
        let observed: Observed = answer.read()?;
        self.check(app, &observed)?;
        let talks: Vec<&ObservedConversation> = observed
            .talks
            .iter()
            .filter(|talk| self.wants(talk))
            .collect();
        if app.json && self.by.is_empty() {
            let mut document: Value = answer.read()?;
            if let Some(list) = document["talks"].as_array_mut() {
                let mut keep = observed.talks.iter().map(|talk| self.wants(talk));
                list.retain(|_| keep.next().unwrap_or(true));
                list.truncate(self.limit);
            }
            app.out.json(&document)?;
            return Ok(Exit::Success);
        }
        let by = if self.by.is_empty() {
            &DEFAULT_BY[..]
        } else {
            &self.by
        };
        let sums = summed(&talks, by);
        let shown = &sums[..sums.len().min(self.limit)];
        if app.json {
            let rows: Vec<Value> = shown.iter().map(|sum| in_json(sum, by)).collect();
            app.out.json(&json!(rows))?;
            return Ok(Exit::Success);
        }
        if observed.segments.is_empty() {
            return app
                .out
                .line("no segment is observed. With `mode: observe` for a segment in site.yaml, all its traffic passes, and is listed here if no rule allows it")
                .map(|()| Exit::Success);
        }
        if !shown.is_empty() {
            app.out.table(&table(shown, by, Clock(answer.now)))?;
            app.out.line("")?;
        }
        self.print_summary(app, &observed, shown.len(), sums.len())
    }

    /// Fails if a filter names an unknown segment or rule: an empty list would look like good news.
    fn check(&self, app: &App, observed: &Observed) -> Result<(), Error> {
        let segments = || {
            let segments = observed.segments.iter();
            segments.map(|segment| segment.segment.as_str())
        };
        if let Some(name) = self.segment.as_deref()
            && !segments().any(|known| known == name)
        {
            let hint = "`cordon status` lists the segments, and shows which are observed";
            return Err(unknown("observed segment", name, segments(), hint));
        }
        let Some(name) = self.rule.as_deref().filter(|name| *name != NO_RULE) else {
            return Ok(());
        };
        let rules: Vec<Rule> = app.gateway.get("/v1/rules")?.read()?;
        let denying = || {
            let denying = rules.iter().filter(|rule| rule.action == "deny");
            denying.map(|rule| rule.name.as_str()).chain([NO_RULE])
        };
        match denying().any(|known| known == name) {
            true => Ok(()),
            false => {
                let hint = "`cordon rules` lists the rules; `no-rule` stands for flows that no rule allows";
                Err(unknown("deny rule", name, denying(), hint))
            }
        }
    }

    fn wants(&self, talk: &ObservedConversation) -> bool {
        let is = |party: &Party, name: &String| party.device.as_ref() == Some(name);
        let rule = talk.would_drop.rule.as_deref().unwrap_or(NO_RULE);
        self.segment
            .as_ref()
            .is_none_or(|name| talk.segment == *name)
            && self.rule.as_deref().is_none_or(|name| rule == name)
            && self
                .device
                .as_ref()
                .is_none_or(|name| is(&talk.from, name) || is(&talk.to, name))
    }

    fn print_summary(
        &self,
        app: &mut App,
        observed: &Observed,
        shown: usize,
        all: usize,
    ) -> Result<Exit, Error> {
        for segment in &observed.segments {
            app.out.line(segment_summary(segment))?;
        }
        if shown < all {
            app.out.line(format_args!(
                "{} of {} lines shown: more with --limit N, fewer with --by device,rule",
                shown,
                number(all as u64)
            ))?;
        }
        if observed.unnoted > 0 {
            app.out.line(format_args!(
                "{} could not be recorded: the list was full",
                count(observed.unnoted as usize, "more flow")
            ))?;
        }
        if all > 0 {
            app.out.line(
                "write rules for the flows that must continue, and apply the policy: flows that a rule allows leave this list",
            )?;
        }
        Ok(Exit::Success)
    }
}

/// `guest is observed: enforcement would have dropped 12 flows of 3 hosts, 1.2 MB`.
pub fn segment_summary(segment: &ObservedSegment) -> String {
    let ObservedSegment {
        segment,
        hosts,
        flows,
        bytes: volume,
    } = segment;
    let name = clean(segment);
    match flows {
        0 => format!("{name} is observed: enforcement would not have dropped any flow so far"),
        _ => {
            // The bytes of flows that were opened just now are not known yet.
            let volume = match volume {
                0 => String::new(),
                volume => format!(", {}", bytes(*volume)),
            };
            format!(
                "{name} is observed: enforcement would have dropped {} of {}{volume}",
                count(*flows as usize, "flow"),
                count(*hosts as usize, "host"),
            )
        }
    }
}

/// Groups flows. The group with the most flows comes first.
fn summed<'a>(talks: &[&'a ObservedConversation], by: &[By]) -> Vec<Sum<'a>> {
    let mut sums: Vec<Sum> = Vec::new();
    let mut known: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for talk in talks {
        let key = by.iter().map(|by| text(talk, *by)).collect();
        let at = *known.entry(key).or_insert(sums.len());
        match sums.get_mut(at) {
            None => sums.push(Sum {
                example: talk,
                flows: talk.flows,
                bytes: talk.bytes,
                first: &talk.first,
                last: &talk.last,
            }),
            Some(sum) => {
                sum.flows += talk.flows;
                sum.bytes += talk.bytes;
                // All times have one format and are in UTC, so they can be compared as text.
                sum.first = sum.first.min(&talk.first);
                sum.last = sum.last.max(&talk.last);
            }
        }
    }
    sums.sort_by_key(|sum| std::cmp::Reverse((sum.flows, sum.bytes)));
    sums
}

fn text(talk: &ObservedConversation, by: By) -> String {
    match by {
        By::From => party(&talk.from),
        By::To => party(&talk.to),
        By::Device => party(match talk.inside {
            ObservedEnd::From => &talk.from,
            ObservedEnd::To => &talk.to,
        }),
        By::Service => match &talk.service_name {
            Some(name) => format!("{} {}", clean(name), clean(&talk.service)),
            None => clean(&talk.service),
        },
        By::Rule => denied_by(&talk.would_drop),
        By::Segment => clean(&talk.segment),
    }
}

/// The name of the device, or the address with its zone.
fn party(party: &Party) -> String {
    match (&party.device, &party.zone) {
        (Some(device), _) => clean(device),
        (None, Some(zone)) => format!("{} ({})", clean(&party.ip), clean(zone)),
        (None, None) => clean(&party.ip),
    }
}

fn heading(by: By) -> &'static str {
    match by {
        By::From => "FROM",
        By::To => "TO",
        By::Device => "DEVICE",
        By::Service => "SERVICE",
        By::Rule => "WOULD BE DROPPED BECAUSE",
        By::Segment => "SEGMENT",
    }
}

fn table(sums: &[Sum], by: &[By], clock: Clock) -> Table {
    let mut headings: Vec<&'static str> = by.iter().map(|by| heading(*by)).collect();
    headings.extend([">FLOWS", ">BYTES", "LAST SEEN"]);
    let mut table = Table::new(&headings);
    for sum in sums {
        let mut cells: Vec<Cell> = by
            .iter()
            .map(|by| match (by, &sum.example.would_drop.rule) {
                (By::Rule, Some(_)) => Cell::styled(Style::Bad, text(sum.example, *by)),
                _ => text(sum.example, *by).into(),
            })
            .collect();
        cells.extend([
            number(sum.flows).into(),
            bytes(sum.bytes).into(),
            clock.ago(sum.last).into(),
        ]);
        table.cells(cells);
    }
    table
}

fn in_json(sum: &Sum, by: &[By]) -> Value {
    let talk = sum.example;
    let mut row = Map::new();
    for by in by {
        let (name, value) = match by {
            By::From => ("from", json!(talk.from)),
            By::To => ("to", json!(talk.to)),
            By::Device => match talk.inside {
                ObservedEnd::From => ("device", json!(talk.from)),
                ObservedEnd::To => ("device", json!(talk.to)),
            },
            By::Service => ("service", json!(talk.service)),
            By::Rule => ("would_drop", json!(talk.would_drop)),
            By::Segment => ("segment", json!(talk.segment)),
        };
        row.insert(name.to_owned(), value);
    }
    row.insert("flows".to_owned(), sum.flows.into());
    row.insert("bytes".to_owned(), sum.bytes.into());
    row.insert("first".to_owned(), sum.first.into());
    row.insert("last".to_owned(), sum.last.into());
    Value::Object(row)
}

/// Why enforcement would drop a flow: the rule that denies it, or that no rule allows it.
pub fn denied_by(why: &WouldDrop) -> String {
    match (&why.rule, &why.place) {
        (Some(rule), Some(place)) => format!("{} denies it ({})", clean(rule), clean(place)),
        (Some(rule), None) => format!("{} denies it", clean(rule)),
        (None, _) => "no rule allows it".to_owned(),
    }
}
