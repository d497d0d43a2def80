//! The ports that a policy names, and whether each is in service.

use cordon_policy::Port;

/// The ports of the policy, by port number.
#[derive(Default)]
pub struct Ports {
    pub(super) ports: Vec<PortState>,
}

/// A port, and what it is attached to.
pub(super) struct PortState {
    pub port: Port,
    /// The index of the interface that it is attached to.
    pub index: Option<u32>,
    /// Why it is out of service.
    pub fault: Option<String>,
}

/// The current state of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortNow {
    /// The port of the policy.
    pub port: Port,
    /// `up`, `down`, or why it is out of service.
    pub state: String,
    /// Whether it is up.
    pub up: bool,
}

impl Ports {
    /// Takes over the ports of a policy. Those whose number and interface are unchanged stay attached.
    pub fn list(&mut self, ports: &[Port]) {
        let mut before = std::mem::take(&mut self.ports).into_iter();
        for port in ports {
            let old = before.next().filter(|old| old.port.device == port.device);
            self.ports.push(PortState {
                port: port.clone(),
                index: old.and_then(|old| old.index),
                fault: None,
            });
        }
    }
}
