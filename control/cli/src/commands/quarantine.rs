//! `cordon quarantine`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::{Args, Subcommand};
use cordon_policy::Posture;
use cordon_protocol::{NewOrder, Order, OrderKind, Rule, Status};

use super::new_order::{OrderArgs, exit_of, print_order};
use super::preview::Preview;
use crate::app::App;
use crate::error::{Error, Exit};
use crate::parse::duration;
use crate::render::{Clock, Style, posture, posture_help};
use crate::text::clean;

const AFTER: &str = "\
Postures, from open to closed:
  watch     drops what a rule marks `survives: normal`, such as vendor access
  contain   cuts the site off from the wider network; traffic inside it continues (the default)
  isolate   also cuts the zones off from each other
  lockdown  leaves only rules with `survives: lockdown`
  sever     forwards no frame; the gateway's management interface still answers

Options of `cordon quarantine site`: --reason WHY (required), --posture POSTURE, --for TIME, --ticket TICKET, --by NAME, --yes

Examples:
  cordon quarantine site --reason \"ransomware seen at Rockville\"
  cordon quarantine site --posture lockdown --reason \"spreading inside\" --ticket INC-4711
  cordon quarantine site --posture watch --for 8h --reason \"odd vendor logins\"

Once the command returns, the posture is in force for every packet, those of established connections included.
It stays in force, also after a reboot, until it is released or the time of --for is over.";

/// Cut a site off from the wider network.
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
    /// The whole site of this gateway.
    #[command(after_help = AFTER)]
    Site(Site),
}

#[derive(Args)]
struct Site {
    #[command(flatten)]
    order: OrderArgs,
    /// The posture: how far to close the site. The postures are listed below.
    #[arg(
        long,
        default_value = "contain",
        hide_possible_values = true,
        ignore_case = true,
        value_parser = ["watch", "contain", "isolate", "lockdown", "sever"]
    )]
    posture: String,
    /// End the quarantine after this time (90s, 10m, 2h, 1d). Without it, only a release ends it.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    lasts: Option<Duration>,
    /// Do not ask for confirmation. Without a terminal, the command never asks.
    #[arg(long, short)]
    yes: bool,
}

impl Quarantine {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let Scopes::Site(site) = self.scope;
        let order = NewOrder {
            seconds: site.lasts.map(|lasts| lasts.as_secs()),
            ..site
                .order
                .into_order(OrderKind::Quarantine, site.posture.to_lowercase())
        };
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        if terminal && !site.yes {
            ask(app, &order)?;
        }
        let answer = app.gateway.post("/v1/orders", &order)?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(exit_of(&answer.read()?));
        }
        let given: Order = answer.read()?;
        let clock = Clock(answer.now);
        print_order(app, &given, clock)?;
        // The order is in force: an error from here on does not make it fail.
        let rules = app
            .gateway
            .get("/v1/rules")
            .and_then(|answer| answer.read::<Vec<Rule>>());
        app.out.line("")?;
        match (rules, given.posture.parse()) {
            (Ok(rules), Ok(posture)) => Preview::new(&rules, posture, clock).print(&mut app.out)?,
            (Err(error), _) => app.out.line(no_preview(&error))?,
            (_, Err(_)) => {}
        }
        app.out.line("")?;
        app.out.line("See what is dropped:  cordon watch --drops")?;
        app.out
            .line("Open again:           cordon release site --reason \"why it is over\"")?;
        Ok(exit_of(&given))
    }
}

fn no_preview(error: &Error) -> String {
    format!(
        "cordon could not find out what continues: {}",
        clean(&error.to_string())
    )
}

/// Shows the effect of an order, and asks whether to give it. It asks even if the effect cannot be shown.
fn ask(app: &mut App, order: &NewOrder) -> Result<(), Error> {
    let status = app
        .gateway
        .get("/v1/status")
        .and_then(|answer| answer.read::<Status>());
    let rules = app.gateway.get("/v1/rules");
    let err = &mut app.err;
    let (to, style) = posture(&order.posture);
    let to = err.style(style, format!("*** {to} ***"));
    match &status {
        Ok(status) => {
            let site = status.site.as_deref().map_or("the site".to_owned(), clean);
            let (from, _) = posture(&status.posture);
            err.line(format_args!(
                "This changes the posture of {site} from {from} to {to}: {}",
                posture_help(&order.posture)
            ))?;
            let stricter = |now: Posture| order.posture.parse().is_ok_and(|then| now > then);
            if status.posture.parse().is_ok_and(stricter) {
                let refused = err.style(Style::Warn, "The order will be refused");
                err.line(format_args!(
                    "{refused}: a stricter posture is in force. To open the site, release it first."
                ))?;
            }
        }
        Err(error) => {
            err.line(format_args!(
                "This changes the posture of the site to {to}: {}",
                posture_help(&order.posture)
            ))?;
            err.line(format_args!(
                "cordon could not find out what is in force now: {}",
                clean(&error.to_string())
            ))?;
        }
    }
    err.line("")?;
    match rules.and_then(|answer| Ok((answer.read::<Vec<Rule>>()?, Clock(answer.now)))) {
        Ok((rules, clock)) => {
            if let Ok(posture) = order.posture.parse() {
                Preview::new(&rules, posture, clock).print(err)?;
            }
        }
        Err(error) => err.line(no_preview(&error))?,
    }
    err.line("")?;
    err.prompt("Give this order? [y/N] ")?;
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|source| Error::Io {
            what: "cannot read your answer",
            source,
        })?;
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::Cancelled),
    }
}
