//! Ports: interfaces that come and go.

use std::sync::Arc;

use cordon_policy::Port;

use super::{Engine, mtu};

/// The ports that the policy names, by number.
#[derive(Default)]
pub struct Ports {
    ports: Vec<State>,
}

struct State {
    port: Port,
    /// The index of the interface that it was attached to.
    index: Option<u32>,
    /// Why it is out of service.
    trouble: Option<String>,
}

/// A port, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortNow {
    /// As the policy has it.
    pub port: Port,
    /// `up`, `down`, or why it is out of service.
    pub state: String,
    /// Whether it is up.
    pub up: bool,
}

impl Ports {
    /// Takes over the ports of a policy. Those that stay as they were stay attached.
    pub fn list(&mut self, ports: &[Port]) {
        let mut before = std::mem::take(&mut self.ports).into_iter();
        for port in ports {
            let old = before.next().filter(|old| old.port.device == port.device);
            self.ports.push(State {
                port: port.clone(),
                index: old.and_then(|old| old.index),
                trouble: None,
            });
        }
    }
}

impl Engine {
    /// Attaches the ports that are not, and those whose interface is another than it was.
    pub(super) fn attach_ports(&mut self) {
        let links = self.plane.links();
        for (number, state) in self.ports.ports.iter_mut().enumerate() {
            let name = &state.port.device;
            let found = links.get(name).map(|link| link.index);
            if state.index.is_some() && state.index == found && state.trouble.is_none() {
                continue;
            }
            let trouble = match self.plane.attach(number as u16, name) {
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
            if trouble != state.trouble
                && let Some(trouble) = &trouble
            {
                tracing::warn!(port = state.port.name, "{trouble}");
            }
            state.trouble = trouble;
        }
        let out: Vec<_> = self
            .ports
            .ports
            .iter()
            .filter_map(|state| {
                let trouble = state.trouble.as_ref()?;
                Some(format!("port {}: {trouble}", state.port.name))
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
        let tight = current.and_then(|named| mtu::too_small(&named.policy, &links));
        self.warn("mtu", tight);
    }

    pub(super) fn detach(&mut self, port: u16) -> Result<(), cordon_kernel::Error> {
        self.plane.detach(port)?;
        if let Some(state) = self.ports.ports.get_mut(usize::from(port)) {
            state.index = None;
        }
        Ok(())
    }

    /// The ports, as they are now.
    pub fn ports(&self) -> Vec<PortNow> {
        let links = self.plane.links();
        let now = |state: &State| {
            let link = links.get(&state.port.device);
            let up = link.is_some_and(|link| Some(link.index) == state.index && link.running);
            let text = match &state.trouble {
                Some(trouble) => trouble.clone(),
                None if up => "up".to_owned(),
                None => "down".to_owned(),
            };
            PortNow {
                port: state.port.clone(),
                state: text,
                up: up && state.trouble.is_none(),
            }
        };
        self.ports.ports.iter().map(now).collect()
    }

    /// The policy in force was found in the kernel and is left as it is: what remains is to take over the ports.
    pub(super) fn adopt(&mut self, slot: u8, named: Arc<crate::names::Named>) {
        self.ports.list(&named.policy.ports);
        // How long it has been in force nobody wrote down: what was judged earlier is taken to be judged by it.
        self.filled[usize::from(slot)] = 0;
        self.slots.set(slot, Some(Arc::clone(&named)));
        self.current = Some(named);
        self.attach_ports();
    }
}
