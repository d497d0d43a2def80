//! Captures frames on both links of the gateway and derives leaks and losses from them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use cordon_lab::{ARP, CapturedFrame, Direction, Lab, Result, Tap, Wire, missing};

/// Whether a frame is address resolution or group membership: ARP, or ICMPv6 to a link-local group, of which the
/// gateway passes only neighbour discovery and MLD. Both are open at every posture except sever.
pub fn is_resolution_or_membership(seen: &CapturedFrame) -> bool {
    const ICMPV6: u8 = 58;
    let to_the_link = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.segments()[0] == 0xff02);
    seen.ethertype == ARP
        || (seen.protocol == ICMPV6 && seen.ips.is_some_and(|(_, to)| to_the_link(to)))
}

/// How late the tap may see a frame that the gateway has forwarded, on a busy machine. The allowance never applies to a
/// frame that entered the gateway after the start of the span.
const LATE: Duration = Duration::from_millis(250);

/// Taps on both links of the gateway, at the ends away from it.
pub struct Wires {
    access: Tap,
    core: Tap,
}

/// The frames that entered and left the gateway.
pub struct Capture {
    /// From the devices to the core.
    pub outward: OneWay,
    /// From the core to the devices.
    pub inward: OneWay,
}

/// The frames of one direction through the gateway.
pub struct OneWay {
    /// Frames sent to the gateway.
    pub entered: Vec<CapturedFrame>,
    /// Frames that the gateway forwarded to its other side.
    pub left: Vec<CapturedFrame>,
}

/// A span of time, start and end, in nanoseconds since the epoch as [`cordon_lab::now`] returns it.
pub type Span = (u64, u64);

impl Wires {
    /// Starts to capture all frames.
    ///
    /// # Errors
    /// If the taps cannot be opened.
    pub fn tap(lab: &Lab) -> Result<Wires> {
        Ok(Wires {
            access: lab.tap(Wire::Access)?,
            core: lab.tap(Wire::Core)?,
        })
    }

    /// Starts to capture the frames that match `wanted`.
    ///
    /// # Errors
    /// If the taps cannot be opened.
    pub fn tap_only(
        lab: &Lab,
        wanted: impl Fn(&CapturedFrame) -> bool + Clone + Send + 'static,
    ) -> Result<Wires> {
        Ok(Wires {
            access: lab.tap_only(Wire::Access, wanted.clone())?,
            core: lab.tap_only(Wire::Core, wanted)?,
        })
    }

    /// How many matching frames have entered the gateway so far.
    ///
    /// # Errors
    /// If a tap lost frames.
    pub fn entered(&self, matches: impl Fn(&CapturedFrame) -> bool) -> Result<usize> {
        self.count(Direction::Sent, matches)
    }

    /// How many matching frames have left the gateway so far.
    ///
    /// # Errors
    /// If a tap lost frames.
    pub fn left(&self, matches: impl Fn(&CapturedFrame) -> bool) -> Result<usize> {
        self.count(Direction::Received, matches)
    }

    fn count(
        &self,
        direction: Direction,
        matches: impl Fn(&CapturedFrame) -> bool,
    ) -> Result<usize> {
        let matches = |seen: &CapturedFrame| seen.direction == direction && matches(seen);
        Ok(self.access.count(matches)? + self.core.count(matches)?)
    }

    /// Stops the capture.
    ///
    /// # Errors
    /// If a tap lost frames.
    pub fn stop(self) -> Result<Capture> {
        Ok(recorded(self.access.stop()?, self.core.stop()?))
    }
}

fn recorded(access: Vec<CapturedFrame>, core: Vec<CapturedFrame>) -> Capture {
    let part = |frames: &[CapturedFrame], direction| -> Vec<CapturedFrame> {
        let matches = frames.iter().filter(|seen| seen.direction == direction);
        matches.copied().collect()
    };
    // CapturedFrame from the tapped end, a sent frame enters the gateway and a received frame has left it.
    Capture {
        outward: OneWay {
            entered: part(&access, Direction::Sent),
            left: part(&core, Direction::Received),
        },
        inward: OneWay {
            entered: part(&core, Direction::Sent),
            left: part(&access, Direction::Received),
        },
    }
}

impl Capture {
    /// Both directions.
    pub fn directions(&self) -> [&OneWay; 2] {
        [&self.outward, &self.inward]
    }

    /// Frames that left within a span although they were `forbidden` for all of it.
    pub fn leaked(
        &self,
        span: Span,
        forbidden: impl Fn(&CapturedFrame) -> bool,
    ) -> Vec<CapturedFrame> {
        let directions = self.directions().into_iter();
        directions
            .flat_map(|one| one.leaked(span, &forbidden))
            .collect()
    }

    /// How many forbidden frames left within a span but do not count as leaks: they entered the gateway before it, and
    /// the tap saw them late.
    pub fn late(&self, span: Span, forbidden: impl Fn(&CapturedFrame) -> bool) -> usize {
        self.passed(span, &forbidden) - self.leaked(span, &forbidden).len()
    }

    /// Matching frames that entered the gateway and never left it.
    pub fn lost(&self, matches: impl Fn(&CapturedFrame) -> bool) -> Vec<CapturedFrame> {
        let directions = self.directions().into_iter();
        directions.flat_map(|one| one.lost(&matches)).collect()
    }

    /// How many matching frames entered the gateway within a span.
    pub fn tried(&self, span: Span, matches: impl Fn(&CapturedFrame) -> bool) -> usize {
        let directions = self.directions().into_iter();
        directions
            .map(|one| count(&one.entered, span, &matches))
            .sum()
    }

    /// How many matching frames left the gateway within a span.
    pub fn passed(&self, span: Span, matches: impl Fn(&CapturedFrame) -> bool) -> usize {
        let directions = self.directions().into_iter();
        directions.map(|one| count(&one.left, span, &matches)).sum()
    }
}

impl OneWay {
    fn leaked(
        &self,
        (from, until): Span,
        forbidden: impl Fn(&CapturedFrame) -> bool,
    ) -> Vec<CapturedFrame> {
        let mut entered: HashMap<u64, u64> = HashMap::new();
        for seen in &self.entered {
            let at = entered.entry(seen.digest).or_default();
            *at = seen.at.max(*at);
        }
        let excused = |seen: &CapturedFrame| {
            let handed_over = entered.get(&seen.digest);
            handed_over.is_some_and(|at| *at <= from) && seen.at <= from + LATE.as_nanos() as u64
        };
        let within = self
            .left
            .iter()
            .filter(|seen| is_within(seen, (from, until)));
        within
            .filter(|seen| forbidden(seen) && !excused(seen))
            .copied()
            .collect()
    }

    fn lost(&self, matches: impl Fn(&CapturedFrame) -> bool) -> Vec<CapturedFrame> {
        let entered: Vec<CapturedFrame> = self
            .entered
            .iter()
            .filter(|seen| matches(seen))
            .copied()
            .collect();
        missing(&entered, &self.left)
    }
}

fn count(frames: &[CapturedFrame], span: Span, matches: impl Fn(&CapturedFrame) -> bool) -> usize {
    let within = frames.iter().filter(|seen| is_within(seen, span));
    within.filter(|seen| matches(seen)).count()
}

fn is_within(seen: &CapturedFrame, (from, until): Span) -> bool {
    from < seen.at && seen.at < until
}
