//! What the lab itself loses, so that the gateway is not blamed for it.

use std::collections::BTreeMap;
use std::process::Command;

use crate::error::{Error, Result};
use crate::node::Node;
use crate::tools;

/// Frames that the lab itself lost: with any of these, an end that misses one does not mean that the gateway lost it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// By the switch for lack of time, by port.
    pub switch: BTreeMap<String, u64>,
    /// By a network interface for lack of room, as `node interface direction`.
    pub interfaces: BTreeMap<String, u64>,
}

impl Losses {
    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        *self == Losses::default()
    }
}

/// Adds what the interfaces of a node have dropped.
pub(crate) fn dropped(node: &Node, to: &mut BTreeMap<String, u64>) -> Result<()> {
    let mut ip = Command::new("ip");
    ip.args(["-n", node.namespace(), "-s", "-j", "link", "show"]);
    let said = tools::run(&mut ip)?;
    let links: serde_json::Value =
        serde_json::from_str(&said).map_err(Error::io("reading what ip says of the interfaces"))?;
    for link in links.as_array().into_iter().flatten() {
        for (direction, word) in [("rx", "received"), ("tx", "sent")] {
            let frames = link["stats64"][direction]["dropped"].as_u64().unwrap_or(0);
            let interface = link["ifname"].as_str().unwrap_or_default();
            if frames > 0 {
                to.insert(format!("{} {interface} {word}", node.name()), frames);
            }
        }
    }
    Ok(())
}
