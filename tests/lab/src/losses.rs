//! Frames that the lab itself lost. Tests check them, so that they are not counted as losses of the gateway.

use std::collections::BTreeMap;
use std::process::Command;

use crate::error::{Error, Result};
use crate::node::Node;
use crate::tools;

/// Frames that the lab itself lost. If there are any, a frame that is missing was not necessarily lost by the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Frames that the switch was too slow to receive, by port.
    pub switch: BTreeMap<String, u64>,
    /// Frames that a full queue of a network interface dropped, by `node interface direction`.
    pub interfaces: BTreeMap<String, u64>,
}

impl Losses {
    /// Whether nothing was lost.
    pub fn is_none(&self) -> bool {
        *self == Losses::default()
    }
}

/// Adds the drop counters of a node's interfaces to `to`.
pub(crate) fn dropped(node: &Node, to: &mut BTreeMap<String, u64>) -> Result<()> {
    let mut ip = Command::new("ip");
    ip.args(["-n", node.namespace(), "-s", "-j", "link", "show"]);
    let output = tools::run(&mut ip)?;
    let links: serde_json::Value = serde_json::from_str(&output)
        .map_err(Error::io("reading what ip says of the interfaces"))?;
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
