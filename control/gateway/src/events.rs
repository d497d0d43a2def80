//! The event stream: events of the data plane, with the names of the policy.

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

use crate::active_policy::{ActivePolicy, PolicySlots};
use crate::clock;
use crate::convert::{location_text, mac_text, protocol_name, unnamed_endpoint};
use crate::observed::{Observed, ShadowPolicy, ShadowVerdict};

/// One event, as a line of JSON.
pub type Line = Bytes;

/// The verdict of the shadow policy on a flow that an observe rule let pass.
type ShadowResult = (Arc<ShadowPolicy>, ShadowVerdict);

/// Starts the thread that reads the event ring and sends each event to the subscribers. Without subscribers it discards
/// events, so that a new subscriber does not get old ones.
///
/// # Errors
/// If the thread cannot be created.
pub fn forward(
    mut ring: cordon_kernel::Events,
    slots: PolicySlots,
    observed: Arc<Observed>,
    events: broadcast::Sender<Line>,
) -> io::Result<()> {
    let work = move || {
        loop {
            while let Some(event) = ring.next_event() {
                let active = slots.get(event.slot);
                let shadow_verdict = active
                    .as_ref()
                    .and_then(|active| observed.record_event(&event, active));
                if events.receiver_count() > 0 {
                    // Fails if the last subscriber has just left.
                    let _ = events.send(line(&event, active.as_deref(), shadow_verdict));
                }
            }
            if let Err(error) = wait(&ring) {
                tracing::error!("the event stream has stopped: {error}");
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("events".to_owned())
        .spawn(work)
        .map(drop)
}

fn wait(ring: &cordon_kernel::Events) -> Result<(), Errno> {
    let mut fds = [PollFd::new(ring.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

fn line(
    event: &abi::Event,
    active: Option<&ActivePolicy>,
    shadow_verdict: Option<ShadowResult>,
) -> Line {
    let mut described = describe(event, active);
    if let Some((shadow, ShadowVerdict::Drops(rule))) = shadow_verdict {
        described.would_drop = Some(shadow.would_drop(rule));
    }
    let mut line = serde_json::to_vec(&described).expect("own types with string keys serialise");
    line.push(b'\n');
    line.into()
}

/// An event with the names of the policy that it was judged by.
pub fn describe(event: &abi::Event, active: Option<&ActivePolicy>) -> Event {
    let device = active.and_then(|active| active.device_by_mac(event.segment, event.source_mac));
    let is_ip = event.protocol != 0;
    // ARP has addresses but no IP protocol; other non-IP frames have no addresses.
    let is_arp = !is_ip && event.source != abi::Event::BLANK.source;
    let has_ends = is_ip || is_arp;
    let end = |ip, port| match active {
        Some(active) => active.endpoint(ip, port, event.protocol),
        None => unnamed_endpoint(ip, port, event.protocol),
    };
    let reason = Reason::from_number(event.reason);
    Event {
        time: clock::rfc3339(clock::wall(event.at)),
        kind: match event.kind {
            EVENT_DROP => EventKind::Drop,
            _ => EventKind::Flow,
        },
        reason: reason.map(|reason| reason.name().to_owned()),
        rule: active
            .and_then(|active| active.rule(event.rule))
            .map(str::to_owned),
        would_drop: None,
        ingress: match active {
            Some(active) => active.attachment_name(event.location),
            None => location_text(event.location),
        },
        segment: active
            .filter(|_| is_admitted(reason))
            .and_then(|active| active.segment(event.segment))
            .map(str::to_owned),
        device: device.map(|device| device.name.clone()),
        source_mac: mac_text(event.source_mac),
        destination_mac: mac_text(event.destination_mac),
        from: has_ends.then(|| end(event.source, event.source_port)),
        to: has_ends.then(|| end(event.destination, event.destination_port)),
        protocol: match is_arp {
            true => Some("arp".to_owned()),
            false => is_ip.then(|| protocol_name(event.protocol)),
        },
        length: event.length,
    }
}

/// Whether a frame with this drop reason was admitted to a segment.
fn is_admitted(reason: Option<Reason>) -> bool {
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
    fn a_drop_before_admission_has_no_segment_and_no_endpoints() {
        let event = abi::Event {
            kind: EVENT_DROP,
            reason: Reason::UnknownAttachment as u8,
            source_mac: 0x02_00_5e_21_00_11,
            location: location(1, 210, 0),
            length: 60,
            ..abi::Event::BLANK
        };
        let described = describe(&event, None);
        assert_eq!(described.kind, EventKind::Drop);
        assert_eq!(described.reason.as_deref(), Some("unknown-attachment"));
        assert_eq!(described.source_mac, "02:00:5e:21:00:11");
        assert_eq!(described.ingress, "port-1.210");
        assert_eq!(
            (described.segment, described.from, described.protocol),
            (None, None, None)
        );
        let two_tags = abi::Event {
            location: location(1, 100, 210),
            ..event
        };
        assert_eq!(describe(&two_tags, None).ingress, "port-1.100.210");
    }

    #[test]
    fn a_dropped_arp_packet_has_the_claimed_addresses() {
        let event = abi::Event {
            kind: EVENT_DROP,
            reason: Reason::AddressBinding as u8,
            source: Ip::v4(0x0a19_0063),
            destination: Ip::v4(0x0a19_0001),
            ..abi::Event::BLANK
        };
        let described = describe(&event, None);
        let [from, to] = [described.from, described.to].map(|end| end.expect("is present").ip);
        assert_eq!((from.as_str(), to.as_str()), ("10.25.0.99", "10.25.0.1"));
        assert_eq!(described.protocol.as_deref(), Some("arp"));
    }

    #[test]
    fn a_flow_event_has_both_endpoints() {
        let event = abi::Event {
            kind: EVENT_FLOW,
            protocol: 6,
            source: Ip::v4(0x0a15_000b),
            destination: Ip::v4(0x0ac8_040a),
            source_port: 49152,
            destination_port: 104,
            ..abi::Event::BLANK
        };
        let described = describe(&event, None);
        let to = described.to.expect("is IP");
        assert_eq!((to.ip.as_str(), to.port), ("10.200.4.10", 104));
        assert_eq!(described.from.expect("is IP").ip, "10.21.0.11");
        assert_eq!(
            (described.reason, described.protocol.as_deref()),
            (None, Some("tcp"))
        );
    }
}
