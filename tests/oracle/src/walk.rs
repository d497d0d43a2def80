//! All stages of a frame's verdict, in the order of the specification.

use cordon_policy::Posture;
use cordon_verdict::Reason;

use crate::canonical;
use crate::flow;
use crate::frame::{self, Head, Link};
use crate::packet::{self, Packet};
use crate::protocol::{ARP, IPV4, IPV6};
use crate::transport::Content;
use crate::{Forwarded, Ingress, MatchedRule, Oracle, Refusal};

/// A frame that passes. `link` is its link layer after the proxy; link control frames have none.
pub(crate) struct Accepted<'a> {
    pub forwarded: Forwarded,
    pub rule: MatchedRule,
    pub link: Option<Link<'a>>,
    /// The payload of the frame as it leaves, if it leaves with another one.
    pub payload: Option<Vec<u8>>,
}

type Outcome = Result<(Forwarded, MatchedRule), Refusal>;

fn unmatched(reason: Reason) -> Refusal {
    (reason, MatchedRule::None)
}

impl Oracle {
    pub(crate) fn walk<'a>(
        &mut self,
        port: Option<usize>,
        frame: &'a [u8],
    ) -> Result<Accepted<'a>, Refusal> {
        if !self.in_force {
            return Err(unmatched(Reason::NoPolicy));
        }
        let mut link = match frame::head(frame).map_err(unmatched)? {
            Head::LinkControl => {
                let (forwarded, rule) = self.link_control(port, frame)?;
                return Ok(Accepted {
                    forwarded,
                    rule,
                    link: None,
                    payload: None,
                });
            }
            Head::Frame(link) => link,
        };
        let port = port.ok_or(unmatched(Reason::UnknownPort))?;
        let here = link.attachment(port);
        let segment = self
            .segment_at(here)
            .filter(|_| self.is_outer_tag(port, &link));
        let at = Ingress {
            attachment: here,
            segment: segment.ok_or(unmatched(Reason::UnknownAttachment))?,
            uplink: self.is_uplink(here),
        };
        let (forwarded, rule) = match link.ether_type {
            IPV4 | IPV6 => {
                let packet = match link.ether_type {
                    IPV4 => packet::ip4(&link),
                    _ => packet::ip6(&link),
                };
                let packet = packet.map_err(unmatched)?;
                if self.is_to_gateway(at, &link) {
                    link = self
                        .resolve_proxied(at, &link, &packet)
                        .map_err(unmatched)?;
                }
                self.ip(at, &link, &packet)?
            }
            ARP => {
                self.arp(at, &link, link.payload).map_err(unmatched)?;
                let permit = self.permit_arp(at, &link)?;
                if self.answers_arp(at, &link) {
                    self.answer(at, &link, &permit)?
                } else if self.is_to_gateway(at, &link) {
                    return Err(unmatched(Reason::AddressBinding));
                } else {
                    self.deliver(at, &link, &permit)?
                }
            }
            _ if self.is_to_gateway(at, &link) => return Err(unmatched(Reason::AddressBinding)),
            _ => {
                let permit = self.listed_ether_type(at, &link)?;
                self.deliver(at, &link, &permit)?
            }
        };
        Ok(Accepted {
            forwarded,
            rule,
            payload: canonical::payload(&link),
            link: Some(link),
        })
    }

    fn ip(&mut self, at: Ingress, link: &Link, packet: &Packet) -> Outcome {
        match packet.content {
            Content::LaterFragment => {
                let gone = self.follow_first_fragment(at.segment, at.attachment, link, packet);
                let (forwarded, rule) = gone.map_err(unmatched)?;
                self.storm_control(at, link).map_err(unmatched)?;
                self.count_copies(at, link, forwarded).map_err(unmatched)?;
                Ok((forwarded, rule))
            }
            Content::Membership(message) => {
                self.membership(at, link, packet, message)
                    .map_err(unmatched)?;
                let permit = self.permit_membership(at, packet, message)?;
                self.deliver(at, link, &permit)
            }
            Content::Error(message) => self.error(at, link, packet, message),
            Content::Discovery(message) => {
                self.source(at, link, packet).map_err(unmatched)?;
                self.discovery(at, link, packet, message)
                    .map_err(unmatched)?;
                let permit = self.permit_discovery(at, link, packet, message)?;
                if self.answers_solicitation(at, link, packet, message) {
                    self.answer(at, link, &permit)
                } else if link.proxied {
                    Err(unmatched(Reason::AddressBinding))
                } else {
                    self.deliver(at, link, &permit)
                }
            }
            _ => self.judge_flow(at, link, packet),
        }
    }

    /// Judges a packet of TCP, UDP, SCTP or ICMP echo.
    fn judge_flow(&mut self, at: Ingress, link: &Link, packet: &Packet) -> Outcome {
        let flow = flow::key(at.segment, link, packet);
        if let Some(key) = flow
            && let Some(forwarded) = self.fast_path(at.attachment, link, packet, key)
        {
            return Ok(forwarded);
        }
        let source = self.source(at, link, packet).map_err(unmatched)?;
        let (destination, to_member) = self.destination(at, link, packet).map_err(unmatched)?;
        let resets = packet.content.tcp().is_some_and(|tcp| tcp.rst);
        match flow {
            None if resets => return Err(unmatched(Reason::TcpSequence)),
            None => {}
            Some(key) => {
                if let Some(rule) = self.forged_reset(packet, key) {
                    return Err((Reason::TcpSequence, rule));
                }
            }
        }
        let mut permit = match self.authorise(packet, flow, &source, &destination) {
            Ok(permit) => permit,
            Err(refusal) if refusal.0 == Reason::Rule => return Err(refusal),
            Err(refusal) => self.answers_query(at, link, packet).ok_or(refusal)?,
        };
        permit.inside |= to_member && self.posture >= Posture::Contain;
        let (forwarded, rule) = self.deliver(at, link, &permit)?;
        if let Some(key) = flow {
            if !self.flows.contains_key(&key) {
                self.count_new_flow(at, link.source)
                    .map_err(|reason| (reason, rule))?;
            }
            self.update_flow(
                at.attachment,
                link,
                packet,
                key,
                (permit.opener, rule, forwarded),
            );
        }
        if packet.is_first() {
            self.record_first_fragment(at.segment, at.attachment, link, packet, (forwarded, rule));
        }
        self.record_query(at.segment, link, packet, &permit);
        Ok((forwarded, rule))
    }
}
