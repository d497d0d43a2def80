//! The forwarding database, and the egress of a frame.

use cordon_policy::{Attachment, Binding, Mac, Posture};
use cordon_verdict::Reason;

use crate::authorise::Permit;
use crate::frame::{self, Link};
use crate::identity;
use crate::{Forwarded, Ingress, MatchedRule, Oracle, Refusal, proxy, tags};

/// Where a MAC address was last seen: an FDB entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    at: Attachment,
    /// Whether the attachment was an uplink then.
    uplink: bool,
}

impl Oracle {
    pub(crate) fn segment_at(&self, here: Attachment) -> Option<usize> {
        let attached = |segment: &cordon_policy::Segment| segment.attachments.contains(&here);
        self.policy.segments.iter().position(attached)
    }

    pub(crate) fn is_uplink(&self, attachment: Attachment) -> bool {
        let port = self.policy.ports.get(attachment.port);
        port.is_some_and(|port| port.uplink)
    }

    /// Whether the outer of tagged_twice tags has the type that is configured for the port. True for fewer tags.
    pub(crate) fn is_outer_tag(&self, port: usize, link: &Link) -> bool {
        let tagged_twice = link.outer.filter(|_| link.inner.is_some());
        tagged_twice.is_none_or(|outer| outer.kind == tags::outer_kind(&self.policy, port))
    }

    /// Whether a station is reached through an uplink: by the active policy, or as it was learned if that does not have
    /// the attachment.
    pub(crate) fn is_via_uplink(&self, station: Station) -> bool {
        match self.segment_at(station.at) {
            Some(_) => self.is_uplink(station.at),
            None => station.uplink,
        }
    }

    /// Allows a packet by a built-in rule: at every posture but sever.
    pub(crate) fn built_in(&self, rule: MatchedRule) -> Result<Permit, Refusal> {
        match self.posture {
            Posture::Sever => Err((Reason::Posture, rule)),
            _ => Ok(Permit {
                rule,
                inside: false,
                opener: None,
            }),
        }
    }

    /// Learns the source, applies the limits, and finds the egress.
    pub(crate) fn deliver(
        &mut self,
        at: Ingress,
        link: &Link,
        permit: &Permit,
    ) -> Result<(Forwarded, MatchedRule), Refusal> {
        self.learn(at, link.source)
            .map_err(|reason| (reason, MatchedRule::None))?;
        self.storm_control(at, link)
            .map_err(|reason| (reason, MatchedRule::None))?;
        let forwarded = self.forward(at, link, permit)?;
        self.count_copies(at, link, forwarded)
            .map_err(|reason| (reason, MatchedRule::None))?;
        Ok((forwarded, permit.rule))
    }

    pub(crate) fn learn(&mut self, at: Ingress, mac: Mac) -> Result<(), Reason> {
        let before = self.stations.get(&(at.segment, mac)).copied();
        let unlisted = identity::listed(&self.policy, at.segment, mac).is_none();
        if !at.uplink && unlisted {
            match before {
                None => self.count_new_station(at.attachment.port)?,
                Some(before) if self.is_via_uplink(before) => return Err(Reason::StationMove),
                Some(_) => {}
            }
        }
        let station = Station {
            at: at.attachment,
            uplink: at.uplink,
        };
        self.stations.insert((at.segment, mac), station);
        Ok(())
    }

    fn forward(&self, at: Ingress, link: &Link, permit: &Permit) -> Result<Forwarded, Refusal> {
        let flood = |inside| {
            let mut by = self.policy.segments[at.segment].attachments.iter();
            let has_copies =
                by.any(|by| !self.is_uplink(*by) && (*by != at.attachment || link.proxied));
            match permit.inside && !has_copies {
                true => Err((Reason::Posture, permit.rule)),
                false => Ok(Forwarded::Flood {
                    segment: at.segment,
                    inside,
                }),
            }
        };
        if frame::is_group_mac(link.destination) {
            return flood(permit.inside);
        }
        let device = identity::listed(&self.policy, at.segment, link.destination);
        let listed = device.is_some();
        let binding = device.and_then(|device| self.policy.devices[device].binding);
        if let Some(Binding::Attachment(bound)) = binding {
            return match bound == at.attachment && !link.proxied {
                true => Err((Reason::SameAttachment, MatchedRule::None)),
                false => Ok(Forwarded::Unicast(bound)),
            };
        }
        let attachments = &self.policy.segments[at.segment].attachments;
        let station = self.stations.get(&(at.segment, link.destination));
        let station = station.filter(|station| match binding {
            Some(Binding::Port(port)) => station.at.port == port,
            _ => true,
        });
        match station.map(|station| station.at) {
            Some(station) if station == at.attachment && !link.proxied => {
                Err((Reason::SameAttachment, MatchedRule::None))
            }
            Some(station) if !attachments.contains(&station) => flood(permit.inside || listed),
            Some(station) if permit.inside && self.is_uplink(station) => {
                Err((Reason::Posture, permit.rule))
            }
            Some(station) if listed && self.is_uplink(station) => flood(true),
            Some(station) => Ok(Forwarded::Unicast(station)),
            None => flood(permit.inside || listed),
        }
    }

    /// The frames that leave, with the ports they leave by. `payload` replaces that of the frame, except in the
    /// gateway's own answers.
    pub(crate) fn egress_frames(
        &self,
        ingress: Option<usize>,
        forwarded: Forwarded,
        frame: &[u8],
        link: Option<Link>,
        payload: Option<&[u8]>,
    ) -> Vec<(usize, Vec<u8>)> {
        let (Some(ingress), Some(link)) = (ingress, link) else {
            return self.link_control_copies(ingress, forwarded, frame);
        };
        let here = link.attachment(ingress);
        let leaving = Link {
            payload: payload.unwrap_or(link.payload),
            ..link
        };
        let copy = |by: &Attachment| (by.port, tags::retag(&self.policy, &leaving, *by));
        match forwarded {
            Forwarded::Unicast(attachment) => vec![copy(&attachment)],
            Forwarded::Reply(attachment) => vec![(attachment.port, proxy::answer(frame, &link))],
            Forwarded::Flood { segment, inside } => {
                let mut by = self.policy.segments[segment].attachments.clone();
                by.retain(|by| (*by != here || link.proxied) && !(inside && self.is_uplink(*by)));
                by.sort();
                by.iter().map(copy).collect()
            }
            Forwarded::LinkControl(_) => Vec::new(),
        }
    }

    /// Copies of a link control frame: they leave by ports, not by attachments of a segment.
    fn link_control_copies(
        &self,
        ingress: Option<usize>,
        forwarded: Forwarded,
        frame: &[u8],
    ) -> Vec<(usize, Vec<u8>)> {
        let Forwarded::LinkControl(protocol) = forwarded else {
            return Vec::new();
        };
        let ports = self.policy.ports.iter().enumerate();
        ports
            .filter(|(port, set)| Some(*port) != ingress && set.pass.contains(&protocol))
            .map(|(port, _)| (port, frame.to_vec()))
            .collect()
    }
}
