//! `cordon flows --would-drop`: what observed segments let be that enforcement would have dropped.

use std::collections::BTreeMap;

use clap::ValueEnum;
use cordon_protocol::{Observed, ObservedEnd, ObservedSegment, ObservedTalk, Party, Rule};
use serde_json::{Map, Value, json};

use super::devices::{must_exist, unknown};
use super::flows::denied_by;
use crate::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Clock, Ink, Table, bytes, clean, count, number};

/// What talks are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Who opens.
    From,
    /// To whom.
    To,
    /// The end that is in the observed segment.
    Device,
    /// Protocol and port.
    Service,
    /// The rule that denies it, or none.
    Rule,
    /// The observed segment.
    Segment,
}

/// Unless it is said otherwise.
const USUAL: [By; 4] = [By::From, By::To, By::Service, By::Rule];

/// Stands for the rule of what no rule allows.
const NO_RULE: &str = "no-rule";

/// What is asked for.
pub struct LetBe {
    /// Lines at most.
    pub limit: usize,
    /// Only what this device takes part in.
    pub device: Option<String>,
    /// Only of this segment.
    pub segment: Option<String>,
    /// Only what this rule would deny.
    pub rule: Option<String>,
    /// What talks are summed up by.
    pub by: Vec<By>,
}

/// Talks that are not told apart.
struct Sum<'a> {
    first_of: &'a ObservedTalk,
    flows: u64,
    bytes: u64,
    first: &'a str,
    last: &'a str,
}

impl LetBe {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        if let Some(name) = &self.device {
            must_exist(app, name)?;
        }
        let answer = app.gateway.get("/v1/observed")?;
        let observed: Observed = answer.read()?;
        self.check(app, &observed)?;
        let talks: Vec<&ObservedTalk> = observed
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
            return Ok(Exit::Good);
        }
        let by = if self.by.is_empty() {
            &USUAL[..]
        } else {
            &self.by
        };
        let sums = summed(&talks, by);
        let shown = &sums[..sums.len().min(self.limit)];
        if app.json {
            let rows: Vec<Value> = shown.iter().map(|sum| in_json(sum, by)).collect();
            app.out.json(&json!(rows))?;
            return Ok(Exit::Good);
        }
        if observed.segments.is_empty() {
            return app
                .out
                .line("no segment is observed: `mode: observe` at one in site.yaml lets it be, and notes what would break")
                .map(|()| Exit::Good);
        }
        if !shown.is_empty() {
            app.out.table(&table(shown, by, Clock(answer.now)))?;
            app.out.line("")?;
        }
        self.sum_up(app, &observed, shown.len(), sums.len())
    }

    /// A filter for what is not there would show nothing, and look like good news.
    fn check(&self, app: &App, observed: &Observed) -> Result<(), Error> {
        let segments = || {
            let segments = observed.segments.iter();
            segments.map(|segment| segment.segment.as_str())
        };
        if let Some(name) = self.segment.as_deref()
            && !segments().any(|known| known == name)
        {
            let hint = "`cordon status` shows which segments there are, and which are observed";
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
                let hint = "`cordon rules` lists them; `no-rule` is for what none allows";
                Err(unknown("rule that denies", name, denying(), hint))
            }
        }
    }

    fn wants(&self, talk: &ObservedTalk) -> bool {
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

    fn sum_up(
        &self,
        app: &mut App,
        observed: &Observed,
        shown: usize,
        all: usize,
    ) -> Result<Exit, Error> {
        for segment in &observed.segments {
            app.out.line(in_words(segment))?;
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
                "{} could not be noted: there was no room",
                count(observed.unnoted as usize, "more flow")
            ))?;
        }
        if all > 0 {
            app.out.line(
                "write rules for what must go on and apply them: what they allow leaves this list",
            )?;
        }
        Ok(Exit::Good)
    }
}

/// `guest is observed: enforcement would have dropped 12 flows of 3 hosts, 1.2 MB`.
pub fn in_words(segment: &ObservedSegment) -> String {
    let ObservedSegment {
        segment,
        hosts,
        flows,
        bytes: volume,
    } = segment;
    let name = clean(segment);
    match flows {
        0 => format!("{name} is observed: enforcement would have dropped no flow so far"),
        _ => {
            // Those of flows that were opened just now are not known yet.
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

/// The most flows come first.
fn summed<'a>(talks: &[&'a ObservedTalk], by: &[By]) -> Vec<Sum<'a>> {
    let mut sums: Vec<Sum> = Vec::new();
    let mut known: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for talk in talks {
        let key = by.iter().map(|by| text(talk, *by)).collect();
        let at = *known.entry(key).or_insert(sums.len());
        match sums.get_mut(at) {
            None => sums.push(Sum {
                first_of: talk,
                flows: talk.flows,
                bytes: talk.bytes,
                first: &talk.first,
                last: &talk.last,
            }),
            Some(sum) => {
                sum.flows += talk.flows;
                sum.bytes += talk.bytes;
                // Of one form and in UTC, so that the order of texts is that of times.
                sum.first = sum.first.min(&talk.first);
                sum.last = sum.last.max(&talk.last);
            }
        }
    }
    sums.sort_by_key(|sum| std::cmp::Reverse((sum.flows, sum.bytes)));
    sums
}

fn text(talk: &ObservedTalk, by: By) -> String {
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

/// The device's name, or the address with its zone.
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
            .map(|by| match (by, &sum.first_of.would_drop.rule) {
                (By::Rule, Some(_)) => Cell::ink(Ink::Bad, text(sum.first_of, *by)),
                _ => text(sum.first_of, *by).into(),
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
    let talk = sum.first_of;
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
