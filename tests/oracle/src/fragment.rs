//! Later fragments follow the first.

use std::net::IpAddr;

use cordon_policy::{Attachment, Mac};
use cordon_verdict::Reason;

use crate::frame::Link;
use crate::packet::Packet;
use crate::{Decided, Leaves, Oracle};

/// How long a first fragment is followed, in ticks.
const PATIENCE: u64 = 30;

/// Which packet a fragment is of: segment, addresses, protocol, identification.
pub(crate) type Whole = (usize, IpAddr, IpAddr, u8, u32);

/// How the first fragment of a packet went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    from: (Mac, Attachment),
    to: Mac,
    leaves: Leaves,
    rule: Decided,
    epoch: u64,
    tick: u64,
    /// Where the latest fragment that passed ends.
    end: usize,
    /// The one without more-fragments has passed.
    complete: bool,
}

fn whole(segment: usize, packet: &Packet, identification: u32) -> Whole {
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
    /// A first fragment has passed.
    pub(crate) fn lead(
        &mut self,
        segment: usize,
        here: Attachment,
        link: &Link,
        packet: &Packet,
        (leaves, rule): (Leaves, Decided),
    ) {
        let Some(fragment) = packet.fragment else {
            return;
        };
        let first = First {
            from: (link.source, here),
            to: link.destination,
            leaves,
            rule,
            epoch: self.epoch,
            tick: self.tick,
            end: fragment.length,
            complete: false,
        };
        let whole = whole(segment, packet, fragment.identification);
        self.fragments.insert(whole, first);
    }

    /// A later fragment goes the way of the first, or nowhere.
    pub(crate) fn follow(
        &mut self,
        segment: usize,
        here: Attachment,
        link: &Link,
        packet: &Packet,
    ) -> Result<(Leaves, Decided), Reason> {
        let fragment = packet.fragment.ok_or(Reason::Fragment)?;
        let whole = whole(segment, packet, fragment.identification);
        let first = self.fragments.get_mut(&whole).ok_or(Reason::Fragment)?;
        let agrees = first.from == (link.source, here)
            && first.to == link.destination
            && first.epoch == self.epoch;
        let late = self.tick - first.tick > PATIENCE;
        if !agrees || late || first.complete || fragment.offset < first.end {
            return Err(Reason::Fragment);
        }
        first.end = fragment.end();
        first.complete = !fragment.more;
        Ok((first.leaves, first.rule))
    }
}
