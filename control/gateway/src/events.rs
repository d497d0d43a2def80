//! What the data plane tells of, with names, for whoever listens.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use axum::body::Bytes;
use cordon_protocol::{Event, EventKind};
use cordon_verdict::Reason;
use cordon_verdict::abi::{self, EVENT_DROP};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::broadcast;

use crate::clock;
use crate::names::{Named, Slots, mac_text, nameless, numbers, protocol};
use crate::observed::{Enforced, Observed, Twin};

/// One event, as a line of JSON.
pub type Line = Bytes;

/// What enforcement says of what an observed segment lets be.
type LetBe = (Arc<Twin>, Enforced);

/// Takes events from the ring for as long as the daemon runs, on a thread of its own. The ring is emptied whether
/// anyone listens or not, or what is in it would be old when someone does.
///
/// # Errors
/// If there is no thread to be had.
pub fn forward(
    mut events: cordon_kernel::Events,
    slots: Slots,
    observed: Arc<Observed>,
    tell: broadcast::Sender<Line>,
) -> io::Result<()> {
    let work = move || {
        loop {
            while let Some(event) = events.next_event() {
                let named = slots.get(event.slot);
                let let_be = named
                    .as_ref()
                    .and_then(|named| observed.heard(&event, named));
                if tell.receiver_count() > 0 {
                    // Whether anyone still listens is no matter.
                    let _ = tell.send(line(&event, named.as_deref(), let_be));
                }
            }
            if let Err(error) = wait(&events) {
                tracing::error!("no more events are told: {error}");
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("events".to_owned())
        .spawn(work)
        .map(drop)
}

fn wait(events: &cordon_kernel::Events) -> Result<(), Errno> {
    let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

fn line(event: &abi::Event, named: Option<&Named>, let_be: Option<LetBe>) -> Line {
    let mut told = describe(event, named);
    if let Some((twin, Enforced::Drops(rule))) = let_be {
        told.would_drop = Some(twin.would_drop(rule));
    }
    let mut line =
        serde_json::to_vec(&told).expect("our own type: string keys, nothing that JSON cannot say");
    line.push(b'\n');
    line.into()
}

/// An event in the words of the policy it was judged by.
pub fn describe(event: &abi::Event, named: Option<&Named>) -> Event {
    let device = named.and_then(|named| named.device_by_mac(event.segment, event.source_mac));
    let is_ip = event.protocol != 0;
    // Of what has no addresses there are none; ARP has them without a protocol.
    let is_arp = !is_ip && event.source != abi::Event::BLANK.source;
    let has_ends = is_ip || is_arp;
    let end = |ip, port| match named {
        Some(named) => named.endpoint(ip, port, event.protocol),
        None => nameless(ip, port, event.protocol),
    };
    let reason = Reason::from_number(event.reason);
    Event {
        time: clock::rfc3339(clock::wall(event.at)),
        kind: match event.kind {
            EVENT_DROP => EventKind::Drop,
            _ => EventKind::Flow,
        },
        reason: reason.map(|reason| reason.name().to_owned()),
        rule: named
            .and_then(|named| named.rule(event.rule))
            .map(str::to_owned),
        would_drop: None,
        ingress: match named {
            Some(named) => named.at(event.location),
            None => numbers(event.location),
        },
        segment: named
            .filter(|_| knows_segment(reason))
            .and_then(|named| named.segment(event.segment))
            .map(str::to_owned),
        device: device.map(|device| device.name.clone()),
        source_mac: mac_text(event.source_mac),
        destination_mac: mac_text(event.destination_mac),
        from: has_ends.then(|| end(event.source, event.source_port)),
        to: has_ends.then(|| end(event.destination, event.destination_port)),
        protocol: match is_arp {
            true => Some("arp".to_owned()),
            false => is_ip.then(|| protocol(event.protocol)),
        },
        length: event.length,
    }
}

/// Whether a frame got far enough to belong to a segment.
fn knows_segment(reason: Option<Reason>) -> bool {
    !matches!(
        reason,
        Some(
            Reason::NoPolicy
                | Reason::UnknownPort
                | Reason::Truncated
                | Reason::SourceMac
                | Reason::LinkControl
                | Reason::VlanStack
                | Reason::UnknownAttachment
        )
    )
}

#[cfg(test)]
mod tests {
    use cordon_verdict::Ip;
    use cordon_verdict::abi::{EVENT_FLOW, location};

    use super::*;

    #[test]
    fn a_drop_says_no_more_than_the_frame_got_to_say() {
        let event = abi::Event {
            kind: EVENT_DROP,
            reason: Reason::UnknownAttachment as u8,
            source_mac: 0x02_00_5e_21_00_11,
            location: location(1, 210, 0),
            length: 60,
            ..abi::Event::BLANK
        };
        let told = describe(&event, None);
        assert_eq!(told.kind, EventKind::Drop);
        assert_eq!(told.reason.as_deref(), Some("unknown-attachment"));
        assert_eq!(told.source_mac, "02:00:5e:21:00:11");
        assert_eq!(told.ingress, "port-1.210");
        assert_eq!((told.segment, told.from, told.protocol), (None, None, None));
        let two_tags = abi::Event {
            location: location(1, 100, 210),
            ..event
        };
        assert_eq!(describe(&two_tags, None).ingress, "port-1.100.210");
    }

    #[test]
    fn of_arp_it_is_told_which_address_was_claimed() {
        let event = abi::Event {
            kind: EVENT_DROP,
            reason: Reason::AddressBinding as u8,
            source: Ip::v4(0x0a19_0063),
            destination: Ip::v4(0x0a19_0001),
            ..abi::Event::BLANK
        };
        let told = describe(&event, None);
        let [from, to] = [told.from, told.to].map(|end| end.expect("is told").ip);
        assert_eq!((from.as_str(), to.as_str()), ("10.25.0.99", "10.25.0.1"));
        assert_eq!(told.protocol.as_deref(), Some("arp"));
    }

    #[test]
    fn a_flow_has_both_ends() {
        let event = abi::Event {
            kind: EVENT_FLOW,
            protocol: 6,
            source: Ip::v4(0x0a15_000b),
            destination: Ip::v4(0x0ac8_040a),
            source_port: 49152,
            destination_port: 104,
            ..abi::Event::BLANK
        };
        let told = describe(&event, None);
        let to = told.to.expect("is IP");
        assert_eq!((to.ip.as_str(), to.port), ("10.200.4.10", 104));
        assert_eq!(told.from.expect("is IP").ip, "10.21.0.11");
        assert_eq!((told.reason, told.protocol.as_deref()), (None, Some("tcp")));
    }
}
