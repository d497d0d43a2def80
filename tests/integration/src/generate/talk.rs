//! Frames by chance, with a memory: what has passed is answered, gone on with, repeated, moved.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use cordon_policy::{Mac, Policy};

use super::frame::{self, ACK, FIN, ICMP, ICMP6, RST, SYN, TCP, UDP};
use super::pools::{self, BROADCAST, Pools, group_mac};
use super::{Rng, edit, one, percent};

/// How many passed frames are remembered.
const MEMORY: usize = 300;

/// A frame that passed: where it came in, and what left where.
#[derive(Clone, Debug)]
struct Passed {
    port: u16,
    frame: Vec<u8>,
    leaving: Vec<(u16, Vec<u8>)>,
}

/// Makes frames.
#[derive(Debug)]
pub struct Talk {
    pools: Pools,
    passed: VecDeque<Passed>,
    /// What is cut shorter and shorter: a frame at every length.
    shrinking: Option<(u16, Vec<u8>)>,
}

impl Talk {
    /// Talk in the names of a policy. What passed under the one before is gone on with.
    pub fn new(policy: &Policy, before: Option<Talk>) -> Talk {
        Talk {
            pools: Pools::new(policy),
            passed: before.map(|talk| talk.passed).unwrap_or_default(),
            shrinking: None,
        }
    }

    /// Remembers a frame that passed.
    pub fn passed(&mut self, rng: &mut Rng, port: u16, frame: &[u8], leaving: &[(u16, Vec<u8>)]) {
        // What asks no policy passes too easily: soon nothing else would be remembered.
        if edit::resolves(frame) && percent(rng, 95) {
            return;
        }
        if self.passed.len() == MEMORY {
            self.passed.pop_front();
        }
        self.passed.push_back(Passed {
            port,
            frame: frame.to_vec(),
            leaving: leaving.to_vec(),
        });
    }

    /// A frame, and the port it comes in by.
    pub fn next(&mut self, rng: &mut Rng) -> (u16, Vec<u8>) {
        if let Some((port, frame)) = &mut self.shrinking {
            if frame.pop().is_some() {
                return (*port, frame.clone());
            }
            self.shrinking = None;
        }
        let (port, mut frame) = match rng.u8(..100) {
            0..50 if !self.passed.is_empty() => self.go_on(rng),
            _ => self.fresh(rng),
        };
        match rng.u32(..10_000) {
            0..900 => edit::damage(rng, &mut frame),
            900..905 => self.shrinking = Some((port, frame.clone())),
            1000..1050 => frame = stacked(rng, &frame),
            1050..1200 => {
                let vlan = one(rng, &[0, 10, 20, 30, 40]);
                frame = edit::in_vlan(rng, &frame, vlan);
            }
            1200..1300 => set(&mut frame, 0, &[0x01, 0x80, 0xc2, 0, 0, rng.u8(..18)]),
            1300..1350 => set(&mut frame, 6, &one(rng, &[[0; 6], [0xff; 6]])),
            _ => {}
        }
        // A port that carries something else, or nothing.
        let port = if percent(rng, 1) { rng.u16(..4) } else { port };
        (port, frame)
    }

    /// Something that follows from a frame that passed.
    fn go_on(&mut self, rng: &mut Rng) -> (u16, Vec<u8>) {
        // Late ones more often: flows are long because one frame follows another.
        let recent = self.passed.len().min(one(rng, &[4, 30, MEMORY]));
        let at = self.passed.len() - 1 - rng.usize(..recent);
        let passed = &self.passed[at];
        let what = rng.u8(..100);
        if what < 55
            && let Some((port, copy)) = pick(rng, &passed.leaving)
            && let Some(answer) = edit::answer(rng, copy)
        {
            return (*port, self.named(rng, answer));
        }
        let (port, frame) = (passed.port, passed.frame.clone());
        match what {
            0..80 => (port, edit::next(rng, &frame)),
            80..88 => (port, frame),
            88..94 => {
                // The same from elsewhere in a segment: a station that moved, or someone who copies it.
                let segment = rng.usize(..self.pools.attachments.len());
                let (_, segment, _) = self.pools.attachments[segment];
                let (to, ..) = self.pools.attachment_of(rng, segment);
                (to.port as u16, edit::in_vlan(rng, &frame, to.vlan))
            }
            _ => {
                // Another end of the link under the same addresses.
                let mut frame = frame;
                let at = one(rng, &[0, 6]);
                set(&mut frame, at, &self.pools.any_mac(rng).0);
                (port, frame)
            }
        }
    }

