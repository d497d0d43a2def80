//! The data plane as the engine sees it: small enough for a test to stand in for the kernel.

use std::collections::HashMap;

use cordon_kernel::{
    Dataplane, Drops, Error, FlowEntry, Idle, Installed, Nic, Silence, Stager, Swept, TableBytes,
};
use cordon_portable::{Change, Generation};
use cordon_verdict::abi::{Control, Counter, Station};
use nix::net::if_::InterfaceFlags;

/// What the engine asks of the data plane. See [`Dataplane`] for what each call promises.
pub trait Plane: Send {
    /// The policy and posture in force.
    fn control(&self) -> Result<Control, Error>;

    /// What writes policies to the slot that is not in force.
    fn stager(&self) -> Result<Box<dyn Stage>, Error>;

    /// Puts what is in the slot not in force into force, with a posture, without losing a packet that both allow.
    /// `rules` is how many the policy before had.
    fn flip(&mut self, posture: u8, rules: usize) -> Result<Installed, Error>;

    /// Puts a posture into force.
    fn set_posture(&mut self, posture: u8) -> Result<Control, Error>;

    /// Makes a network interface a port; answers its index.
    fn attach(&mut self, port: u16, nic: &str) -> Result<u32, Error>;

    /// Takes a port out of service.
    fn detach(&mut self, port: u16) -> Result<(), Error>;

    /// Moves the clock of flows on by one.
    fn age(&mut self) -> Result<(), Error>;

    /// Forgets flows that are idle, and, where there is little room, those that hosts have beyond their share which are
    /// not `listed`, by `member`.
    fn sweep(
        &mut self,
        silence: &dyn Fn(&FlowEntry) -> Silence,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Swept, Error>;

    /// Makes so many places free that sweeps took flows from; says whether there are more.
    fn tidy(&mut self, most: usize) -> Result<bool, Error>;

    /// Calls `each` with every flow.
    fn flows(&self, each: &mut dyn FnMut(FlowEntry));

    /// Calls `each` with every station.
    fn stations(&self, each: &mut dyn FnMut(u64, Station));

    /// What the first rules of a slot have counted, by number.
    fn rule_counters(&self, slot: u8, rules: usize) -> Result<Vec<Counter>, Error>;

    /// What was dropped.
    fn drops(&self) -> Result<Drops, Error>;

    /// Events that could not be told of.
    fn events_lost(&self) -> Result<u64, Error>;

    /// What the tables take of the machine's memory.
    fn table_bytes(&self) -> Result<TableBytes, Error>;

    /// The network interfaces there are.
    fn links(&self) -> Links;
}

/// What fills the slot that is not in force. See [`Stager`].
pub trait Stage: Send {
    /// Writes a generation.
    fn write(&mut self, slot: u8, generation: &Generation, rules: usize) -> Result<(), Error>;

    /// Makes another generation of the one in a slot.
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
    /// Whether there is a signal.
    pub running: bool,
    /// Its MTU in bytes, if that is known.
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
        silence: &dyn Fn(&FlowEntry) -> Silence,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Swept, Error> {
        self.sweep_as_told(&Idle::default(), silence, listed)
    }

    fn tidy(&mut self, most: usize) -> Result<bool, Error> {
        Dataplane::tidy(self, most)
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
        // Asked of the kernel and not read from /sys, which may be mounted for another network namespace.
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
