//! What was on the wires at both sides of the gateway, and what that says of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use cordon_lab::{ARP, Direction, Lab, Result, Seen, Tap, Wire, missing};

/// What hosts say so as to be found, and which groups they are in: ARP, and ICMPv6 to all on the link, of which nothing
/// but neighbour discovery and multicast listeners passes. Open at every posture but sever.
pub fn keeps_house(seen: &Seen) -> bool {
    const ICMPV6: u8 = 58;
    let to_the_link = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.segments()[0] == 0xff02);
    seen.ethertype == ARP
        || (seen.protocol == ICMPV6 && seen.ips.is_some_and(|(_, to)| to_the_link(to)))
}

/// How much later than the gateway let go of it a frame may be seen, on a machine that has other things to do. One that
/// was handed to the gateway after the moment in question is never excused.
const LATE: Duration = Duration::from_millis(250);

/// Taps on both wires of the gateway, at their far ends.
pub struct Wires {
    access: Tap,
    core: Tap,
}

/// What went through the gateway, or did not.
pub struct Recorded {
    /// From the devices to the core.
    pub outward: Way,
    /// From the core to the devices.
    pub inward: Way,
}

/// One way through the gateway.
pub struct Way {
    /// Frames that were handed to the gateway.
    pub entered: Vec<Seen>,
    /// Frames that the gateway let go of at its other side.
    pub left: Vec<Seen>,
}

/// A time, in nanoseconds since the epoch as [`cordon_lab::now`] has it: from, and until.
pub type Span = (u64, u64);

impl Wires {
    /// Begins to record.
    ///
    /// # Errors
    /// If the taps cannot be opened.
    pub fn tap(lab: &Lab) -> Result<Wires> {
        Ok(Wires {
            access: lab.tap(Wire::Access)?,
            core: lab.tap(Wire::Core)?,
        })
    }

    /// Begins to record such frames only.
    ///
    /// # Errors
    /// If the taps cannot be opened.
    pub fn tap_only(
        lab: &Lab,
        wanted: impl Fn(&Seen) -> bool + Clone + Send + 'static,
    ) -> Result<Wires> {
        Ok(Wires {
            access: lab.tap_only(Wire::Access, wanted.clone())?,
            core: lab.tap_only(Wire::Core, wanted)?,
        })
    }

    /// How many such frames were handed to the gateway so far.
    ///
    /// # Errors
    /// If a tap lost something.
    pub fn entered(&self, such: impl Fn(&Seen) -> bool) -> Result<usize> {
        self.count(Direction::Sent, such)
    }

    /// How many such frames the gateway let go of so far.
    ///
    /// # Errors
    /// If a tap lost something.
    pub fn left(&self, such: impl Fn(&Seen) -> bool) -> Result<usize> {
        self.count(Direction::Received, such)
    }

    fn count(&self, direction: Direction, such: impl Fn(&Seen) -> bool) -> Result<usize> {
        let such = |seen: &Seen| seen.direction == direction && such(seen);
        Ok(self.access.count(such)? + self.core.count(such)?)
    }

    /// Ends it.
    ///
    /// # Errors
    /// If a tap lost something.
    pub fn stop(self) -> Result<Recorded> {
        Ok(recorded(self.access.stop()?, self.core.stop()?))
    }
}

fn recorded(access: Vec<Seen>, core: Vec<Seen>) -> Recorded {
    let part = |frames: &[Seen], direction| -> Vec<Seen> {
        let such = frames.iter().filter(|seen| seen.direction == direction);
        such.copied().collect()
    };
    // At the far end what is sent is on its way to the gateway, and what is received has left it.
    Recorded {
        outward: Way {
            entered: part(&access, Direction::Sent),
            left: part(&core, Direction::Received),
        },
        inward: Way {
            entered: part(&core, Direction::Sent),
            left: part(&access, Direction::Received),
        },
    }
}

impl Recorded {
    /// Both ways.
    pub fn ways(&self) -> [&Way; 2] {
        [&self.outward, &self.inward]
    }

    /// Frames that left within a time although they were `forbidden` in all of it.
    pub fn leaked(&self, span: Span, forbidden: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let ways = self.ways().into_iter();
        ways.flat_map(|way| way.leaked(span, &forbidden)).collect()
    }

    /// Of the frames that left within a time although they were `forbidden`, those that are excused: handed to the gateway
    /// before, and seen a moment late.
    pub fn late(&self, span: Span, forbidden: impl Fn(&Seen) -> bool) -> usize {
        self.passed(span, &forbidden) - self.leaked(span, &forbidden).len()
    }

    /// Such frames that entered the gateway and never left it.
    pub fn lost(&self, such: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let ways = self.ways().into_iter();
        ways.flat_map(|way| way.lost(&such)).collect()
    }

    /// How many such frames were handed to the gateway within a time.
    pub fn tried(&self, span: Span, such: impl Fn(&Seen) -> bool) -> usize {
        let ways = self.ways().into_iter();
        ways.map(|way| count(&way.entered, span, &such)).sum()
    }

    /// How many such frames left the gateway within a time.
    pub fn passed(&self, span: Span, such: impl Fn(&Seen) -> bool) -> usize {
        let ways = self.ways().into_iter();
        ways.map(|way| count(&way.left, span, &such)).sum()
    }
}

impl Way {
    fn leaked(&self, (from, until): Span, forbidden: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let mut entered: HashMap<u64, u64> = HashMap::new();
        for seen in &self.entered {
            let at = entered.entry(seen.digest).or_default();
            *at = seen.at.max(*at);
        }
        let excused = |seen: &Seen| {
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

    fn lost(&self, such: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let entered: Vec<Seen> = self
            .entered
            .iter()
            .filter(|seen| such(seen))
            .copied()
            .collect();
        missing(&entered, &self.left)
    }
}

fn count(frames: &[Seen], span: Span, such: impl Fn(&Seen) -> bool) -> usize {
    let within = frames.iter().filter(|seen| is_within(seen, span));
    within.filter(|seen| such(seen)).count()
}

fn is_within(seen: &Seen, (from, until): Span) -> bool {
    from < seen.at && seen.at < until
}
