//! `site.yaml`: ports, segments, zones and infrastructure.

mod infrastructure;
mod ports;
mod segments;
mod zones;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::fields::{self, Fields};
use crate::model::{Port, Posture, Segment, Zone};
use crate::problem::{Code, Problems, SourcePosition};
use crate::yaml::Node;

/// Limit of ports of a gateway.
pub const MAX_PORTS: usize = 15;
/// Limit of segments of a gateway.
pub const MAX_SEGMENTS: usize = 4096;

/// The content of `site.yaml`, as far as it could be read: after an error in it, the other files can still be checked
/// against the rest.
#[derive(Debug, Default)]
pub(crate) struct Site {
    pub name: String,
    pub ports: Vec<Port>,
    pub segments: Vec<Segment>,
    pub zones: Vec<Zone>,
    pub infrastructure: Vec<Servers>,
    /// Indices of segments with a subnet that could not be read: their addresses cannot be checked.
    pub incomplete: Vec<usize>,
}

/// Servers that every segment may reach.
#[derive(Debug)]
pub(crate) struct Servers {
    /// `dhcp`, `dns` or `ntp`.
    pub service: &'static str,
    pub servers: Vec<IpAddr>,
    pub survives: Option<Posture>,
    pub owner: Option<String>,
    pub reason: Option<String>,
    pub position: SourcePosition,
}

pub(crate) fn read(root: &Node, problems: &mut Problems) -> Site {
    let mut site = Site::default();
    let Some(mut fields) = Fields::of(root, "site.yaml", problems) else {
        return site;
    };
    if let Some(node) = fields.required("site", problems)
        && let Some(text) = fields::text(node, "`site`", problems)
        && let Some(name) = fields::name(text, node.position, "a site", problems)
    {
        site.name = name;
    }
    let node = fields.required("ports", problems);
    ports::ports(node, &mut site, problems);
    let node = fields.required("segments", problems);
    segments::segments(node, &mut site, problems);
    zones::zones(fields.optional("zones"), &mut site, problems);
    infrastructure::infrastructure(fields.optional("infrastructure"), &mut site, problems);
    fields.finish(problems);
    site
}

/// A prefix without host bits.
pub(crate) fn subnet(node: &Node, problems: &mut Problems) -> Option<IpNet> {
    let net: IpNet = fields::parsed(
        node,
        "network",
        "write a network as `10.21.0.0/24` or `2001:db8:21::/64`",
        problems,
    )?;
    if net.trunc() != net {
        problems
            .add(
                node.position,
                Code::BadValue,
                format!("`{net}` has host bits set"),
            )
            .hint(format!("did you mean `{}`?", net.trunc()));
        return None;
    }
    Some(net)
}
