//! `cordon release`.

use clap::{Args, Subcommand};
use cordon_policy::Posture;
use cordon_protocol::{Order, OrderKind};

use super::new_order::{OrderArgs, exit_of, print_order};
use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::Clock;

const AFTER: &str = "\
Example:
  cordon release site --reason \"hosts cleaned, INC-4711 closed\"";

/// End a quarantine: open the site again.
#[derive(Args)]
#[command(
    after_help = AFTER,
    arg_required_else_help = true,
    subcommand_value_name = "SCOPE",
    subcommand_help_heading = "Scopes",
    disable_help_subcommand = true
)]
pub struct Release {
    /// What to open again.
    #[command(subcommand)]
    scope: Scopes,
}

#[derive(Subcommand)]
enum Scopes {
    /// The whole site of this gateway.
    #[command(after_help = AFTER)]
    Site(OrderArgs),
}

impl Release {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let Scopes::Site(args) = self.scope;
        let order = args.into_order(OrderKind::Release, Posture::Normal.name().to_owned());
        let answer = app.gateway.post("/v1/orders", &order)?;
        if app.json {
            app.out.json(&answer.read()?)?;
            return Ok(exit_of(&answer.read()?));
        }
        let given: Order = answer.read()?;
        print_order(app, &given, Clock(answer.now))?;
        Ok(exit_of(&given))
    }
}
