//! A frame as a tap records it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use cordon_policy::Mac;
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

use crate::probe::Probe;
use crate::ring::RingFrame;

/// Direction of a frame at the tapped interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The interface received it.
    Received,
    /// The interface sent it.
    Sent,
}

/// A frame that a tap recorded.
#[derive(Clone, Copy, Debug)]
pub struct CapturedFrame {
    /// Time stamp in nanoseconds since the epoch, comparable with [`now`].
    pub at: u64,
    /// Direction at the tapped interface.
    pub direction: Direction,
    /// VLAN ID; none for an untagged frame.
    pub vlan: Option<u16>,
    /// Priority (PCP); none for an untagged frame.
    pub priority: Option<u8>,
    /// Its source MAC address.
    pub source: Mac,
    /// Its destination MAC address.
    pub destination: Mac,
    /// EtherType after the tag.
    pub ethertype: u16,
    /// Source and destination address of an IP packet.
    pub ips: Option<(IpAddr, IpAddr)>,
    /// Protocol of an IP packet; 0 otherwise.
    pub protocol: u8,
    /// DSCP and ECN of an IP packet (IPv4 type of service, IPv6 traffic class); 0 otherwise.
    pub traffic_class: u8,
    /// Source and destination port of a TCP or UDP packet; 0 otherwise.
    pub ports: (u16, u16),
    /// Length on the wire in bytes, with the tag, without the frame check sequence.
    pub length: u32,
    /// Hash of the frame without its tag: equal at every tap that records the frame.
    pub digest: u64,
    /// The probe of a datagram of [`crate::Flows`].
    pub probe: Option<Probe>,
}

/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// The EtherType of ARP.
pub const ARP: u16 = 0x0806;

const TAG: u16 = 0x8100;
/// Bytes of a frame that are parsed and hashed, without the tag. Every slot of the ring has room for them, so the
/// digest is the same at all taps.
const PARSED_LENGTH: usize = 176;

/// Nanoseconds since the epoch, by the clock of the frames' time stamps.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// The frames of `entered` that are not, as often, in `left`: for example those that the gateway received and did not
/// forward. Tags are ignored.
pub fn missing(entered: &[CapturedFrame], left: &[CapturedFrame]) -> Vec<CapturedFrame> {
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for seen in left {
        *counts.entry(seen.digest).or_default() += 1;
    }
    let is_missing = |seen: &&CapturedFrame| match counts.get_mut(&seen.digest) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    entered.iter().filter(is_missing).copied().collect()
}

impl CapturedFrame {
    /// Whether it is a UDP datagram to this port.
    pub fn is_udp_to(&self, port: u16) -> bool {
        self.protocol == UDP && self.ports.1 == port
    }

    /// Whether it is a TCP segment to this port.
    pub fn is_tcp_to(&self, port: u16) -> bool {
        self.protocol == TCP && self.ports.1 == port
    }

    /// Whether it is an IP packet between these two addresses, in either direction.
    pub fn is_between(&self, one: IpAddr, other: IpAddr) -> bool {
        self.ips
            .is_some_and(|ips| ips == (one, other) || ips == (other, one))
    }

