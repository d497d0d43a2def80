//! One module a noun or action.

mod apply;
mod check;
mod devices;
mod explain;
mod flows;
mod let_be;
mod orders;
mod preview;
mod quarantine;
mod release;
mod rules;
mod services;
mod status;
mod watch;

pub use apply::{Apply, Confirm};
pub use check::Check;
pub use devices::Devices;
pub use explain::Explain;
pub use flows::Flows;
pub use orders::Orders;
pub use quarantine::Quarantine;
pub use release::Release;
pub use rules::Rules;
pub use services::Services;
pub use status::Status;
pub use watch::Watch;

use crate::App;
use crate::args::Command;
use crate::error::{Error, Exit};

/// Does it.
pub fn run(command: Command, app: &mut App) -> Result<Exit, Error> {
    match command {
        Command::Status(status) => status.run(app),
        Command::Quarantine(quarantine) => quarantine.run(app),
        Command::Release(release) => release.run(app),
        Command::Watch(watch) => watch.run(app),
        Command::Flows(flows) => flows.run(app),
        Command::Explain(explain) => explain.run(app),
        Command::Devices(devices) => devices.run(app),
        Command::Rules(rules) => rules.run(app),
        Command::Services(services) => services.run(app),
        Command::Orders(orders) => orders.run(app),
        Command::Check(check) => check.run(app),
        Command::Apply(apply) => apply.run(app),
        Command::Confirm(confirm) => confirm.run(app),
    }
}
