//! `cordon quarantine`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::{Args, Subcommand};
use cordon_policy::Posture;
use cordon_protocol::{NewOrder, Order, OrderKind, Rule, Scope, Status};

use super::preview::Outlook;
use crate::App;
use crate::args::{duration, words};
use crate::error::{Error, Exit};
use crate::render::{Clock, Ink, clean, milliseconds, posture, posture_help};

const AFTER: &str = "\
Postures, from open to closed:
  watch     all but what is written `survives: normal`, vendor access for example
  contain   the site is cut off from the wider network and goes on inside (the default)
  isolate   zones are cut off from each other too
  lockdown  only the continuity list is left: `cordon rules --continuity`
  sever     nothing is left but the gateway's own management

Options of `cordon quarantine site`: --reason WHY (always), --posture POSTURE, --for TIME, --ticket TICKET, --by NAME, --yes

Examples:
  cordon quarantine site --reason \"ransomware seen at Rockville\"
  cordon quarantine site --posture lockdown --reason \"spreading inside\" --ticket INC-4711
  cordon quarantine site --posture watch --for 8h --reason \"odd vendor logins\"

When the command returns, it is in force: not one packet is judged by the posture before, live connections included.
It stays in force, also over a reboot, until it is released or the time of --for is over.";

/// Cut a site off: what, how far, and why.
#[derive(Args)]
#[command(
    after_help = AFTER,
    arg_required_else_help = true,
    subcommand_value_name = "SCOPE",
    subcommand_help_heading = "Scopes",
    disable_help_subcommand = true
)]
pub struct Quarantine {
    /// What to cut off.
    #[command(subcommand)]
    scope: Scopes,
}

#[derive(Subcommand)]
enum Scopes {
    /// The whole site that this gateway stands at.
    #[command(after_help = AFTER)]
    Site(Site),
}

#[derive(Args)]
struct Site {
    /// Why. It stays with the order, for whoever comes after you.
    #[arg(long, value_name = "WHY", value_parser = words)]
    reason: String,
    /// How far to close: one of the postures below.
    #[arg(
        long,
        default_value = "contain",
        hide_possible_values = true,
        ignore_case = true,
        value_parser = ["watch", "contain", "isolate", "lockdown", "sever"]
    )]
    posture: String,
    /// The ticket it belongs to.
    #[arg(long, value_parser = words)]
    ticket: Option<String>,
    /// Ends by itself after this time (90s, 10m, 2h, 1d); without it, only a release ends it.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    lasts: Option<Duration>,
    /// Who gives the order; who you are logged in as, unless you say.
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: Option<String>,
    /// Do not ask. Where there is no terminal to ask at, it never does.
    #[arg(long, short)]
    yes: bool,
}

impl Quarantine {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let Scopes::Site(site) = self.scope;
        let order = NewOrder {
            kind: OrderKind::Quarantine,
            scope: Scope::Site,
            posture: site.posture.to_lowercase(),
            reason: site.reason,
            ticket: site.ticket,
            by: site.by.or_else(login),
            seconds: site.lasts.map(|lasts| lasts.as_secs()),
        };
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        if terminal && !site.yes {
            ask(app, &order)?;
        }
        let answer = app.gateway.post("/v1/orders", &order)?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(exit(&answer.read()?));
        }
        let given: Order = answer.read()?;
        let clock = Clock(answer.now);
        told(app, &given, clock)?;
        // The order is in force, so whatever goes wrong with telling what it means is no failure of it.
        let rules = app
            .gateway
            .get("/v1/rules")
            .and_then(|answer| answer.read::<Vec<Rule>>());
        app.out.line("")?;
        match (rules, given.posture.parse()) {
            (Ok(rules), Ok(posture)) => Outlook::new(&rules, posture, clock).tell(&mut app.out)?,
            (Err(error), _) => app.out.line(format_args!(
                "What goes on could not be asked for: {}",
                clean(&error.to_string())
            ))?,
            (_, Err(_)) => {}
        }
        app.out.line("")?;
        app.out.line("See what is dropped:  cordon watch --drops")?;
        app.out
            .line("Open again:           cordon release site --reason \"why it is over\"")?;
        Ok(exit(&given))
    }
}

