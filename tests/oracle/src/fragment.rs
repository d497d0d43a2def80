//! Later fragments pass as the first fragment of their packet did.

use std::net::IpAddr;

use cordon_policy::{Attachment, Mac};
use cordon_verdict::Reason;

use crate::frame::Link;
use crate::packet::Packet;
use crate::{Forwarded, MatchedRule, Oracle};

/// How long later fragments may follow the first, in ticks.
const REASSEMBLY_LIFETIME: u64 = 30;

/// The packet that a fragment belongs to: segment, source, destination, protocol, identification.
pub(crate) type DatagramKey = (usize, IpAddr, IpAddr, u8, u32);

/// How the first fragment of a packet was forwarded, and the progress since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstFragment {
    from: (Mac, Attachment),
    to: Mac,
    forwarded: Forwarded,
    rule: MatchedRule,
    epoch: u64,
    tick: u64,
    /// End offset of the latest fragment that passed.
    end: usize,
    /// The last fragment (without more-fragments) has passed.
    complete: bool,
}

fn datagram_key(segment: usize, packet: &Packet, identification: u32) -> DatagramKey {
    let (source, destination) = (packet.source, packet.destination);
    (
        segment,
        source,
        destination,
        packet.protocol,
        identification,
    )
}

impl Oracle {
    /// Records a first fragment that has passed.
    pub(crate) fn record_first_fragment(
        &mut self,
        segment: usize,
        ingress: Attachment,
        link: &Link,
        packet: &Packet,
        (forwarded, rule): (Forwarded, MatchedRule),
    ) {
        let Some(fragment) = packet.fragment else {
            return;
        };
        let first = FirstFragment {
            from: (link.source, ingress),
            to: link.destination,
            forwarded,
            rule,
            epoch: self.epoch,
            tick: self.tick,
            end: fragment.length,
            complete: false,
        };
        let key = datagram_key(segment, packet, fragment.identification);
        self.fragments.insert(key, first);
    }

    /// Forwards a later fragment as the first was, or drops it.
    pub(crate) fn follow_first_fragment(
        &mut self,
        segment: usize,
        ingress: Attachment,
        link: &Link,
        packet: &Packet,
    ) -> Result<(Forwarded, MatchedRule), Reason> {
        let fragment = packet.fragment.ok_or(Reason::Fragment)?;
        let key = datagram_key(segment, packet, fragment.identification);
        let first = self.fragments.get_mut(&key).ok_or(Reason::Fragment)?;
        let agrees = first.from == (link.source, ingress)
            && first.to == link.destination
            && first.epoch == self.epoch;
        let late = self.tick - first.tick > REASSEMBLY_LIFETIME;
        if !agrees || late || first.complete || fragment.offset < first.end {
            return Err(Reason::Fragment);
        }
        first.end = fragment.end();
        first.complete = !fragment.more;
        Ok((first.forwarded, first.rule))
    }
}
