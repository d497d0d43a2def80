//! When a sweep removes an idle flow.

use std::time::Duration;

use cordon_verdict::abi::AGE_SECONDS;
use cordon_verdict::protocol::{SCTP, TCP};

use crate::flow_entry::FlowEntry;

/// Default idle timeouts, in age ticks ([`Control::tick`](cordon_verdict::abi::Control::tick)), and the quota of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepLimits {
    /// Established TCP: HL7 sessions are idle for hours.
    pub tcp: u16,
    /// Established TCP, in a table above its high-water mark: 7/8 full.
    pub tcp_above_high_water: u16,
    /// TCP of which one end has sent FIN.
    pub half_closed: u16,
    /// TCP, closed or reset.
    pub closed: u16,
    /// Established SCTP: its ends send a heartbeat every half a minute (RFC 9260 §8.3).
    pub sctp: u16,
    /// UDP and ICMP of which both ends have sent.
    pub datagram: u16,
    /// Half-open flows.
    pub unanswered: u16,
    /// How many established flows a device may have. A MAC address at an uplink is a router's, and has no quota.
    pub quota: u32,
}

/// The idle timeout that the policy sets for an established flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleTimeout {
    /// The policy sets none: the default of [`SweepLimits`] applies.
    Default,
    /// Exactly this.
    Exactly(Duration),
    /// The default, but at least this: the flow was judged by an earlier policy, and its rule may have another number now.
    AtLeast(Duration),
}

const fn ticks(seconds: u64) -> u16 {
    let ticks = seconds.div_ceil(AGE_SECONDS);
    // The tick counter wraps: a flow that is idle for longer than this could look recent.
    if ticks > LONGEST as u64 {
        LONGEST
    } else {
        ticks as u16
    }
}

/// Nine tenths of the range of the age tick: two and a half days.
const LONGEST: u16 = u16::MAX / 10 * 9;

/// The fraction of a flow table that may be filled before shorter timeouts and the quota of unlisted hosts apply.
pub const HIGH_WATER_MARK: (usize, usize) = (7, 8);

impl Default for SweepLimits {
    fn default() -> SweepLimits {
        SweepLimits {
            tcp: ticks(36 * 3600),
            tcp_above_high_water: ticks(3600),
            half_closed: ticks(3600),
            closed: ticks(10),
            sctp: ticks(1800),
            datagram: ticks(300),
            unanswered: ticks(60),
            quota: 16_384,
        }
    }
}

impl SweepLimits {
    /// Whether a flow is idle for longer than its timeout. `above_high_water`: whether its table is filled above
    /// [`HIGH_WATER_MARK`].
    pub(crate) fn is_expired(
        &self,
        entry: &FlowEntry,
        now: u16,
        idle_timeout: impl Fn(&FlowEntry) -> IdleTimeout,
        above_high_water: bool,
    ) -> bool {
        let idle = entry.idle(now);
        let (default, policy_applies) = match entry.protocol {
            TCP if entry.closed() => (self.closed, false),
            _ if entry.half_open => (self.unanswered, false),
            TCP if entry.half_closed() => (self.half_closed, false),
            TCP if above_high_water => (self.tcp_above_high_water, true),
            TCP => (self.tcp, true),
            SCTP => (self.sctp, true),
            _ => (self.datagram, true),
        };
        // Most flows sent a packet within this age tick: do not look up their rule.
        if !policy_applies || idle == 0 {
            return idle > default;
        }
        let limit = match idle_timeout(entry) {
            IdleTimeout::Default => default,
            IdleTimeout::Exactly(time) => ticks(time.as_secs()),
            IdleTimeout::AtLeast(time) => default.max(ticks(time.as_secs())),
        };
        idle > limit
    }
}

#[cfg(test)]
mod tests {
    use cordon_verdict::Ip;
    use cordon_verdict::abi::{Flow, FlowPath, Ruling};

    use super::*;

    const HOUR: u64 = 3600;