/// A script must not take an order for done that is not in force.
pub fn exit(given: &Order) -> Exit {
    match given.in_force_milliseconds {
        Some(_) => Exit::Good,
        None => Exit::Failed,
    }
}

/// Who runs this: as they logged in, not as whom `sudo` made them.
pub fn login() -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    names.iter().find_map(|name| {
        std::env::var(name)
            .ok()
            .filter(|user| !user.trim().is_empty())
    })
}

/// Shows what will happen, and asks. What cannot be shown keeps nobody from giving the order.
fn ask(app: &mut App, order: &NewOrder) -> Result<(), Error> {
    let status = app
        .gateway
        .get("/v1/status")
        .and_then(|answer| answer.read::<Status>());
    let rules = app.gateway.get("/v1/rules");
    let err = &mut app.err;
    let (to, ink) = posture(&order.posture);
    let to = err.ink(ink, format!("*** {to} ***"));
    match &status {
        Ok(status) => {
            let site = status.site.as_deref().map_or("the site".to_owned(), clean);
            let (from, _) = posture(&status.posture);
            err.line(format_args!(
                "This puts {site} from {from} to {to}: {}",
                posture_help(&order.posture)
            ))?;
            let stricter = |now: Posture| order.posture.parse().is_ok_and(|then| now > then);
            if status.posture.parse().is_ok_and(stricter) {
                let refused = err.ink(Ink::Warn, "It will be refused");
                err.line(format_args!(
                    "{refused}: of several orders the strictest counts. To open, release first."
                ))?;
            }
        }
        Err(error) => {
            err.line(format_args!(
                "This puts the site to {to}: {}",
                posture_help(&order.posture)
            ))?;
            err.line(format_args!(
                "What is in force now could not be asked for: {}",
                clean(&error.to_string())
            ))?;
        }
    }
    err.line("")?;
    match rules.and_then(|answer| Ok((answer.read::<Vec<Rule>>()?, Clock(answer.now)))) {
        Ok((rules, clock)) => {
            if let Ok(posture) = order.posture.parse() {
                Outlook::new(&rules, posture, clock).tell(err)?;
            }
        }
        Err(error) => err.line(format_args!(
            "What goes on could not be asked for: {}",
            clean(&error.to_string())
        ))?,
    }
    err.line("")?;
    err.prompt("Do it? [y/N] ")?;
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|source| Error::Io {
            what: "cannot read your answer",
            source,
        })?;
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::CalledOff),
    }
}

/// What is in force now, of an order for a posture that closes or opens.
pub fn told(app: &mut App, order: &Order, clock: Clock) -> Result<(), Error> {
    let out = &mut app.out;
    let (name, ink) = posture(&order.posture);
    let name = out.ink(ink, format!("*** {name} ***"));
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
    let ticket = order
        .ticket
        .as_deref()
        .map(|ticket| format!(", ticket {}", clean(ticket)))
        .unwrap_or_default();
    out.line(format_args!(
        "  order {} by {}{ticket}",
        order.sequence,
        clean(&order.by)
    ))?;
    out.line(format_args!("  why: {}", clean(&order.reason)))?;
    match (order.kind, &order.until) {
        (OrderKind::Release, _) => out.line(format_args!("  before: {}", clean(&order.before))),
        (_, Some(until)) => out.line(format_args!("  ends by itself at {}", clock.when(until))),
        (_, None) => out.line("  ends only by a release"),
    }?;
    match &order.warning {
        Some(warning) => {
            let word = out.ink(Ink::Warn, "warning");
            out.line(format_args!("  {word}: {}", clean(warning)))
        }
        None => Ok(()),
    }
}
