//! The boundary of the site, and the frames that may cross it at posture `contain`.

use std::net::IpAddr;

use cordon_lab::{CapturedFrame, Direction, TCP, UDP};
use ipnet::IpNet;

/// The boundary of the site, and its continuity list. They are written here a second time, independently of the policy,
/// because the gateway's own decisions are under test.
#[derive(Clone)]
pub struct Boundary {
    /// The subnets of the site.
    pub subnets: Vec<IpNet>,
    /// The CT scanner.
    pub ct: IpAddr,
    /// The image archive in the data centre.
    pub archive: IpAddr,
    /// The NTP server in the data centre.
    pub clock: IpAddr,
}

/// UDP port of monitors' announcements, which are broadcasts.
pub const ANNOUNCE: u16 = 24005;
/// UDP port of monitors' measurements.
pub const EXPORT: u16 = 24105;

impl Boundary {
    /// Whether one end of a packet is in the site and the other is not.
    pub fn crossed_by(&self, frame: &CapturedFrame) -> bool {
        let inside = |ip: IpAddr| self.subnets.iter().any(|subnet| subnet.contains(&ip));
        frame
            .ips
            .is_some_and(|(from, to)| inside(from) != inside(to))
    }

    /// Whether a packet is on the continuity list: CT images, time, announcements.
    pub fn is_on_continuity_list(&self, frame: &CapturedFrame) -> bool {
        let images = frame.is_between(self.ct, self.archive)
            && frame.protocol == TCP
            && [frame.ports.0, frame.ports.1]
                .iter()
                .any(|port| [104, 11112].contains(port));
        let time = frame
            .ips
            .is_some_and(|(from, to)| from == self.clock || to == self.clock)
            && frame.protocol == UDP
            && (frame.ports.0 == 123 || frame.ports.1 == 123);
        images || time || frame.is_udp_to(ANNOUNCE)
    }

    /// Whether the gateway must not forward a packet at `contain`.
    pub fn forbids(&self, frame: &CapturedFrame) -> bool {
        self.crossed_by(frame) && !self.is_on_continuity_list(frame)
    }
}

/// The frames that left the gateway. Taps are at the switch's end of the trunks.
pub fn left(frames: &[CapturedFrame]) -> Vec<CapturedFrame> {
    only(frames, Direction::Received)
}

/// The frames that were sent to the gateway.
pub fn entered(frames: &[CapturedFrame]) -> Vec<CapturedFrame> {
    only(frames, Direction::Sent)
}

fn only(frames: &[CapturedFrame], direction: Direction) -> Vec<CapturedFrame> {
    let such = frames.iter().filter(|frame| frame.direction == direction);
    such.copied().collect()
}
