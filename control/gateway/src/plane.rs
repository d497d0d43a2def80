//! The data plane as the engine uses it: an interface small enough for tests to implement.

use std::collections::HashMap;

use cordon_kernel::{
    Dataplane, Drops, Error, FlowEntry, IdleTimeout, Installed, Nic, Stager, SweepLimits, Swept,
    TableBytes,
};
use cordon_tables::{Change, Generation};
use cordon_verdict::abi::{Control, Counter, Station};
use nix::net::if_::InterfaceFlags;

/// The operations of the data plane. [`Dataplane`] documents them.
pub trait Plane: Send {
    /// The policy and posture in force.
    fn control(&self) -> Result<Control, Error>;

    /// A writer for the inactive slot.
    fn stager(&self) -> Result<Box<dyn Stage>, Error>;

    /// Activates the inactive slot at a posture, without losing a packet that both policies allow. `rules` is the
    /// number of rules of the policy before.
    fn flip(&mut self, posture: u8, rules: usize) -> Result<Installed, Error>;

    /// Changes the posture.
    fn set_posture(&mut self, posture: u8) -> Result<Control, Error>;

    /// Attaches a network interface as a port; returns its interface index.
    fn attach(&mut self, port: u16, nic: &str) -> Result<u32, Error>;

    /// Detaches a port.
    fn detach(&mut self, port: u16) -> Result<(), Error>;

    /// Advances the clock of flow idle times by one age tick.
    fn age(&mut self) -> Result<(), Error>;

    /// Removes idle flows and, when the table is nearly full, flows beyond their quota of hosts that are not `listed`,
    /// by FDB key.
    fn sweep(
        &mut self,
        idle_timeout: &dyn Fn(&FlowEntry) -> IdleTimeout,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Swept, Error>;

    /// Frees at most this many entries of flows that sweeps removed; returns whether there are more.
    fn reclaim(&mut self, max: usize) -> Result<bool, Error>;

    /// Calls `each` with every flow.
    fn flows(&self, each: &mut dyn FnMut(FlowEntry));

    /// Calls `each` with every FDB entry and its key.
    fn stations(&self, each: &mut dyn FnMut(u64, Station));

    /// The counters of the first `rules` rules of a slot, by number.
    fn rule_counters(&self, slot: u8, rules: usize) -> Result<Vec<Counter>, Error>;

    /// The drop counters.
    fn drops(&self) -> Result<Drops, Error>;

    /// Number of events that were lost.
    fn events_lost(&self) -> Result<u64, Error>;

    /// Bytes of memory that the tables take.
    fn table_bytes(&self) -> Result<TableBytes, Error>;

    /// The network interfaces of the machine.
    fn links(&self) -> Links;
}

/// A writer for the inactive slot. See
pub trait Stage: Send {
    /// Writes a whole generation.
    fn write(&mut self, slot: u8, generation: &Generation, rules: usize) -> Result<(), Error>;

    /// Applies a change to the generation in a slot.
    fn amend(&mut self, slot: u8, change: &Change, rules: usize) -> Result<(), Error>;
}

impl Stage for Stager {
    fn write(&mut self, slot: u8, generation: &Generation, rules: usize) -> Result<(), Error> {
        Stager::write(self, slot, generation, rules)
    }

    fn amend(&mut self, slot: u8, change: &Change, rules: usize) -> Result<(), Error> {
        Stager::amend(self, slot, change, rules)
    }
}

/// Network interfaces, by name.
pub type Links = HashMap<String, Link>;

/// A network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Whether it has a carrier.
    pub running: bool,
    /// Its MTU in bytes; none if it cannot be read.
    pub mtu: Option<i32>,
}

impl Plane for Dataplane {
    fn control(&self) -> Result<Control, Error> {
        Dataplane::control(self)
    }

    fn stager(&self) -> Result<Box<dyn Stage>, Error> {
        Ok(Box::new(Dataplane::stager(self)?))
    }

    fn flip(&mut self, posture: u8, rules: usize) -> Result<Installed, Error> {
        Dataplane::flip(self, posture, rules)
    }

    fn set_posture(&mut self, posture: u8) -> Result<Control, Error> {
        Dataplane::set_posture(self, posture)
    }

    fn attach(&mut self, port: u16, nic: &str) -> Result<u32, Error> {
        Dataplane::attach(self, port, nic).map(|nic| nic.index)
    }

    fn detach(&mut self, port: u16) -> Result<(), Error> {
        Dataplane::detach(self, port)
    }

    fn age(&mut self) -> Result<(), Error> {
        Dataplane::age(self)
    }

    fn sweep(
        &mut self,
        idle_timeout: &dyn Fn(&FlowEntry) -> IdleTimeout,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Swept, Error> {
        self.sweep_with(&SweepLimits::default(), idle_timeout, listed)
    }

    fn reclaim(&mut self, max: usize) -> Result<bool, Error> {
        Dataplane::reclaim(self, max)
    }

    fn flows(&self, each: &mut dyn FnMut(FlowEntry)) {
        Dataplane::flows(self, each);
    }

    fn stations(&self, each: &mut dyn FnMut(u64, Station)) {
        Dataplane::stations(self, each);
    }

    fn rule_counters(&self, slot: u8, rules: usize) -> Result<Vec<Counter>, Error> {
        Dataplane::rule_counters(self, slot, rules)
    }

    fn drops(&self) -> Result<Drops, Error> {
        Dataplane::drops(self)
    }

    fn events_lost(&self) -> Result<u64, Error> {
        Dataplane::events_lost(self)
    }

    fn table_bytes(&self) -> Result<TableBytes, Error> {
        Dataplane::table_bytes(self)
    }

    fn links(&self) -> Links {
        // From the kernel, because /sys may be mounted for another network namespace.
        let mut links = Links::new();
        for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
            let name = interface.interface_name;
            if links.contains_key(&name) {
                continue;
            }
            if let Ok(index) = nix::net::if_::if_nametoindex(name.as_str()) {
                let running = interface.flags.contains(InterfaceFlags::IFF_RUNNING);
                let mtu = Nic::mtu_of(&name).ok();
                links.insert(
                    name,
                    Link {
                        index,
                        running,
                        mtu,
                    },
                );
            }
        }
        links
    }
}

#[cfg(any(test, feature = "stand-ins"))]
pub mod fake;
