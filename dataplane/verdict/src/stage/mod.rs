//! What each stage of the packet path does. [`crate::path`] has their order.

mod account;
mod begin;
mod decide;
mod extended;

use crate::abi::{Control, Ruling};
use crate::admit::{Ingress, storm};
use crate::authorise::Denied;
use crate::forward;
use crate::frame::Frame;
use crate::identify;
use crate::packet::Link;
use crate::reason::Reason;
use crate::step::{Egress, Passed, Rewriting};
use crate::tables::Tables;

pub use account::{account, establish};
pub use begin::begin;
pub use decide::{authorise, forward, identify, neighbour};
pub use extended::{extended, upper_layer};

/// Writes the tags and MAC addresses that the frame leaves with.
///
/// # Errors
/// As [`begin`].
#[inline(always)]
pub fn rewrite<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    rewriting: &Rewriting,
) -> Result<Passed, Denied> {
    let Rewriting {
        ingress,
        link,
        ruling,
        ..
    } = rewriting;
    let (control, egress) = (ingress.control, rewriting.egress());
    let port = forward::rewrite_for_egress(frame, tables, control.slot, link, egress)?;
    Ok(pass(frame, tables, control, egress, port, *ruling))
}

#[inline(always)]
fn pass<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    control: Control,
    egress: Egress,
    port: u16,
    ruling: Ruling,
) -> Passed {
    let rule = ruling.rule();
    tables.count_rule(control.slot, rule, frame.len());
    Passed { egress, rule, port }
}

/// Learns where the source is, and finds where the destination is.
#[inline(always)]
fn deliver<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    ruling: Ruling,
) -> Result<(Egress, Ruling), Denied> {
    identify::learn(tables, ingress, link)?;
    storm(tables, ingress, link)?;
    let egress = forward::egress(tables, ingress, link, ruling)
        .map_err(|reason| closed_by(reason, ruling.rule()))?;
    Ok((egress, ruling))
}

/// Names the rule that would have let the frame pass at another posture.
#[inline(always)]
fn closed_by(reason: Reason, rule: u32) -> Denied {
    let rule = if reason == Reason::Posture { rule } else { 0 };
    Denied { reason, rule }
}
