//! For how long a flow may be silent.

use std::time::Duration;

use cordon_verdict::abi::AGE_SECONDS;

use crate::flows::FlowEntry;

/// After how many ticks of [`Control::tick`](cordon_verdict::abi::Control::tick) without a packet a flow is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// TCP, both ends heard: HL7 sessions are silent for hours.
    pub tcp: u16,
    /// The same, where the table has little room left.
    pub tcp_pressed: u16,
    /// TCP, one end has said that it is done.
    pub half_closed: u16,
    /// TCP, closed or reset.
    pub closed: u16,
    /// SCTP, both ends heard: its ends ask for each other every half a minute (RFC 9260 §8.3).
    pub sctp: u16,
    /// UDP and ICMP, both ends heard.
    pub datagram: u16,
    /// Only one end heard.
    pub unanswered: u16,
    /// How many flows a device may have, both ends heard. A router, which speaks for many, may have any number.
    pub quota: u32,
}

/// What a policy says of the silence of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing.
    Usual,
    /// It may be as long as this.
    Exactly(Duration),
    /// As usual, and this at least: what was said of the rule that let it pass is not certain any more.
    AtLeast(Duration),
}

const fn ticks(seconds: u64) -> u16 {
    let ticks = seconds.div_ceil(AGE_SECONDS);
    // The clock goes round: what is older than that would look young.
    if ticks > MOST as u64 {
        MOST
    } else {
        ticks as u16
    }
}

/// Nine tenths of a round of the clock: two days and a half.
const MOST: u16 = u16::MAX / 10 * 9;

/// Of the room for flows, how much may be taken before those that are silent have to give way sooner.
pub const PRESSED: (usize, usize) = (7, 8);

impl Default for Idle {
    fn default() -> Idle {
        Idle {
            tcp: ticks(36 * 3600),
            tcp_pressed: ticks(3600),
            half_closed: ticks(3600),
            closed: ticks(10),
            sctp: ticks(1800),
            datagram: ticks(300),
            unanswered: ticks(60),
            quota: 16_384,
        }
    }
}

impl Idle {
    /// Whether a flow was silent for too long, of a table that has little room left if it is `pressed`.
    pub(crate) fn is_over(
        &self,
        entry: &FlowEntry,
        now: u16,
        silence: impl Fn(&FlowEntry) -> Silence,
        pressed: bool,
    ) -> bool {
        let silent = entry.idle(now);
        let (usual, told) = match entry.protocol {
            TCP if entry.closed() => (self.closed, false),
            _ if entry.half_open => (self.unanswered, false),
            TCP if entry.half_closed() => (self.half_closed, false),
            TCP if pressed => (self.tcp_pressed, true),
            TCP => (self.tcp, true),
            SCTP => (self.sctp, true),
            _ => (self.datagram, true),
        };
        // Of most flows nobody need ask: they were heard a moment ago.
        if !told || silent == 0 {
            return silent > usual;
        }
        let limit = match silence(entry) {
            Silence::Usual => usual,
            Silence::Exactly(time) => ticks(time.as_secs()),
            Silence::AtLeast(time) => usual.max(ticks(time.as_secs())),
        };
        silent > limit
    }
}

const TCP: u8 = 6;
const SCTP: u8 = 132;

#[cfg(test)]
mod tests {
    use cordon_verdict::Ip;
    use cordon_verdict::abi::{Flow, Ruling, FlowPath};

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

    /// After how many seconds it is forgotten.
    fn lives(entry: &FlowEntry, silence: Silence, pressed: bool) -> u64 {
        let idle = Idle::default();
        let over = |ticks: u16| {
            // Also where the clock goes round.
            let now = entry.flow.seen.wrapping_add(ticks);
            idle.is_over(entry, now, |_| silence, pressed)
        };
        let first = (0..u16::MAX).find(|ticks| over(*ticks));
        u64::from(first.expect("nothing lives for ever") - 1) * AGE_SECONDS
    }

    #[test]
    fn how_long_flows_live() {
        let fin = Flow::FIN;
        let both = Flow::FIN | Flow::FIN << 1;
        let hours = |hours| Duration::from_secs(hours * HOUR);
        for (what, entry, silence, pressed, expected) in [
            ("TCP", entry(6, 0, false), Silence::Usual, false, 36 * HOUR),
            (
                "TCP, little room",
                entry(6, 0, false),
                Silence::Usual,
                true,
                HOUR,
            ),
            (
                "half-closed",
                entry(6, fin, false),
                Silence::Usual,
                false,
                HOUR,
            ),
            (
                "half-closed by the other",
                entry(6, fin << 1, false),
                Silence::Usual,
                false,
                HOUR,
            ),
            ("closed", entry(6, both, false), Silence::Usual, false, 12),
            (
                "reset",
                entry(6, Flow::RST, false),
                Silence::Usual,
                false,
                12,
            ),
            ("half-open", entry(6, 0, true), Silence::Usual, false, 60),
            ("UDP", entry(17, 0, false), Silence::Usual, false, 300),
            ("ICMP", entry(1, 0, false), Silence::Usual, true, 300),
            ("SCTP", entry(132, 0, false), Silence::Usual, false, 1800),
            // What a policy says of a service.
            (
                "longer",
                entry(6, 0, false),
                Silence::Exactly(hours(48)),
                false,
                48 * HOUR,
            ),
            (
                "longer, little room",
                entry(6, 0, false),
                Silence::Exactly(hours(48)),
                true,
                48 * HOUR,
            ),
            (
                "shorter",
                entry(6, 0, false),
                Silence::Exactly(hours(2)),
                false,
                2 * HOUR,
            ),
            (
                "UDP longer",
                entry(17, 0, false),
                Silence::Exactly(hours(1)),
                false,
                HOUR,
            ),
            (
                "closed all the same",
                entry(6, both, false),
                Silence::Exactly(hours(48)),
                false,
                12,
            ),
            (
                "half-open all the same",
                entry(6, 0, true),
                Silence::Exactly(hours(48)),
                false,
                60,
            ),
            // What may be another rule by now cuts nobody short.
            (
                "not shorter",
                entry(6, 0, false),
                Silence::AtLeast(hours(2)),
                false,
                36 * HOUR,
            ),
            (
                "but longer",
                entry(6, 0, false),
                Silence::AtLeast(hours(48)),
                false,
                48 * HOUR,
            ),
            // No longer than the clock can tell.
            (
                "a month",
                entry(6, 0, false),
                Silence::Exactly(hours(720)),
                false,
                u64::from(MOST) * AGE_SECONDS,
            ),
        ] {
            assert_eq!(lives(&entry, silence, pressed), expected, "{what}");
        }
        assert_eq!(entry(6, 0, false).server_port(), 2575);
    }
}