    /// An answer to a group has the group as its source: some member answers instead.
    fn named(&self, rng: &mut Rng, mut answer: Vec<u8>) -> Vec<u8> {
        if answer.get(6).is_some_and(|byte| byte & 1 == 1) && percent(rng, 95) {
            let mut mac = self.pools.any_mac(rng).0;
            mac[0] &= 0xfe;
            set(&mut answer, 6, &mac);
        }
        answer
    }

    fn fresh(&mut self, rng: &mut Rng) -> (u16, Vec<u8>) {
        let (at, segment, uplink) = self.pools.attachment(rng);
        let v6 = percent(rng, 35);
        let what = rng.u8(..100);
        let (destination, source, ether_type, payload) = match what {
            0..4 => self.arp(rng, segment, uplink),
            4..11 => self.discovery(rng, segment, uplink),
            11..14 => self.dhcp(rng, segment, uplink),
            14..15 => {
                let payload = vec![0; rng.usize(..40)];
                let ether_type = one(rng, &[0x88cc, 0x86dd, 0x0800, 0x0806, 0x88a8, 0x05dc]);
                let (to, from) = (self.pools.any_mac(rng), self.pools.any_mac(rng));
                (to, from, ether_type, payload)
            }
            _ => {
                let from = self.pools.speaker(rng, segment, uplink, v6);
                let to = self.pools.listener(rng, segment, v6);
                let (protocol, payload) = transport(rng, v6);
                let (ether_type, packet) = frame::ip(from.ip, to.ip, protocol, 64, &payload);
                (to.mac, from.mac, ether_type, odd_header(rng, v6, packet))
            }
        };
        let priority = u16::from(rng.u8(..16)) << 12;
        let tag = match at.vlan {
            0 => percent(rng, 20).then_some(priority),
            vlan => Some(priority | vlan),
        };
        let mut frame = frame::ethernet(destination, source, tag, ether_type, &payload);
        if percent(rng, 30) {
            frame.resize(frame.len().max(64), 0);
        }
        (at.port as u16, frame)
    }

    fn arp(&self, rng: &mut Rng, segment: usize, uplink: bool) -> (Mac, Mac, u16, Vec<u8>) {
        let ip4 = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        let from = self.pools.speaker(rng, segment, uplink, false);
        let to = self.pools.listener(rng, segment, false);
        let operation = one(rng, &[1, 1, 1, 2, 2, 3]);
        let sender = match rng.u8(..20) {
            0 => self.pools.any_mac(rng),
            _ => from.mac,
        };
        let ip = match rng.u8(..12) {
            0 => Ipv4Addr::UNSPECIFIED,
            _ => ip4(from.ip),
        };
        let mut packet = frame::arp(operation, (sender, ip), (Mac([0; 6]), ip4(to.ip)));
        if percent(rng, 4) {
            packet[rng.usize(..8)] = rng.u8(..8);
        }
        let destination = if percent(rng, 60) { BROADCAST } else { to.mac };
        (destination, from.mac, 0x0806, packet)
    }

    fn discovery(&self, rng: &mut Rng, segment: usize, uplink: bool) -> (Mac, Mac, u16, Vec<u8>) {
        let from = self.pools.speaker(rng, segment, uplink, true);
        let to = self.pools.listener(rng, segment, true);
        let kind = one(rng, &[133, 134, 135, 135, 136, 136]);
        let about = if percent(rng, 70) { from } else { to };
        let fixed = match (kind, about.ip) {
            (135 | 136, IpAddr::V6(ip)) => ip.octets().to_vec(),
            (134, _) => vec![0; 8],
            _ => Vec::new(),
        };
        let whose = if percent(rng, 90) { from.mac } else { to.mac };
        let expected = if kind == 136 { 2 } else { 1 };
        let options = match rng.u8(..20) {
            0..8 => Vec::new(),
            8..15 => frame::link_address_option(expected, whose),
            15 => frame::link_address_option(3 - expected, whose),
            16..18 => vec![14, 1, 1, 2, 3, 4, 5, 6],
            18 => vec![expected, 2, 0, 0, 0, 0, 0, 0],
            _ => frame::link_address_option(expected, whose).repeat(2),
        };
        let message = frame::discovery(kind, &fixed, &options);
        let source = match rng.u8(..6) {
            0 => IpAddr::from([0u16; 8]),
            _ => from.ip,
        };
        let (destination, mac) = match rng.u8(..100) {
            0..50 => {
                let all = IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1]);
                (all, group_mac(all))
            }
            50..95 => (to.ip, to.mac),
            _ => (to.ip, self.pools.any_mac(rng)),
        };
        let hop_limit = if percent(rng, 95) { 255 } else { 254 };
        let (ether_type, packet) = frame::ip(source, destination, ICMP6, hop_limit, &message);
        (mac, from.mac, ether_type, packet)
    }

    fn dhcp(&self, rng: &mut Rng, segment: usize, uplink: bool) -> (Mac, Mac, u16, Vec<u8>) {
        let client = self.pools.speaker(rng, segment, uplink, false);
        let everybody = IpAddr::V4(Ipv4Addr::BROADCAST);
        let ports = match rng.u8(..10) {
            0..7 => (68, 67),
            7..9 => (67, 68),
            _ => (68, 68),
        };
        let source = match ports.0 {
            68 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            _ => client.ip,
        };
        let to = if percent(rng, 90) {
            everybody
        } else {
            self.pools.any_ip(rng, false)
        };
        let payload = match rng.u8(..10) {
            0 => frame::tcp(ports, SYN, &[]),
            _ => frame::udp(ports, &[0; 12]),
        };
        let protocol = if payload.len() == 20 && payload[12] == 0x50 {
            TCP
        } else {
            UDP
        };
        let (ether_type, packet) = frame::ip(source, to, protocol, 64, &payload);
        let mac = if percent(rng, 95) {
            BROADCAST
        } else {
            self.pools.any_mac(rng)
        };
        (mac, client.mac, ether_type, packet)
    }
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> Option<&'a T> {
    match of.len() {
        0 => None,
        length => of.get(rng.usize(..length)),
    }
}

