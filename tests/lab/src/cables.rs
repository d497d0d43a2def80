//! A lab without hosts: a gateway whose cables all end in one namespace. A test sends and records every frame itself.

use std::path::Path;

use crate::error::{Error, Result};
use crate::gateway::Gateway;
use crate::losses::{Losses, dropped};
use crate::node::Node;
use crate::registry::{self, Identity};
use crate::tools;
use crate::wiring::{HOST, bring_up, link, receive_redirected};

/// No protocol of the kernel sends a frame by itself.
const SILENT: &[(&str, &str)] = &[
    ("ipv6/conf/all/disable_ipv6", "1"),
    ("ipv6/conf/default/disable_ipv6", "1"),
];
const MTU: u32 = 1500;

/// A gateway, and the far ends of its cables. No interface has an address, so no frame is on a cable that the test did
/// not send or the gateway did not forward. Removed on drop.
pub struct Cables {
    gateway: Gateway,
    far_ends: Node,
    identity: Identity,
}

impl Cables {
    /// Raises the lab for a policy directory, with a cable for each of the gateway's `nics`. The far end of a cable has
    /// the name of the NIC.
    ///
    /// # Errors
    /// Those of [`crate::Lab::raise`].
    pub fn raise(policy: &Path, nics: &[&str]) -> Result<Cables> {
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
            node.set(SILENT)?;
            Ok(node)
        };
        let (gateway, far_ends) = (open("gateway")?, open("far-ends")?);
        let links: Vec<String> = nics
            .iter()
            .map(|nic| link(&far_ends, nic, &gateway, nic, None))
            .collect();
        tools::ip_batch(None, &links)?;
        for node in [&gateway, &far_ends] {
            bring_up(node, &node.interfaces()?, MTU)?;
        }
        far_ends.run(|| receive_redirected(nics))??;
        Ok(Cables {
            gateway: Gateway::new(gateway, identity.directory(), Some(policy.to_owned()))?,
            far_ends,
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

    /// The namespace of the cables' far ends.
    pub fn far_ends(&self) -> &Node {
        &self.far_ends
    }

    /// Frames that the cables have lost so far.
    ///
    /// # Errors
    /// [`Error::Command`].
    pub fn losses(&self) -> Result<Losses> {
        let mut losses = Losses::default();
        for node in [self.gateway.node(), &self.far_ends] {
            dropped(node, &mut losses.interfaces)?;
        }
        Ok(losses)
    }
}
