//! What enforcement would have dropped in observed segments: which conversations, and by which rule or by none.
//!
//! A flow that only a rule `observe:...` allows is also judged by the shadow policy, which has no such rules. Events
//! report new flows. Scans of the flow table find the flows that events missed, and the byte counts.

mod identify;
mod ledger;
mod observer;
mod opening;
mod policy_index;
mod report;
mod shadow;
#[cfg(test)]
pub mod tests;

pub use ledger::Totals;
pub use observer::Observed;
pub use opening::FlowOpening;
pub use shadow::{ShadowPolicy, ShadowVerdict};