    fn entry(protocol: u8, state: u8, half_open: bool) -> FlowEntry {
        FlowEntry {
            address: [Ip::v4(1), Ip::v4(2)],
            port: [40000, 2575],
            segment: 1,
            protocol,
            requester: 0,
            half_open,
            flow: Flow {
                judged: Flow::judged(7, Ruling::allow(20)),
                path: [FlowPath::default(); 2],
                volume: [1; 2],
                acknowledged: [0; 2],
                seen: u16::MAX - 5,
                initiator: 0,
                state,
                group: 0,
            },
        }
    }

    /// The idle timeout of a flow in seconds.
    fn timeout(entry: &FlowEntry, policy: IdleTimeout, above_high_water: bool) -> u64 {
        let limits = SweepLimits::default();
        let expired = |ticks: u16| {
            // `seen` is near the end of the range, so that the tick counter wraps.
            let now = entry.flow.seen.wrapping_add(ticks);
            limits.is_expired(entry, now, |_| policy, above_high_water)
        };
        let first = (0..u16::MAX).find(|ticks| expired(*ticks));
        u64::from(first.expect("every flow expires") - 1) * AGE_SECONDS
    }

    #[test]
    fn idle_timeouts_by_protocol_and_state() {
        let fin = Flow::FIN;
        let both = Flow::FIN | Flow::FIN << 1;
        let hours = |hours| Duration::from_secs(hours * HOUR);
        for (what, entry, policy, above_high_water, expected) in [
            (
                "TCP",
                entry(6, 0, false),
                IdleTimeout::Default,
                false,
                36 * HOUR,
            ),
            (
                "TCP above the high-water mark",
                entry(6, 0, false),
                IdleTimeout::Default,
                true,
                HOUR,
            ),
            (
                "half-closed",
                entry(6, fin, false),
                IdleTimeout::Default,
                false,
                HOUR,
            ),
            (
                "half-closed by the other",
                entry(6, fin << 1, false),
                IdleTimeout::Default,
                false,
                HOUR,
            ),
            (
                "closed",
                entry(6, both, false),
                IdleTimeout::Default,
                false,
                12,
            ),
            (
                "reset",
                entry(6, Flow::RST, false),
                IdleTimeout::Default,
                false,
                12,
            ),
            (
                "half-open",
                entry(6, 0, true),
                IdleTimeout::Default,
                false,
                60,
            ),
            ("UDP", entry(17, 0, false), IdleTimeout::Default, false, 300),
            ("ICMP", entry(1, 0, false), IdleTimeout::Default, true, 300),
            (
                "SCTP",
                entry(SCTP, 0, false),
                IdleTimeout::Default,
                false,
                1800,
            ),
            // The policy sets a timeout for the service.
            (
                "longer",
                entry(6, 0, false),
                IdleTimeout::Exactly(hours(48)),
                false,
                48 * HOUR,
            ),
            (
                "longer, above the high-water mark",
                entry(6, 0, false),
                IdleTimeout::Exactly(hours(48)),
                true,
                48 * HOUR,
            ),
            (
                "shorter",
                entry(6, 0, false),
                IdleTimeout::Exactly(hours(2)),
                false,
                2 * HOUR,
            ),
            (
                "UDP longer",
                entry(17, 0, false),
                IdleTimeout::Exactly(hours(1)),
                false,
                HOUR,
            ),
            (
                "closed, whatever the policy says",
                entry(6, both, false),
                IdleTimeout::Exactly(hours(48)),
                false,
                12,
            ),
            (
                "half-open, whatever the policy says",
                entry(6, 0, true),
                IdleTimeout::Exactly(hours(48)),
                false,
                60,
            ),
            // A timeout of an earlier policy never shortens the default.
            (
                "not shorter",
                entry(6, 0, false),
                IdleTimeout::AtLeast(hours(2)),
                false,
                36 * HOUR,
            ),
            (
                "but longer",
                entry(6, 0, false),
                IdleTimeout::AtLeast(hours(48)),
                false,
                48 * HOUR,
            ),
            // The range of the tick counter limits the timeout.
            (
                "a month",
                entry(6, 0, false),
                IdleTimeout::Exactly(hours(720)),
                false,
                u64::from(LONGEST) * AGE_SECONDS,
            ),
        ] {
            assert_eq!(
                timeout(&entry, policy, above_high_water),
                expected,
                "{what}"
            );
        }
        assert_eq!(entry(6, 0, false).server_port(), 2575);
    }
}
