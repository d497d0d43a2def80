//! What is compared. Each is set up in a namespace with `eth1` towards devices and `eth2` towards servers.

mod bridge;
mod cordon;
mod nftables;
mod redirect;

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::namespace::PINS;
use crate::traffic::{Site, short};

use bridge::Bridge;
use cordon::Cordon;
use nftables::Nftables;
use redirect::Redirect;

/// Which gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A Linux bridge.
    Bridge,
    /// Nothing but `XDP_REDIRECT`.
    Redirect,
    /// nftables.
    Nftables,
    /// Cordon.
    Cordon,
}

impl Kind {
    /// As it is in the names of records.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bridge => "bridge",
            Kind::Redirect => "redirect",
            Kind::Nftables => "nftables",
            Kind::Cordon => "cordon",
        }
    }
}

/// One line of the table: a gateway that is told of a site, passing so many flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// Which gateway.
    pub kind: Kind,
    /// How many flows.
    pub flows: u32,
    /// What it is told of; that is nothing to a bare redirect.
    pub site: Site,
}

impl Case {
    /// What its records' names end in.
    pub fn suffix(self) -> String {
        let flows = short(self.flows);
        match self.kind {
            Kind::Redirect => flows,
            _ => format!("{flows}.{}", self.site.name()),
        }
    }

    /// Its name, as in the records.
    pub fn name(self) -> String {
        format!("{}.{}", self.kind.name(), self.suffix())
    }
}

/// What a gateway says of itself, since it was set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Frames passed on.
    pub passed: Option<u64>,
    /// Flows opened.
    pub opened: Option<u64>,
    /// Frames dropped, with the reason.
    pub dropped: Vec<(String, u64)>,
}

/// A gateway under test.
pub trait Gateway: Send + Sync {
    /// What it counted so far.
    ///
    /// # Errors
    /// If its counters cannot be read.
    fn account(&mut self) -> Result<Account>;

    /// How many flows it has heard both ends of.
    ///
    /// # Errors
    /// If it cannot be read.
    fn established(&mut self) -> Result<u64>;

    /// Forgets all flows.
    ///
    /// # Errors
    /// If the kernel does not let it.
    fn forget(&mut self) -> Result<()>;

    /// How many bytes of the kernel's memory its tables take.
    ///
    /// # Errors
    /// If the kernel does not say.
    fn memory(&self) -> Result<u64> {
        Ok(0)
    }

    /// How it was set up, in a line for the report.
    fn described(&self) -> String;
}

/// One in the calling thread's namespace.
///
/// # Errors
/// If something is refused.
pub fn new(kind: Kind, site: Site) -> Result<Box<dyn Gateway>> {
    // Its own, because what is pinned would be taken over.
    static SET_UP: AtomicU32 = AtomicU32::new(0);
    let pins = format!("{PINS}/{}", SET_UP.fetch_add(1, Ordering::Relaxed));
    Ok(match kind {
        Kind::Bridge => Box::new(Bridge::new()?),
        Kind::Redirect => Box::new(Redirect::new()?),
        Kind::Nftables => Box::new(Nftables::new(site)?),
        Kind::Cordon => Box::new(Cordon::new(site, &pins)?),
    })
}
