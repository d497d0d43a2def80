//! `attach` of segments: ports, and the VLAN tags of frames there.

use std::collections::HashMap;

use crate::fields;
use crate::model::{Attachment, Port, Segment};
use crate::problem::{Code, Problems, SourcePosition};
use crate::yaml::Node;

/// Limit of attachments with two VLAN tags, of a gateway.
pub const MAX_DOUBLE_TAGGED: usize = 4095;
/// Limit of attachments, of a segment with [`Segment::copied_one_by_one`].
pub const MAX_COPIES: usize = 4096;

/// The attachments read so far, of all segments.
#[derive(Default)]
pub(crate) struct Attachments {
    /// By attachment, the position and name of its segment.
    segments: HashMap<Attachment, (SourcePosition, String)>,
    /// How many have two tags.
    double_tagged: usize,
}

impl Attachments {
    /// Reads the `attach` of a segment.
    pub fn read(
        &mut self,
        node: &Node,
        segment: &mut Segment,
        ports: &[Port],
        problems: &mut Problems,
    ) {
        let list = fields::list(node);
        if list.is_empty() {
            problems
                .add(
                    node.position,
                    Code::MissingField,
                    format!("`attach` of segment `{}` is empty", segment.name),
                )
                .hint("list ports and VLANs: `attach: [access0.210, core0.210]` is VLAN 210 of two ports");
        }
        for node in list {
            if let Some(text) = fields::text(node, "an attachment", problems)
                && let Some(attachment) = parse(text, node.position, ports, problems)
                && self.is_free(attachment, text, node.position, segment, problems)
            {
                let owner = (segment.position, segment.name.clone());
                self.segments.insert(attachment, owner);
                segment.attachments.push(attachment);
            }
        }
        let count = segment.attachments.len();
        if let Some(node) = list.get(MAX_COPIES)
            && count > MAX_COPIES
            && segment.copied_one_by_one()
        {
            problems
                .add(
                    node.position,
                    Code::Limit,
                    format!("segment `{}` has {count} attachments; with a proxy, or several at one port, the limit is {MAX_COPIES}", segment.name),
                )
                .hint("the gateway copies each broadcast to every one of them: split the segment into several of one zone");
        }
    }

    /// Whether no segment has the attachment yet, and the limit of double tags is not exceeded.
    fn is_free(
        &mut self,
        attachment: Attachment,
        text: &str,
        position: SourcePosition,
        segment: &Segment,
        problems: &mut Problems,
    ) -> bool {
        match self.segments.get(&attachment) {
            Some((owner, _)) if *owner == segment.position => {
                problems.add(
                    position,
                    Code::Duplicate,
                    format!("`{text}` is listed twice"),
                );
                return false;
            }
            Some((_, other)) => {
                problems
                    .add(
                        position,
                        Code::Conflict,
                        format!("`{text}` already belongs to segment `{other}`"),
                    )
                    .hint("a VLAN of a port belongs to one segment: remove it from the other");
                return false;
            }
            None => {}
        }
        if attachment.inner != 0 {
            self.double_tagged += 1;
            if self.double_tagged == MAX_DOUBLE_TAGGED + 1 {
                problems
                    .add(
                        position,
                        Code::Limit,
                        format!("a gateway has at most {MAX_DOUBLE_TAGGED} attachments with two VLAN tags"),
                    )
                    .hint("have a switch remove the outer tag, or use another gateway");
            }
        }
        true
    }
}

/// Parses `access0`, `access0.210` or `access0.100.210`.
pub(crate) fn parse(
    text: &str,
    position: SourcePosition,
    ports: &[Port],
    problems: &mut Problems,
) -> Option<Attachment> {
    let mut words = text.split('.');
    let name = words.next().unwrap_or_default();
    let mut vlans = Vec::new();
    for word in words {
        match word.parse::<u16>() {
            // `parse` accepts `+210` and `0210`.
            Ok(vlan @ 1..=4094) if vlan.to_string() == word => vlans.push(vlan),
            _ => {
                problems
                    .add(
                        position,
                        Code::BadValue,
                        format!("`{word}` is not a VLAN ID"),
                    )
                    .hint(
                        "a VLAN ID is 1 to 4094; a port name without a dot means untagged frames",
                    );
                return None;
            }
        }
    }
    let (vlan, inner) = match vlans[..] {
        [] => (0, 0),
        [vlan] => (vlan, 0),
        [outer, inner] => (outer, inner),
        _ => {
            problems
                .add(
                    position,
                    Code::BadValue,
                    format!("`{text}` has more than two VLAN tags"),
                )
                .hint("at most two: `core0.100.210` is VLAN 210 inside VLAN 100");
            return None;
        }
    };
    let Some(port) = ports.iter().position(|port| port.name == name) else {
        let known = ports.iter().map(|port| port.name.as_str());
        fields::unknown(problems, position, "port", name, known);
        return None;
    };
    Some(Attachment { port, vlan, inner })
}
