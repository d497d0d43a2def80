//! A Linux bridge in place of the gateway.

use crate::error::Result;
use crate::node::Node;
use crate::tools;

const NAME: &str = "bare";

/// A Linux bridge that forwards every frame with its tag. Removed on drop.
pub struct Bridge {
    node: Node,
}

impl Bridge {
    pub(crate) fn join(node: Node, nics: &[&str]) -> Result<Bridge> {
        // Without snooping: there is no multicast querier in the lab, and a snooping bridge would not forward the
        // multicasts of neighbour discovery.
        let made = [
            format!("link add name {NAME} type bridge mcast_snooping 0"),
            format!("link set {NAME} up"),
        ];
        let joined = nics
            .iter()
            .map(|nic| format!("link set {nic} master {NAME}"));
        let commands: Vec<String> = made.into_iter().chain(joined).collect();
        tools::ip_batch(Some(node.namespace()), &commands)?;
        Ok(Bridge { node })
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // If this fails, the bridge is removed with its namespace.
        let _ = tools::ip_batch(Some(self.node.namespace()), &[format!("link del {NAME}")]);
    }
}
