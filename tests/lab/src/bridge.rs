//! A plain bridge where the gateway would be.

use crate::error::Result;
use crate::node::Node;
use crate::tools;

const NAME: &str = "bare";

/// A bridge of the kernel's that forwards whatever comes, with its tag. Gone when dropped.
pub struct Bridge {
    node: Node,
}

impl Bridge {
    pub(crate) fn join(node: Node, nics: &[&str]) -> Result<Bridge> {
        // Without snooping: nobody on these wires asks who listens to a group, and a bridge that waits for it would
        // keep neighbour discovery from where it has to go.
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
        // Goes away with its namespace at the latest.
        let _ = tools::ip_batch(Some(self.node.namespace()), &[format!("link del {NAME}")]);
    }
}
