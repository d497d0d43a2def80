//! Where a station is, and where a frame leaves.

use cordon_policy::{Attachment, Binding, Mac, Posture};
use cordon_verdict::Reason;

use crate::authorise::Passed;
use crate::frame::{self, Link};
use crate::who;
use crate::{Decided, Ingress, Leaves, Oracle, Refused, proxy, tags};

/// Where a MAC address was last seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    at: Attachment,
    /// What the attachment was then.
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

    /// Whether the outer of two tags has the type that is set for the port.
    pub(crate) fn is_outer_tag(&self, port: usize, link: &Link) -> bool {
        let two = link.outer.filter(|_| link.inner.is_some());
        two.is_none_or(|outer| outer.kind == tags::outer_kind(&self.policy, port))
    }

    /// Whether a station is behind an uplink: by the policy in force, or as it was if that does not know the place.
    pub(crate) fn is_behind(&self, station: Station) -> bool {
        match self.segment_at(station.at) {
            Some(_) => self.is_uplink(station.at),
            None => station.uplink,
        }
    }

    /// What passes at every posture but sever.
    pub(crate) fn built_in(&self, rule: Decided) -> Result<Passed, Refused> {
        match self.posture {
            Posture::Sever => Err((Reason::Posture, rule)),
            _ => Ok(Passed {
                rule,
                inside: false,
                opener: None,
            }),
        }
    }

    /// Learns the source, and finds the destination.
    pub(crate) fn deliver(
        &mut self,
        at: Ingress,
        link: &Link,
        passed: &Passed,
    ) -> Result<(Leaves, Decided), Refused> {
        self.learn(at, link.source)
            .map_err(|reason| (reason, Decided::Nothing))?;
        self.storm(at, link)
            .map_err(|reason| (reason, Decided::Nothing))?;
        let leaves = self.forward(at, link, passed)?;
        self.copied(at, link, leaves)
            .map_err(|reason| (reason, Decided::Nothing))?;
        Ok((leaves, passed.rule))
    }

    pub(crate) fn learn(&mut self, at: Ingress, mac: Mac) -> Result<(), Reason> {
        let before = self.stations.get(&(at.segment, mac)).copied();
        let unlisted = who::listed(&self.policy, at.segment, mac).is_none();
        if !at.uplink && unlisted {
            match before {
                None => self.new_station(at.attachment.port)?,
                Some(before) if self.is_behind(before) => return Err(Reason::StationMove),
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

    fn forward(&self, at: Ingress, link: &Link, passed: &Passed) -> Result<Leaves, Refused> {
        let flood = |inside| Leaves::Flood {
            segment: at.segment,
            inside,
        };
        if frame::is_group_mac(link.destination) {
            return Ok(flood(passed.inside));
        }
        let device = who::listed(&self.policy, at.segment, link.destination);
        let listed = device.is_some();
        let binding = device.and_then(|device| self.policy.devices[device].binding);
        if let Some(Binding::Attachment(own)) = binding {
            return match own == at.attachment && !link.proxied {
                true => Err((Reason::SameAttachment, Decided::Nothing)),
                false => Ok(Leaves::By(own)),
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
                Err((Reason::SameAttachment, Decided::Nothing))
            }
            Some(station) if !attachments.contains(&station) => Ok(flood(passed.inside || listed)),
            Some(station) if passed.inside && self.is_uplink(station) => {
                Err((Reason::Posture, passed.rule))
            }
            Some(station) if listed && self.is_uplink(station) => Ok(flood(true)),
            Some(station) => Ok(Leaves::By(station)),
            None => Ok(flood(passed.inside || listed)),
        }
    }

    /// The frames that leave.
    pub(crate) fn leaving(
        &self,
        ingress: Option<usize>,
        leaves: Leaves,
        frame: &[u8],
        link: Option<Link>,
    ) -> Vec<(usize, Vec<u8>)> {
        let (Some(ingress), Some(link)) = (ingress, link) else {
            return self.passed_by_ports(ingress, leaves, frame);
        };
        let here = link.place(ingress);
        let copy = |by: &Attachment| (by.port, tags::retag(&self.policy, &link, *by));
        match leaves {
            Leaves::By(attachment) => vec![copy(&attachment)],
            Leaves::Answered(attachment) => vec![(attachment.port, proxy::answer(frame, &link))],
            Leaves::Flood { segment, inside } => {
                let mut by = self.policy.segments[segment].attachments.clone();
                by.retain(|by| (*by != here || link.proxied) && !(inside && self.is_uplink(*by)));
                by.sort();
                by.iter().map(copy).collect()
            }
            Leaves::LinkControl(_) => Vec::new(),
        }
    }

    /// Link control goes from port to port.
    fn passed_by_ports(
        &self,
        ingress: Option<usize>,
        leaves: Leaves,
        frame: &[u8],
    ) -> Vec<(usize, Vec<u8>)> {
        let Leaves::LinkControl(protocol) = leaves else {
            return Vec::new();
        };
        let ports = self.policy.ports.iter().enumerate();
        ports
            .filter(|(port, set)| Some(*port) != ingress && set.pass.contains(&protocol))
            .map(|(port, _)| (port, frame.to_vec()))
            .collect()
    }
}
