//! Frames that cross the boundary of the site, and whether they may when it is cut off.

use std::net::IpAddr;

use cordon_lab::{Direction, Seen, TCP, UDP};
use ipnet::IpNet;

/// Where the site ends, and what its policy keeps across that at `contain`. Written down here a second time, because what
/// the gateway does is not to be judged by what the gateway thinks.
#[derive(Clone)]
pub struct Boundary {
    /// The subnets of the site.
    pub subnets: Vec<IpNet>,
    /// The CT scanner.
    pub ct: IpAddr,
    /// The image archive in the data centre.
    pub archive: IpAddr,
    /// The clock in the data centre.
    pub clock: IpAddr,
}

/// Monitors announce themselves here, by broadcast.
pub const ANNOUNCE: u16 = 24005;
/// Monitors send measurements here.
pub const EXPORT: u16 = 24105;

impl Boundary {
    /// Whether one end of a packet is in the site and the other is not.
    pub fn crossed_by(&self, seen: &Seen) -> bool {
        let inside = |ip: IpAddr| self.subnets.iter().any(|subnet| subnet.contains(&ip));
        seen.ips
            .is_some_and(|(from, to)| inside(from) != inside(to))
    }

    /// Whether it is on the continuity list, and has to pass the gateway: the CT's images, the time, announcements.
    pub fn keeps(&self, seen: &Seen) -> bool {
        let images = seen.is_between(self.ct, self.archive)
            && seen.protocol == TCP
            && [seen.ports.0, seen.ports.1]
                .iter()
                .any(|port| [104, 11112].contains(port));
        let time = seen
            .ips
            .is_some_and(|(from, to)| from == self.clock || to == self.clock)
            && seen.protocol == UDP
            && (seen.ports.0 == 123 || seen.ports.1 == 123);
        images || time || seen.is_udp_to(ANNOUNCE)
    }

    /// Whether nothing may let it out of the gateway at `contain`.
    pub fn forbids(&self, seen: &Seen) -> bool {
        self.crossed_by(seen) && !self.keeps(seen)
    }
}

/// Those that left the gateway: a tap is at the far end of its link.
pub fn left(frames: &[Seen]) -> Vec<Seen> {
    only(frames, Direction::Received)
}

/// Those that were on their way to the gateway.
pub fn entered(frames: &[Seen]) -> Vec<Seen> {
    only(frames, Direction::Sent)
}

fn only(frames: &[Seen], direction: Direction) -> Vec<Seen> {
    let such = frames.iter().filter(|seen| seen.direction == direction);
    such.copied().collect()
}
