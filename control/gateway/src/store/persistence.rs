//! What the engine requires of the persistence of its state.

use cordon_protocol::{Order, Sources};

use super::error::StoreError;
use crate::state::{KernelRecord, State};

/// The persistence of the engine's state.
pub trait Store: Send + Sync {
    /// The stored state; none if there never was one.
    fn state(&self) -> Result<Option<State>, StoreError>;

    /// Writes a state under a second name, so that [`Store::commit_state`] needs no more disk space.
    fn prepare_state(&self, state: &State) -> Result<(), StoreError>;

    /// Makes the prepared state the current one.
    fn commit_state(&self) -> Result<(), StoreError>;

    /// Keeps a state that cannot be read under another name as well, for analysis.
    fn set_state_aside(&self) -> Result<(), StoreError>;

    /// The sources of a policy, by hash.
    fn sources(&self, hash: &str) -> Result<Sources, StoreError>;

    /// Makes the sources of a policy durable; returns their hash.
    fn add_sources(&self, sources: &Sources) -> Result<String, StoreError>;

    /// Removes the sources of every policy that is not listed.
    fn keep_only(&self, hashes: &[&str]);

    /// Appends an order to the list of orders.
    fn add_order(&self, order: &Order) -> Result<(), StoreError>;

    /// The orders, oldest first.
    fn orders(&self) -> Result<Vec<Order>, StoreError>;

    /// What the kernel's tables were filled with; the default if that cannot be read.
    fn kernel(&self) -> KernelRecord;

    /// Stores what the kernel's tables are filled with, without syncing: it is of no use after a reboot. If this fails,
    /// the record is removed.
    fn set_kernel(&self, kernel: &KernelRecord);

    /// Makes a state durable.
    fn set_state(&self, state: &State) -> Result<(), StoreError> {
        self.prepare_state(state)?;
        self.commit_state()
    }
}
