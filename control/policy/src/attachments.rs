//! Where segments are attached: ports, and VLAN tags there.

use std::collections::HashMap;

use crate::fields;
use crate::model::{Attachment, Port, Segment};
use crate::problem::{Code, Place, Problems};
use crate::yaml::Node;

/// Attachments with two tags that a gateway can have.
pub const STACKS: usize = 4095;
/// Attachments that a segment can have where what is flooded is copied one by one.
pub const COPIES_MOST: usize = 4096;

/// The attachments of all segments.
#[derive(Default)]
pub(crate) struct Attachments {
    /// Which segment has it: where that is written, and its name.
    taken: HashMap<Attachment, (Place, String)>,
    /// How many have two tags.
    stacked: usize,
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
                    node.place,
                    Code::MissingField,
                    format!("segment `{}` is attached nowhere", segment.name),
                )
                .hint("`attach: [access0.210, core0.210]` attaches it at VLAN 210 of two ports");
        }
        for node in list {
            if let Some(text) = fields::text(node, "an attachment", problems)
                && let Some(attachment) = parse(text, node.place, ports, problems)
                && self.is_free(attachment, text, node.place, segment, problems)
            {
                let whose = (segment.place, segment.name.clone());
                self.taken.insert(attachment, whose);
                segment.attachments.push(attachment);
            }
        }
        let count = segment.attachments.len();
        if let Some(node) = list.get(COPIES_MOST)
            && count > COPIES_MOST
            && segment.copied_one_by_one()
        {
            problems
                .add(
                    node.place,
                    Code::Limit,
                    format!("segment `{}` has {count} attachments: with a proxy, or several at one port, it has at most {COPIES_MOST}", segment.name),
                )
                .hint("a broadcast is sent to one after the other: make several segments of it, in one zone");
        }
    }

    /// Whether nobody has it, and there is room for it.
    fn is_free(
        &mut self,
        attachment: Attachment,
        text: &str,
        place: Place,
        segment: &Segment,
        problems: &mut Problems,
    ) -> bool {
        match self.taken.get(&attachment) {
            Some((whose, _)) if *whose == segment.place => {
                problems.add(place, Code::Duplicate, format!("`{text}` is listed twice"));
                return false;
            }
            Some((_, other)) => {
                problems
                    .add(
                        place,
                        Code::Conflict,
                        format!("`{text}` is attached to segment `{other}` already"),
                    )
                    .hint("a VLAN at a port belongs to one segment");
                return false;
            }
            None => {}
        }
        if attachment.inner != 0 {
            self.stacked += 1;
            if self.stacked == STACKS + 1 {
                problems
                    .add(
                        place,
                        Code::Limit,
                        format!("a gateway has at most {STACKS} attachments with two VLAN tags"),
                    )
                    .hint("have a switch take the outer tag off, or use another gateway");
            }
        }
        true
    }
}

/// `access0`, `access0.210` or `access0.100.210`.
pub(crate) fn parse(
    text: &str,
    place: Place,
    ports: &[Port],
    problems: &mut Problems,
) -> Option<Attachment> {
    let mut words = text.split('.');
    let name = words.next().unwrap_or_default();
    let mut vlans = Vec::new();
    for word in words {
        match word.parse::<u16>() {
            // What `parse` takes and a person does not write: `+210`, `0210`.
            Ok(vlan @ 1..=4094) if vlan.to_string() == word => vlans.push(vlan),
            _ => {
                problems
                    .add(place, Code::BadValue, format!("`{word}` is no VLAN ID"))
                    .hint("VLAN IDs are 1 to 4094; a port without a dot means untagged frames");
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
                    place,
                    Code::BadValue,
                    format!("`{text}` has more than two VLAN tags"),
                )
                .hint("`core0.100.210` is VLAN 210 inside VLAN 100");
            return None;
        }
    };
    let Some(port) = ports.iter().position(|port| port.name == name) else {
        let known = ports.iter().map(|port| port.name.as_str());
        fields::unknown(problems, place, "port", name, known);
        return None;
    };
    Some(Attachment { port, vlan, inner })
}