fn set(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// A second tag, or a service tag.
fn stacked(rng: &mut Rng, frame: &[u8]) -> Vec<u8> {
    let mut out = frame[..frame.len().min(12)].to_vec();
    out.extend(one(
        rng,
        &[[0x81, 0x00, 0x00, 0x0a], [0x88, 0xa8, 0x00, 0x0a]],
    ));
    out.extend(frame.get(12..).unwrap_or_default());
    out
}

/// A protocol and what it carries.
fn transport(rng: &mut Rng, v6: bool) -> (u8, Vec<u8>) {
    let data = vec![0xda; rng.usize(..12)];
    let ports = pools::ports(rng);
    let identifier = pools::echo_identifier(rng);
    let (request, reply) = if v6 { (128, 129) } else { (8, 0) };
    let echo = if v6 { ICMP6 } else { ICMP };
    match rng.u8(..100) {
        0..42 => {
            let flags = match rng.u8(..20) {
                0..9 => SYN,
                9..14 => ACK,
                14..16 => SYN | ACK,
                16 => FIN | ACK,
                17 => RST,
                18 => SYN | FIN,
                _ => 0,
            };
            (TCP, frame::tcp(ports, flags, &data))
        }
        42..75 => (UDP, frame::udp(ports, &data)),
        75..87 => (echo, frame::icmp(request, 0, identifier, &data)),
        87..92 => (echo, frame::icmp(reply, 0, identifier, &data)),
        92..95 => {
            let kind = one(rng, &[3, 8, 11, 128, 1, 133, 137]);
            (echo, frame::icmp(kind, rng.u8(..2), identifier, &data))
        }
        95..97 => {
            let other = one(
                rng,
                &[0, 1, 2, 43, 44, 47, 50, 51, 58, 60, 132, 135, 139, 140, 255],
            );
            (other, frame::udp(ports, &data))
        }
        // Headers that contradict themselves.
        _ => {
            let (protocol, mut payload) = match rng.bool() {
                true => (TCP, frame::tcp(ports, ACK, &data)),
                false => (UDP, frame::udp(ports, &data)),
            };
            match (protocol, rng.u8(..3)) {
                (_, 0) => payload.truncate(rng.usize(..payload.len())),
                (TCP, _) => payload[12] = rng.u8(..16) << 4,
                _ => payload[5] = rng.u8(..24),
            }
            (protocol, payload)
        }
    }
}

/// Now and then an IP header with something in it that is looked at.
fn odd_header(rng: &mut Rng, v6: bool, mut packet: Vec<u8>) -> Vec<u8> {
    match rng.u8(..60) {
        0 if !v6 => packet[0] = 0x40 | rng.u8(..16),
        1 if !v6 => packet[6] = one(rng, &[0x20, 0x80, 0x60, 0x00]),
        2 if !v6 => packet[7] = rng.u8(..3),
        3 => {
            let at = if v6 { 5 } else { 3 };
            packet[at] = packet[at].wrapping_add(rng.u8(..5)).wrapping_sub(2);
        }
        4 => packet[0] ^= 1 << rng.u8(4..8),
        _ => {}
    }
    packet
}