    /// Source and destination of an IP packet, with ports.
    pub fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (source, destination) = self.ips?;
        Some((
            SocketAddr::new(source, self.ports.0),
            SocketAddr::new(destination, self.ports.1),
        ))
    }

    /// Parses a frame. None if it is shorter than an Ethernet header.
    pub(crate) fn read(captured: &RingFrame<'_>) -> Option<CapturedFrame> {
        let mut tag = captured.tag;
        let mut length = captured.length;
        if tag.is_some() {
            length += 4;
        }
        let (macs, mut rest) = captured.bytes.split_at_checked(12)?;
        if let [high, low, tag_high, tag_low, inner @ ..] = rest
            && tag.is_none()
            && u16::from_be_bytes([*high, *low]) == TAG
        {
            tag = Some(u16::from_be_bytes([*tag_high, *tag_low]));
            rest = inner;
        }
        let ethertype = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);

        let mut buffer = [0; PARSED_LENGTH];
        let end = (12 + rest.len()).min(PARSED_LENGTH);
        buffer[..12].copy_from_slice(macs);
        buffer[12..end].copy_from_slice(&rest[..end - 12]);
        let bytes = &buffer[..end];
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);

        let mut seen = CapturedFrame {
            at: captured.at,
            direction: match captured.sent {
                true => Direction::Sent,
                false => Direction::Received,
            },
            vlan: tag.map(|tag| tag & 0xfff),
            priority: tag.map(|tag| (tag >> 13) as u8),
            source: mac(&macs[6..]),
            destination: mac(macs),
            ethertype,
            ips: None,
            protocol: 0,
            traffic_class: 0,
            ports: (0, 0),
            length,
            digest: hasher.finish(),
            probe: None,
        };
        seen.parse_packet(bytes);
        Some(seen)
    }

    fn parse_packet(&mut self, bytes: &[u8]) {
        let Ok(packet) = LaxSlicedPacket::from_ethernet(bytes) else {
            return;
        };
        match &packet.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                let header = ip.header();
                self.ips = Some((
                    header.source_addr().into(),
                    header.destination_addr().into(),
                ));
                self.protocol = ip.payload().ip_number.0;
                self.traffic_class = header.slice()[1];
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                let header = ip.header();
                self.ips = Some((
                    header.source_addr().into(),
                    header.destination_addr().into(),
                ));
                self.protocol = ip.payload().ip_number.0;
                self.traffic_class = header.traffic_class();
            }
            _ => {}
        }
        match &packet.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                self.ports = (tcp.source_port(), tcp.destination_port());
            }
            Some(TransportSlice::Udp(udp)) => {
                self.ports = (udp.source_port(), udp.destination_port());
                self.probe = Probe::read(udp.payload());
            }
            _ => {}
        }
    }
}

fn mac(bytes: &[u8]) -> Mac {
    let mut mac = [0; 6];
    mac.copy_from_slice(&bytes[..6]);
    Mac(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    fn frame(tag: Option<u16>, payload: &[u8]) -> Vec<u8> {
        let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let udp = match tag {
            Some(vlan) => ethernet
                .single_vlan(vlan.try_into().expect("a VLAN"))
                .ipv4([10, 21, 0, 11], [10, 200, 4, 10], 64)
                .udp(4000, 104),
            None => ethernet
                .ipv4([10, 21, 0, 11], [10, 200, 4, 10], 64)
                .udp(4000, 104),
        };
        let mut bytes = Vec::new();
        udp.write(&mut bytes, payload).expect("writes");
        bytes
    }

    fn seen(bytes: &[u8], tag: Option<u16>) -> CapturedFrame {
        let captured = &bytes[..bytes.len().min(190)];
        CapturedFrame::read(&RingFrame {
            at: 1,
            sent: tag.is_none(),
            tag,
            length: bytes.len() as u32,
            bytes: captured,
        })
        .expect("is a frame")
    }

    #[test]
    fn missing_frames_are_found() {
        let [one, two, three] = [1, 2, 3].map(|payload| seen(&frame(None, &[payload]), None));
        let missing = missing(&[one, two, two, three], &[two, three]);
        let digests: Vec<u64> = missing.iter().map(|seen| seen.digest).collect();
        assert_eq!(digests, [one.digest, two.digest]);
    }

    #[test]
    fn a_tag_in_the_frame_and_a_removed_tag_are_equivalent() {
        for payload in [&[7; 10][..], &[7; 1000]] {
            let inside = seen(&frame(Some(210), payload), None);
            let outside = seen(&frame(None, payload), Some(0xa000 | 210));
            for (seen, inside) in [(&inside, true), (&outside, false)] {
                assert_eq!(seen.vlan, Some(210));
                let priority = if inside { 0 } else { 5 };
                assert_eq!(seen.priority, Some(priority));
                assert_eq!(seen.length as usize, 14 + 4 + 20 + 8 + payload.len());
                assert!(seen.is_udp_to(104), "{seen:?}");
                assert_eq!(
                    seen.ends()
                        .map(|(from, to)| (from.to_string(), to.to_string())),
                    Some(("10.21.0.11:4000".into(), "10.200.4.10:104".into()))
                );
            }
            assert_eq!(inside.digest, outside.digest);
            assert_ne!(inside.digest, seen(&frame(None, &[8]), None).digest);
        }
    }

    #[test]
    fn a_probe_is_read_back() {
        let probe = Probe {
            flow: 3,
            number: 70_000,
            sent: 123,
        };
        let mut payload = [0; 40];
        probe.write(&mut payload);
        assert_eq!(seen(&frame(Some(5), &payload), None).probe, Some(probe));
        assert_eq!(seen(&frame(Some(5), &[0; 40]), None).probe, None);
    }
}
