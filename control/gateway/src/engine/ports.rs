//! Attaching ports to their interfaces, which may appear and disappear.

use std::sync::Arc;

use super::gateway::Engine;
use super::mtu;
use super::port_list::{PortNow, PortState};
use crate::active_policy::ActivePolicy;

impl Engine {
    /// Attaches the ports that are not attached, or whose interface was replaced.
    pub(super) fn attach_ports(&mut self) {
        let links = self.plane.links();
        for (number, state) in self.ports.ports.iter_mut().enumerate() {
            let name = &state.port.device;
            let found = links.get(name).map(|link| link.index);
            if state.index.is_some() && state.index == found && state.fault.is_none() {
                continue;
            }
            let fault = match self.plane.attach(number as u16, name) {
                Ok(index) => {
                    tracing::info!(port = state.port.name, nic = name, "port in service");
                    state.index = Some(index);
                    None
                }
                Err(error) => {
                    state.index = None;
                    Some(error.to_string())
                }
            };
            if fault != state.fault
                && let Some(fault) = &fault
            {
                tracing::warn!(port = state.port.name, "{fault}");
            }
            state.fault = fault;
        }
        let out: Vec<_> = self
            .ports
            .ports
            .iter()
            .filter_map(|state| {
                let fault = state.fault.as_ref()?;
                Some(format!("port {}: {fault}", state.port.name))
            })
            .collect();
        let text = (!out.is_empty()).then(|| out.join("; "));
        match text {
            Some(text) => {
                self.warnings.insert("ports", text);
            }
            None => {
                self.warnings.remove("ports");
            }
        }
        let current = self.current.as_ref();
        let undersized = current.and_then(|active| mtu::undersized_ports(&active.policy, &links));
        self.warn("mtu", undersized);
    }

    pub(super) fn detach(&mut self, port: u16) -> Result<(), cordon_kernel::Error> {
        self.plane.detach(port)?;
        if let Some(state) = self.ports.ports.get_mut(usize::from(port)) {
            state.index = None;
        }
        Ok(())
    }

    /// The current state of the ports.
    pub fn ports(&self) -> Vec<PortNow> {
        let links = self.plane.links();
        let now = |state: &PortState| {
            let link = links.get(&state.port.device);
            let up = link.is_some_and(|link| Some(link.index) == state.index && link.running);
            let text = match &state.fault {
                Some(fault) => fault.clone(),
                None if up => "up".to_owned(),
                None => "down".to_owned(),
            };
            PortNow {
                port: state.port.clone(),
                state: text,
                up: up && state.fault.is_none(),
            }
        };
        self.ports.ports.iter().map(now).collect()
    }

    /// Takes over a policy that was found in force in the kernel, and its ports, without changing the kernel.
    pub(super) fn adopt(&mut self, slot: u8, active: Arc<ActivePolicy>) {
        self.ports.list(&active.policy.ports);
        // Its first epoch is not known: every flow is taken to be judged by it.
        self.first_epochs[usize::from(slot)] = 0;
        self.slots.set(slot, Some(Arc::clone(&active)));
        self.current = Some(active);
        self.attach_ports();
    }
}
