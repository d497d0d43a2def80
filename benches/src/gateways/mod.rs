//! What is compared. Each is set up in a namespace with `eth1` towards devices and `eth2` towards servers.

pub mod cordon;
pub mod nftables;
pub mod redirect;

use anyhow::Result;

use crate::traffic::{Site, short};

/// Which gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
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
pub trait Gateway: Send {
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

    /// How it was set up, in a line for the report.
    fn described(&self) -> String;
}
