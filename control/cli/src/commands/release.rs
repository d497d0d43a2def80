//! `cordon release`.

use clap::{Args, Subcommand};
use cordon_policy::Posture;
use cordon_protocol::{NewOrder, Order, OrderKind, Scope};

use super::quarantine::{exit, login, told};
use crate::App;
use crate::args::words;
use crate::error::{Error, Exit};
use crate::render::Clock;

const AFTER: &str = "\
Example:
  cordon release site --reason \"hosts cleaned, INC-4711 closed\"";

/// Open again what a quarantine closed.
#[derive(Args)]
#[command(
    after_help = AFTER,
    arg_required_else_help = true,
    subcommand_value_name = "SCOPE",
    subcommand_help_heading = "Scopes",
    disable_help_subcommand = true
)]
pub struct Release {
    /// What to open.
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
    /// Why it is over. It stays with the order.
    #[arg(long, value_name = "WHY", value_parser = words)]
    reason: String,
    /// The ticket it belongs to.
    #[arg(long, value_parser = words)]
    ticket: Option<String>,
    /// Who gives the order; who you are logged in as, unless you say.
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: Option<String>,
}

impl Release {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let Scopes::Site(site) = self.scope;
        let order = NewOrder {
            kind: OrderKind::Release,
            scope: Scope::Site,
            posture: Posture::Normal.name().to_owned(),
            reason: site.reason,
            ticket: site.ticket,
            by: site.by.or_else(login),
            seconds: None,
        };
        let answer = app.gateway.post("/v1/orders", &order)?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(exit(&answer.read()?));
        }
        let given: Order = answer.read()?;
        told(app, &given, Clock(answer.now))?;
        Ok(exit(&given))
    }
}
