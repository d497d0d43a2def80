//! The whole way of a frame, in the order of the specification.

use cordon_verdict::Reason;

use crate::authorise::Passed;
use crate::flow;
use crate::frame::{self, Head, Link};
use crate::packet::{self, Packet};
use crate::transport::Content;
use crate::{Decided, Ingress, Leaves, Oracle, Refused};

/// Where a frame leaves, by which rule, and its link layer, behind the proxy. Of link control nothing of it is read.
pub(crate) struct Walked<'a> {
    pub leaves: Leaves,
    pub rule: Decided,
    pub link: Option<Link<'a>>,
}

type Gone = Result<(Leaves, Decided), Refused>;

fn early(reason: Reason) -> Refused {
    (reason, Decided::Nothing)
}

impl Oracle {
    pub(crate) fn walk<'a>(
        &mut self,
        port: Option<usize>,
        frame: &'a [u8],
    ) -> Result<Walked<'a>, Refused> {
        if !self.in_force {
            return Err(early(Reason::NoPolicy));
        }
        let mut link = match frame::head(frame).map_err(early)? {
            Head::LinkControl => {
                let (leaves, rule) = self.link_control(port, frame)?;
                let link = None;
                return Ok(Walked { leaves, rule, link });
            }
            Head::Frame(link) => link,
        };
        let port = port.ok_or(early(Reason::UnknownPort))?;
        let here = link.place(port);
        let segment = self
            .segment_at(here)
            .filter(|_| self.is_outer_tag(port, &link));
        let at = Ingress {
            attachment: here,
            segment: segment.ok_or(early(Reason::UnknownAttachment))?,
            uplink: self.is_uplink(here),
        };
        let (leaves, rule) = match link.ether_type {
            0x0800 | 0x86dd => {
                let packet = match link.ether_type {
                    0x0800 => packet::ip4(&link),
                    _ => packet::ip6(&link),
                };
                let packet = packet.map_err(early)?;
                if self.is_to_gateway(at, &link) {
                    link = self.stand_in(at, &link, &packet).map_err(early)?;
                }
                self.ip(at, &link, &packet)?
            }
            0x0806 => {
                self.arp(at, &link, link.payload).map_err(early)?;
                let passed = self.built_in(Decided::Arp)?;
                if self.answers_arp(at, &link) {
                    self.answer(at, &link, &passed)?
                } else if self.is_to_gateway(at, &link) {
                    return Err(early(Reason::AddressBinding));
                } else {
                    self.deliver(at, &link, &passed)?
                }
            }
            _ if self.is_to_gateway(at, &link) => return Err(early(Reason::AddressBinding)),
            _ => {
                let passed = self.other(at, &link)?;
                self.deliver(at, &link, &passed)?
            }
        };
        let link = Some(link);
        Ok(Walked { leaves, rule, link })
    }

    fn ip(&mut self, at: Ingress, link: &Link, packet: &Packet) -> Gone {
        match packet.content {
            Content::Later => {
                let gone = self.follow(at.segment, at.attachment, link, packet);
                let (leaves, rule) = gone.map_err(early)?;
                self.storm(at, link).map_err(early)?;
                self.copied(at, link, leaves).map_err(early)?;
                Ok((leaves, rule))
            }
            Content::Membership(message) => {
                self.membership(at, link, packet, message).map_err(early)?;
                let passed = self.built_in(Decided::Membership)?;
                self.deliver(at, link, &passed)
            }
            Content::Error(message) => self.error(at, link, packet, message),
            Content::Discovery(message) => {
                self.source(at, link, packet).map_err(early)?;
                self.discovery(at, link, packet, message).map_err(early)?;
                let passed = self.built_in(Decided::Nd)?;
                if self.answers_solicitation(at, link, packet, message) {
                    self.answer(at, link, &passed)
                } else if link.proxied {
                    Err(early(Reason::AddressBinding))
                } else {
                    self.deliver(at, link, &passed)
                }
            }
            _ => self.talk(at, link, packet),
        }
    }

    /// What rules decide about.
    fn talk(&mut self, at: Ingress, link: &Link, packet: &Packet) -> Gone {
        let flow = flow::key(at.segment, link, packet);
        if let Some(key) = flow
            && let Some(settled) = self.settled(at.attachment, link, packet, key)
        {
            return Ok(settled);
        }
        let source = self.source(at, link, packet).map_err(early)?;
        let destination = self.destination(at, link, packet).map_err(early)?;
        let resets = packet.content.tcp().is_some_and(|tcp| tcp.rst);
        match flow {
            None if resets => return Err(early(Reason::TcpSequence)),
            None => {}
            Some(key) => {
                if let Some(rule) = self.forged_reset(packet, key) {
                    return Err((Reason::TcpSequence, rule));
                }
            }
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
        let (leaves, rule) = self.deliver(at, link, &passed)?;
        if let Some(key) = flow {
            if !self.flows.contains_key(&key) {
                self.new_flow(at, link.source)
                    .map_err(|reason| (reason, rule))?;
            }
            self.remember(
                at.attachment,
                link,
                packet,
                key,
                (passed.opener, rule, leaves),
            );
        }
        if packet.is_first() {
            self.lead(at.segment, at.attachment, link, packet, (leaves, rule));
        }
        self.ask(at.segment, link, packet, &passed);
        Ok((leaves, rule))
    }
}
