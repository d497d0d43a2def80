//! A lab: its creation, use and removal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bridge::Bridge;
use crate::captured_frame::CapturedFrame;
use crate::error::{Error, Result};
use crate::gateway::Gateway;
use crate::kept::Kept;
use crate::losses::{Losses, dropped};
use crate::node::{Host, Node};
use crate::plan::{self, Device, Plan};
use crate::registry::{self, Identity};
use crate::switch::{Switch, TO_ACCESS, TO_CORE};
use crate::tap::Tap;
use crate::tools;
use crate::wiring::{
    FORWARD, HOST, bring_up, configure_router, cores, device_host, link, receive_redirected,
    remote_host,
};

/// A trunk link of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// To the access switch.
    Access,
    /// To the core.
    Core,
}

/// The namespaces, switches and links of a site. Dropping it removes them all.
pub struct Lab {
    // Dropped in this order: programs before their namespaces.
    gateway: Gateway,
    switch: Switch,
    router: Node,
    hosts: Mutex<BTreeMap<String, Host>>,
    plan: Plan,
    identity: Identity,
}

impl Lab {
    /// Raises a lab of [`Plan::manchester`].
    ///
    /// # Errors
    /// Those of [`Lab::raise`].
    pub fn manchester() -> Result<Lab> {
        Lab::raise(Plan::manchester()?)
    }

    /// Raises a lab, after removing the labs of crashed processes. Its gateway forwards nothing until it is started.
    ///
    /// # Errors
    /// [`Error::NotRoot`]; [`Error::Missing`]; [`Error::Plan`] and [`Error::Name`]; [`Error::Command`] and
    /// [`Error::Io`] for the step that failed. A lab that could not be raised is removed.
    pub fn raise(plan: Plan) -> Result<Lab> {
        plan.check()?;
        tools::check()?;
        registry::sweep()?;
        let identity = Identity::new()?;
        let outputs = identity.directory().join("outputs");
        std::fs::create_dir_all(&outputs)
            .map_err(Error::io(format!("making {}", outputs.display())))?;
        let open = |name: &str| Node::open(name, identity.namespace(name), &outputs);

        let devices = plan.devices.iter().map(|device| device.name.as_str());
        let remotes = plan.remotes.iter().map(|remote| remote.name.as_str());
        let names: Vec<&str> = ["switch", "gateway", "router"]
            .into_iter()
            .chain(devices)
            .chain(remotes)
            .collect();
        let additions: Vec<String> = names
            .iter()
            .map(|name| format!("netns add {}", identity.namespace(name)))
            .collect();
        tools::ip_batch(None, &additions)?;
        let mut nodes = BTreeMap::new();
        for name in &names {
            let node = open(name)?;
            node.set(HOST)?;
            nodes.insert(*name, node);
        }
        let node = |name: &str| nodes[name].clone();
        let (switch, router) = (node("switch"), node("router"));
        router.set(FORWARD)?;

        let mut links = vec![
            link(&node("gateway"), &plan.access_nic, &switch, TO_ACCESS, None),
            link(&node("gateway"), &plan.core_nic, &switch, TO_CORE, None),
        ];
        let cores = cores(&plan.vlans);
        for vlan in cores.keys() {
            let ends = (format!("vlan-{vlan}"), format!("core-{vlan}"));
            links.push(link(&router, &ends.0, &switch, &ends.1, None));
        }
        for device in &plan.devices {
            let (host, mac) = (node(&device.name), Some(device.mac));
            links.push(link(&host, Host::INTERFACE, &switch, &device.name, mac));
        }
        for remote in &plan.remotes {
            let host = node(&remote.name);
            links.push(link(&host, Host::INTERFACE, &router, &remote.name, None));
        }
        tools::ip_batch(None, &links)?;
        nodes
            .values()
            .try_for_each(|node| bring_up(node, &node.interfaces()?, plan.mtu))?;
        let trunks = [TO_ACCESS, TO_CORE];
        switch.run(|| receive_redirected(&trunks))??;
        let switch = Switch::start(switch, &identity.directory().join("switch"))?;

        configure_router(&router, &cores, &plan.remotes)?;
        switch.add_routers(
            cores
                .keys()
                .map(|vlan| (format!("core-{vlan}"), *vlan))
                .collect::<Vec<_>>()
                .iter()
                .map(|(port, vlan)| (port.as_str(), *vlan)),
        )?;
        let mut hosts = BTreeMap::new();
        for device in &plan.devices {
            let host = device_host(node(&device.name), device, &plan.vlans)?;
            hosts.insert(device.name.clone(), host);
        }
        switch.add_devices(
            plan.devices
                .iter()
                .map(|device| (device.name.as_str(), device.vlan)),
        )?;
        for remote in &plan.remotes {
            let host = remote_host(node(&remote.name), remote)?;
            hosts.insert(remote.name.clone(), host);
        }
        let gateway = Gateway::new(node("gateway"), identity.directory(), plan.policy.clone())?;
        Ok(Lab {
            gateway,
            switch,
            router,
            hosts: Mutex::new(hosts),
            plan,
            identity,
        })
    }

