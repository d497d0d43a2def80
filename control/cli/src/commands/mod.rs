//! The commands: one module for each noun or action.

mod apply;
mod check;
mod devices;
mod explain;
mod flows;
mod new_order;
mod orders;
mod preview;
mod quarantine;
mod release;
mod rules;
mod services;
mod status;
mod watch;
mod would_drop;

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
