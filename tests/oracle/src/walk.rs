//! The whole way of a frame, in the order of the specification.

use cordon_policy::Attachment;
use cordon_verdict::Reason;

use crate::authorise::Passed;
use crate::flow;
use crate::frame::{self, Head, Link};
use crate::packet::{self, Packet};
use crate::transport::Content;
use crate::{Decided, Ingress, Leaves, Oracle, Refused};

type Walked = Result<(Leaves, Decided), Refused>;

fn early(reason: Reason) -> Refused {
    (reason, Decided::Nothing)
}

impl Oracle {
    pub(crate) fn walk(&mut self, port: Option<usize>, frame: &[u8]) -> Walked {
        if !self.in_force {
            return Err(early(Reason::NoPolicy));
        }
        let link = match frame::head(frame).map_err(early)? {
            Head::LinkControl => return self.link_control(port, frame),
            Head::Frame(link) => link,
        };
        let port = port.ok_or(early(Reason::UnknownPort))?;
        let here = Attachment {
            port,
            vlan: link.vlan(),
        };
        let segment = self
            .segment_at(here)
            .ok_or(early(Reason::UnknownAttachment))?;
        let at = Ingress {
            port,
            segment,
            uplink: self.is_uplink(here),
        };
        self.storm(port, &link).map_err(early)?;
        match link.ether_type {
            0x0800 => {
                let packet = packet::ip4(&link).map_err(early)?;
                self.ip(at, &link, here, &packet)
            }
            0x86dd => {
                let packet = packet::ip6(&link).map_err(early)?;
                self.ip(at, &link, here, &packet)
            }
            0x0806 => {
                self.arp(at, &link, link.payload).map_err(early)?;
                let passed = self.built_in(Decided::Arp)?;
                self.deliver(at, &link, here, &passed)
            }
            _ => {
                let passed = self.other(at, &link)?;
                self.deliver(at, &link, here, &passed)
            }
        }
    }

    fn ip(&mut self, at: Ingress, link: &Link, here: Attachment, packet: &Packet) -> Walked {
        match packet.content {
            Content::Later => self.follow(at.segment, here, link, packet).map_err(early),
            Content::Membership(message) => {
                self.membership(at, link, packet, message).map_err(early)?;
                let passed = self.built_in(Decided::Membership)?;
                self.deliver(at, link, here, &passed)
            }
            Content::Error(message) => self.error(at, here, link, packet, message),
            Content::Discovery(message) => {
                self.source(at, link, packet).map_err(early)?;
                self.discovery(at, link, packet, message).map_err(early)?;
                let passed = self.built_in(Decided::Nd)?;
                self.deliver(at, link, here, &passed)
            }
            _ => self.talk(at, link, here, packet),
        }
    }

    /// What rules decide about.
    fn talk(&mut self, at: Ingress, link: &Link, here: Attachment, packet: &Packet) -> Walked {
        let flow = flow::key(at.segment, link, packet);
        if let Some(key) = flow
            && let Some(settled) = self.settled(here, link, packet, key)
        {
            return Ok(settled);
        }
        let source = self.source(at, link, packet).map_err(early)?;
        let destination = self.destination(at, link, packet).map_err(early)?;
        if let Some(rule) = flow.and_then(|key| self.forged_reset(packet, key)) {
            return Err((Reason::TcpSequence, rule));
        }
        let passed = match self.authorise(packet, flow, &source, &destination) {
            Ok(passed) => passed,
            Err(refused) if refused.0 == Reason::Rule => return Err(refused),
            Err(refused) => Passed {
                rule: self.answers_question(at, link, packet).ok_or(refused)?,
                inside: false,
                opener: Some(flow::ends(packet).1),
            },
        };
        let (leaves, rule) = self.deliver(at, link, here, &passed)?;
        if let Some(key) = flow {
            if !self.flows.contains_key(&key) {
                self.new_flow(at, link.source)
                    .map_err(|reason| (reason, rule))?;
            }
            self.remember(here, link, packet, key, (passed.opener, rule, leaves));
        }
        if packet.is_first() {
            self.lead(at.segment, here, link, packet, (leaves, rule));
        }
        self.ask(at.segment, link, packet, &passed);
        Ok((leaves, rule))
    }
}
