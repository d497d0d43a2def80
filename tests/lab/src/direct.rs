//! A lab without a switch: a host, a gateway, a host. For measurements that the switch would limit.

use std::net::IpAddr;
use std::path::Path;

use cordon_policy::Mac;
use ipnet::IpNet;

use crate::bridge::Bridge;
use crate::error::{Error, Result};
use crate::gateway::Gateway;
use crate::node::{Host, Node};
use crate::registry::{self, Identity};
use crate::tools;
use crate::wiring::{HOST, bring_up, link, receive_redirected};

/// A host of a [`Direct`] lab.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// Its address. Both hosts are in one subnet.
    pub address: IpNet,
}

/// Two hosts and a gateway, linked directly: no tags, no switch, no router. Removed on drop.
pub struct Direct {
    gateway: Gateway,
    inside: Host,
    outside: Host,
    nics: [String; 2],
    identity: Identity,
}

impl Direct {
    /// Raises the lab for a policy directory. `inside` is linked to the first of the gateway's `nics`, `outside` to the
    /// second.
    ///
    /// # Errors
    /// Those of [`crate::Lab::raise`].
    pub fn raise(
        policy: &Path,
        nics: [&str; 2],
        inside: &Endpoint,
        outside: &Endpoint,
        mtu: u32,
    ) -> Result<Direct> {
        tools::check()?;
        registry::sweep()?;
        let identity = Identity::new()?;
        let outputs = identity.directory().join("outputs");
        std::fs::create_dir_all(&outputs)
            .map_err(Error::io(format!("making {}", outputs.display())))?;
        let open = |name: &str| -> Result<Node> {
            let namespace = identity.namespace(name);
            tools::ip_batch(None, &[format!("netns add {namespace}")])?;
            let node = Node::open(name, namespace, &outputs)?;
            node.set(HOST)?;
            Ok(node)
        };
        let gateway = open("gateway")?;
        let ends = [
            (inside, open(&inside.name)?),
            (outside, open(&outside.name)?),
        ];
        let wire = |((end, node), nic): (&(&Endpoint, Node), &str)| {
            link(node, Host::INTERFACE, &gateway, nic, Some(end.mac))
        };
        let links: Vec<String> = ends.iter().zip(nics).map(wire).collect();
        tools::ip_batch(None, &links)?;
        bring_up(&gateway, &gateway.interfaces()?, mtu)?;
        let host = |(end, node): (&Endpoint, Node)| -> Result<Host> {
            bring_up(&node, &node.interfaces()?, mtu)?;
            node.run(|| receive_redirected(&[Host::INTERFACE]))??;
            let address = format!("addr add {} dev {}", end.address, Host::INTERFACE);
            tools::ip_batch(Some(node.namespace()), &[address])?;
            let addresses: Vec<IpAddr> = vec![end.address.addr()];
            Ok(Host::new(node, end.mac, addresses, None))
        };
        let [inside, outside] = ends;
        Ok(Direct {
            inside: host(inside)?,
            outside: host(outside)?,
            gateway: Gateway::new(gateway, identity.directory(), Some(policy.to_owned()))?,
            nics: nics.map(str::to_owned),
            identity,
        })
    }

    /// The lab's directory. Removed with the lab.
    pub fn directory(&self) -> &Path {
        self.identity.directory()
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The host that is linked to the gateway's first NIC.
    pub fn inside(&self) -> &Host {
        &self.inside
    }

    /// The host that is linked to the gateway's second NIC.
    pub fn outside(&self) -> &Host {
        &self.outside
    }

    /// Puts a Linux bridge in place of the gateway, as [`crate::Lab::bridge`] does.
    ///
    /// # Errors
    /// [`Error::Command`].
    pub fn bridge(&self) -> Result<Bridge> {
        let nics = self.nics.each_ref().map(String::as_str);
        Bridge::join(self.gateway.node().clone(), &nics)
    }
}
