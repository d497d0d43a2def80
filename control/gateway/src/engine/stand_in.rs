//! The parts of a gateway over a fake kernel, for tests.

use std::sync::Arc;

use cordon_kernel::Opened;

use super::gateway::Parts;
use super::orders::order_seconds;
use crate::clock::fake::Fake;
use crate::plane::fake::Kernel;
use crate::store::Store;

/// The parts of a gateway over a fake kernel and clock.
pub fn stand_in(kernel: &Kernel, store: impl Store + 'static, clock: Arc<Fake>) -> Parts {
    let opened = match kernel.tables().control {
        None => Opened::New,
        Some(_) => Opened::TakenOver,
    };
    Parts {
        plane: Box::new(kernel.clone()),
        opened,
        store: Box::new(store),
        clock,
        pins: "/pins".to_owned(),
        flows: [1, 1],
        order_seconds: order_seconds(),
    }
}