    /// Its name, which is the prefix of the names of its namespaces.
    pub fn name(&self) -> &str {
        self.identity.name()
    }

    /// The lab's directory. Removed with the lab.
    pub fn directory(&self) -> &Path {
        self.identity.directory()
    }

    /// A host by name.
    ///
    /// # Errors
    /// [`Error::Unknown`], with the names that exist.
    pub fn host(&self, name: &str) -> Result<Host> {
        let hosts = self.lock();
        hosts.get(name).cloned().ok_or_else(|| Error::Unknown {
            what: "host",
            name: name.to_owned(),
            known: hosts.keys().cloned().collect(),
        })
    }

    /// All hosts.
    pub fn hosts(&self) -> Vec<Host> {
        self.lock().values().cloned().collect()
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Puts a Linux bridge in place of the gateway until the [`Bridge`] is dropped: it shows what passes without a
    /// policy. The gateway's daemon must not have been started.
    ///
    /// # Errors
    /// [`Error::Command`].
    pub fn bridge(&self) -> Result<Bridge> {
        let nics = [&self.plan.access_nic, &self.plan.core_nic];
        Bridge::join(self.gateway.node().clone(), &nics.map(String::as_str))
    }

    /// The core router.
    pub fn router(&self) -> &Node {
        &self.router
    }

    /// The namespace of both switches.
    pub fn switch(&self) -> &Node {
        self.switch.node()
    }

    /// Plugs another host into the access switch.
    ///
    /// # Errors
    /// [`Error::Plan`], [`Error::Name`]; [`Error::Command`] and [`Error::Io`] for the step that failed.
    pub fn plug_in(&self, device: Device) -> Result<Host> {
        plan::check_name(&device.name)?;
        self.plan.fits(&device)?;
        let mut hosts = self.lock();
        if hosts.contains_key(&device.name) {
            return Err(Error::Name {
                name: device.name,
                why: "another host has this name",
            });
        }
        let namespace = self.identity.namespace(&device.name);
        tools::ip_batch(None, &[format!("netns add {namespace}")])?;
        let outputs = self.identity.directory().join("outputs");
        let node = Node::open(&device.name, namespace, &outputs)?;
        node.set(HOST)?;
        let switch = self.switch.node();
        let mac = Some(device.mac);
        let link = link(&node, Host::INTERFACE, switch, &device.name, mac);
        tools::ip_batch(None, &[link])?;
        bring_up(&node, &node.interfaces()?, self.plan.mtu)?;
        let port = BTreeMap::from([(0, device.name.clone())]);
        bring_up(switch, &port, self.plan.mtu)?;
        self.switch
            .add_devices([(device.name.as_str(), device.vlan)].into_iter())?;
        let host = device_host(node, &device, &self.plan.vlans)?;
        hosts.insert(device.name, host.clone());
        Ok(host)
    }

    /// Makes the switch set the priority (PCP) of frames from a device, or from the router in a VLAN (`core-230`).
    ///
    /// # Errors
    /// [`Error::Command`].
    pub fn mark(&self, port: &str, priority: u8) -> Result<()> {
        self.switch.mark(port, priority)
    }

    /// Makes the devices' ports at the access switch protected, as in private VLANs: the switch forwards frames from
    /// one of them to the gateway, but not to another.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a host that does not exist; [`Error::Command`].
    pub fn protect(&self, devices: &[&str]) -> Result<()> {
        devices
            .iter()
            .try_for_each(|name| self.host(name).map(drop))?;
        self.switch.protect(devices)
    }

    /// Records every frame on a trunk of the gateway, at the switch's end: `Received` frames have left the gateway,
    /// `Sent` frames go to it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tap(&self, wire: Wire) -> Result<Tap> {
        self.tap_only(wire, |_| true)
    }

    /// Records the frames on a trunk of the gateway that `wanted` accepts.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tap_only(
        &self,
        wire: Wire,
        wanted: impl Fn(&CapturedFrame) -> bool + Send + 'static,
    ) -> Result<Tap> {
        let interface = match wire {
            Wire::Access => TO_ACCESS,
            Wire::Core => TO_CORE,
        };
        self.switch.node().tap_only(interface, wanted)
    }

    /// Frames that the lab itself has lost so far.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Command`].
    pub fn losses(&self) -> Result<Losses> {
        let mut losses = Losses {
            switch: self.switch.lost()?,
            interfaces: BTreeMap::new(),
        };
        let fixed = [self.gateway.node(), self.switch(), &self.router];
        let mut nodes: Vec<Node> = fixed.map(Node::clone).to_vec();
        nodes.extend(self.hosts().iter().map(|host| host.node().clone()));
        for node in nodes {
            dropped(&node, &mut losses.interfaces)?;
        }
        Ok(losses)
    }

    /// Keeps the lab after this process has ended. Returns its name, and commands to try in it.
    ///
    /// # Errors
    /// [`Error::Io`]; the lab is then removed.
    pub fn keep(mut self) -> Result<Kept> {
        let script = self.identity.keep()?;
        self.switch.keep_running();
        self.gateway.keep_running();
        Ok(Kept::of(&self, &script))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
