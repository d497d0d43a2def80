//! Attachments of segments: admissions, floods, and the settings of ports.

use std::collections::BTreeMap;

use cordon_policy::{Attachment, LinkControl, OuterTag, Policy, Segment};
use cordon_tables::Generation;
use cordon_verdict::abi::{
    self, Admission, CLASS_UNCLASSIFIED, NO_ATTACHMENT, PortSetting, STACKED,
};

use crate::classes::Classes;
use crate::members::{Members, mac};

const _: () = assert!(
    cordon_policy::MAX_PORTS == abi::PORTS
        && cordon_policy::MAX_SEGMENTS == abi::SEGMENTS
        && cordon_policy::MAX_DOUBLE_TAGGED == abi::STACKS
        && cordon_policy::MAX_COPIES == abi::COPIES_MOST
        && mac(cordon_policy::GATEWAY_MAC) == abi::GATEWAY
);

pub(crate) fn write(
    policy: &Policy,
    members: &Members,
    classes: &Classes,
    generation: &mut Generation,
) {
    generation.stacks = stacks(policy);
    let has_bound_devices = has_bound_devices(policy);
    for (index, segment) in policy.segments.iter().enumerate() {
        let one_by_one = segment.copied_one_by_one();
        let anonymous = members.unlisted(index);
        let admission = Admission {
            segment: segment.number,
            flags: match has_bound_devices[index] {
                true => flags(segment, one_by_one) | Admission::BOUND,
                false => flags(segment, one_by_one),
            },
            unlisted_class: anonymous.map_or(CLASS_UNCLASSIFIED, |identity| classes.of(identity)),
            copies: match one_by_one {
                true => segment.attachments.len() as u16,
                false => 0,
            },
        };
        let mut attachments = segment.attachments.clone();
        attachments.sort_unstable();
        for attachment in attachments {
            let port = attachment.port as u16;
            let number = number(&generation.stacks, attachment);
            let uplink = match policy.ports[attachment.port].uplink {
                true => Admission::UPLINK,
                false => 0,
            };
            let alone = match is_alone(policy, segment, attachment) {
                true => Admission::ALONE,
                false => 0,
            };
            let flags = admission.flags | uplink | alone;
            generation
                .admissions
                .insert(number, Admission { flags, ..admission });
            match one_by_one {
                true => {
                    let copies = generation.copies.entry(segment.number).or_default();
                    copies.push(number);
                }
                false => {
                    generation.floods.insert((segment.number, port), number);
                }
            }
        }
        let listed = segment.ether_types.iter();
        generation
            .ether_types
            .extend(listed.map(|ether_type| (segment.number, *ether_type)));
    }
    for (index, port) in policy.ports.iter().enumerate() {
        let passing = port.pass.iter().map(|protocol| bit(*protocol));
        let outer = match port.outer_tag {
            OuterTag::Dot1q => PortSetting::OUTER_8021Q,
            OuterTag::Dot1ad => 0,
        };
        let setting = PortSetting {
            storm: per_tick(port.storm),
            link_control: passing.fold(outer, |set, bit| set | bit),
        };
        generation.ports.insert(index as u16, setting);
    }
}

/// Whether no attachment but this one is device-facing: an inside flood from it has nowhere to go.
fn is_alone(policy: &Policy, segment: &Segment, attachment: Attachment) -> bool {
    let mut others = segment.attachments.iter().filter(|one| **one != attachment);
    others.all(|one| policy.ports[one.port].uplink)
}

/// The numbers of the attachments with two tags, in ascending order of port and tags.
fn stacks(policy: &Policy) -> BTreeMap<u32, u16> {
    let attachments = policy.segments.iter().flat_map(|one| &one.attachments);
    let stacked = attachments.filter(|attachment| attachment.inner != 0);
    let mut keys: Vec<u32> = stacked.map(|attachment| key(*attachment)).collect();
    keys.sort_unstable();
    keys.into_iter().zip(STACKED..NO_ATTACHMENT).collect()
}

/// By index of the segment, whether any of its devices is bound to a port or attachment.
pub(crate) fn has_bound_devices(policy: &Policy) -> Vec<bool> {
    let mut bound = vec![false; policy.segments.len()];
    for device in &policy.devices {
        bound[device.segment] |= device.binding.is_some();
    }
    bound
}

/// The number of an attachment; those with two tags are among `stacks`.
pub(crate) fn number(stacks: &BTreeMap<u32, u16>, attachment: Attachment) -> u16 {
    match attachment.inner {
        0 => abi::attachment(attachment.port as u16, attachment.vlan),
        _ => stacks[&key(attachment)],
    }
}

/// An attachment as the tables encode it.
fn key(attachment: Attachment) -> u32 {
    let Attachment { port, vlan, inner } = attachment;
    abi::location(port as u16, vlan, inner)
}

/// The flags that all attachments of a segment share.
fn flags(segment: &Segment, one_by_one: bool) -> u16 {
    let mut flags = Admission::IN_USE;
    if segment.unknown == cordon_policy::Unknown::Admit {
        flags |= Admission::ADMIT_UNKNOWN;
    }
    if one_by_one {
        flags |= Admission::COPIES;
    }
    if segment.proxy {
        flags |= Admission::PROXY;
    }
    flags
}

/// Converts a rate per second to one per tick of the data plane's clock, 2^30 nanoseconds.
fn per_tick(rate: u32) -> u32 {
    let ticks = u64::from(rate) * (1 << 30) / 1_000_000_000;
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The bit of a link-control protocol in [`PortSetting`].
fn bit(protocol: LinkControl) -> u32 {
    match protocol {
        LinkControl::Stp => PortSetting::STP,
        LinkControl::Lacp => PortSetting::LACP,
        LinkControl::Eapol => PortSetting::EAPOL,
        LinkControl::Lldp => PortSetting::LLDP,
        LinkControl::Ptp => PortSetting::PTP,
    }
}
