//! Which flows a query matches.

use cordon_kernel::FlowEntry;
use cordon_protocol::{FlowQuery, FlowState};
use cordon_verdict::abi::{self, path_mac};

use crate::active_policy::ActivePolicy;
use crate::convert::{ip_address, mac_from_bytes};
use crate::refusal::Refusal;

/// The criteria of a query.
pub struct FlowFilter<'a> {
    /// The device, and the number of its segment.
    device: Option<(&'a cordon_policy::Device, u16)>,
    segment: Option<u16>,
    rule: Option<&'a str>,
    half_open: Option<bool>,
}

impl<'a> FlowFilter<'a> {
    /// The criteria in the numbers of a policy.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the policy does not have a name of the query.
    pub fn new(
        query: &'a FlowQuery,
        active: Option<&'a ActivePolicy>,
    ) -> Result<FlowFilter<'a>, Refusal> {
        let policy = active.map(|active| &*active.policy);
        let devices = policy.map_or(&[][..], |policy| &policy.devices);
        let segments = policy.map_or(&[][..], |policy| &policy.segments);
        let device = query.device.as_deref().map(|name| {
            let known = devices.iter().map(|device| device.name.as_str());
            let found = devices.iter().find(|device| device.name == name);
            let found = found.map(|device| (device, segments[device.segment].number));
            found.ok_or_else(|| {
                Refusal::unknown("device", name, known, "`cordon devices` lists them")
            })
        });
        let segment = query.segment.as_deref().map(|name| {
            let known = segments.iter().map(|segment| segment.name.as_str());
            let found = segments.iter().find(|segment| segment.name == name);
            found.map(|segment| segment.number).ok_or_else(|| {
                Refusal::unknown("segment", name, known, "`cordon status` lists them")
            })
        });
        let rule = query.rule.as_deref().map(|name| {
            let rules = active.map_or(0, |active| active.rules as u32);
            let known = || (0..rules).filter_map(|number| active?.rule(number));
            match known().any(|rule| rule == name) {
                true => Ok(name),
                false => Err(Refusal::unknown(
                    "rule",
                    name,
                    known(),
                    "`cordon rules` lists them",
                )),
            }
        });
        Ok(FlowFilter {
            device: device.transpose()?,
            segment: segment.transpose()?,
            rule: rule.transpose()?,
            half_open: query.state.map(|state| state == FlowState::HalfOpen),
        })
    }

    /// Whether a flow matches all criteria but the rule.
    pub fn matches(&self, entry: &FlowEntry) -> bool {
        self.segment.is_none_or(|segment| entry.segment == segment)
            && self
                .half_open
                .is_none_or(|half_open| entry.half_open == half_open)
            && self
                .device
                .is_none_or(|(device, segment)| is_end(device, segment, entry))
    }

    /// Whether a flow that this rule allows matches.
    pub fn matches_rule(&self, rule: Option<&str>) -> bool {
        self.rule.is_none() || self.rule == rule
    }
}

/// Whether a device is an end of a flow: by IP address, or by MAC address in its own segment.
fn is_end(device: &cordon_policy::Device, segment: u16, entry: &FlowEntry) -> bool {
    let has = |ip: &cordon_verdict::Ip| device.ips.contains(&ip_address(*ip));
    let mac = mac_from_bytes(device.mac.0);
    let sends = |way: &abi::FlowPath| way.from != 0 && path_mac(way.from) == mac;
    entry.address.iter().any(has) || (entry.segment == segment && entry.flow.path.iter().any(sends))
}
