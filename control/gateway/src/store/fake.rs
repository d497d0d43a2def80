//! A state directory for tests: its disk can be full, and the daemon can be killed at each of its writes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cordon_protocol::{Order, Sources};

use super::directory::Directory;
use super::error::StoreError;
use super::persistence::Store;
use crate::kill_switch::KillSwitch;
use crate::state::{KernelRecord, State};

/// A state directory on a disk that can be full.
pub struct Disk {
    directory: Directory,
    kill_switch: Arc<KillSwitch>,
    full: Arc<AtomicBool>,
}

impl Disk {
    /// A disk that is full while `full` is set.
    pub fn new(directory: Directory, kill_switch: Arc<KillSwitch>, full: Arc<AtomicBool>) -> Disk {
        Disk {
            directory,
            kill_switch,
            full,
        }
    }

    fn check_space(&self, what: &str) -> Result<(), StoreError> {
        self.kill_switch.step();
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Io {
                path: PathBuf::from(what),
                source: io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32),
            });
        }
        Ok(())
    }
}

impl Store for Disk {
    fn state(&self) -> Result<Option<State>, StoreError> {
        self.directory.state()
    }

    fn prepare_state(&self, state: &State) -> Result<(), StoreError> {
        self.check_space("state.json")?;
        self.directory.prepare_state(state)
    }

    fn commit_state(&self) -> Result<(), StoreError> {
        // A rename needs no disk space.
        self.kill_switch.step();
        self.directory.commit_state()
    }

    fn set_state_aside(&self) -> Result<(), StoreError> {
        self.kill_switch.step();
        self.directory.set_state_aside()
    }

    fn sources(&self, hash: &str) -> Result<Sources, StoreError> {
        self.directory.sources(hash)
    }

    fn add_sources(&self, sources: &Sources) -> Result<String, StoreError> {
        self.check_space("policy")?;
        self.directory.add_sources(sources)
    }

    fn keep_only(&self, hashes: &[&str]) {
        self.kill_switch.step();
        self.directory.keep_only(hashes);
    }

    fn add_order(&self, order: &Order) -> Result<(), StoreError> {
        self.check_space("orders.jsonl")?;
        self.directory.add_order(order)
    }

    fn orders(&self) -> Result<Vec<Order>, StoreError> {
        self.directory.orders()
    }

    fn kernel(&self) -> KernelRecord {
        self.directory.kernel()
    }

    fn set_kernel(&self, kernel: &KernelRecord) {
        self.kill_switch.step();
        self.directory.set_kernel(kernel);
    }
}
