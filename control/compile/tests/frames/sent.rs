//! Frames to send.

use std::net::IpAddr;

use cordon_policy::{Mac, protocols};

pub const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;

/// Ports are source and destination; `Tcp` has the flags too, `Echo` is an ICMP echo request.
#[derive(Clone, Copy)]
pub enum Payload {
    Tcp(u16, u16, u8),
    Udp(u16, u16),
    Echo,
}
use Payload::{Echo, Tcp, Udp};

/// A frame: its ingress port and VLAN, MAC and IP addresses (source, destination), and payload.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    pub port: u16,
    pub vlan: u16,
    pub mac: (&'a str, &'a str),
    pub ip: (&'a str, &'a str),
    pub payload: Payload,
}

impl Sent<'_> {
    /// The bytes of the frame.
    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = self.ethernet();
        let ip = |text: &str| text.parse::<IpAddr>().expect("is an address");
        let payload = self.payload();
        let (protocol, v6_protocol) = match self.payload {
            Tcp(..) => (protocols::TCP, protocols::TCP),
            Udp(..) => (protocols::UDP, protocols::UDP),
            Echo => (protocols::ICMP, protocols::ICMPV6),
        };
        match (ip(self.ip.0), ip(self.ip.1)) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend([0x08, 0x00, 0x45, 0]);
                frame.extend((20 + payload.len() as u16).to_be_bytes());
                frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend((payload.len() as u16).to_be_bytes());
                frame.extend([v6_protocol, 64]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            _ => panic!("{:?} are of two address families", self.ip),
        }
        frame.extend(payload);
        frame
    }

    /// The MAC addresses and VLAN tag, without the inner EtherType.
    fn ethernet(&self) -> Vec<u8> {
        let mac = |text: &str| text.parse::<Mac>().expect("is a MAC address").0;
        let mut frame = Vec::new();
        frame.extend(mac(self.mac.1));
        frame.extend(mac(self.mac.0));
        frame.extend([0x81, 0x00]);
        frame.extend(self.vlan.to_be_bytes());
        frame
    }

    fn payload(&self) -> Vec<u8> {
        let ports = |from: u16, to: u16| [from.to_be_bytes(), to.to_be_bytes()].concat();
        match self.payload {
            Tcp(from, to, flags) => {
                let mut tcp = ports(from, to);
                tcp.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
                tcp
            }
            Udp(from, to) => [ports(from, to), vec![0, 8, 0, 0]].concat(),
            Echo if self.ip.0.contains(':') => vec![128, 0, 0, 0, 0, 1, 0, 1],
            Echo => vec![8, 0, 0, 0, 0, 1, 0, 1],
        }
    }

    /// An ARP request of the sender for the destination address.
    pub fn arp(&self) -> Vec<u8> {
        let mut frame = Sent {
            mac: (self.mac.0, BROADCAST),
            ..*self
        }
        .ethernet();
        let mac = self.mac.0.parse::<Mac>().expect("is a MAC address").0;
        let ip = |text: &str| match text.parse().expect("is an address") {
            IpAddr::V4(ip) => ip.octets(),
            IpAddr::V6(_) => panic!("ARP is for IPv4"),
        };
        frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(mac);
        frame.extend(ip(self.ip.0));
        frame.extend([0; 6]);
        frame.extend(ip(self.ip.1));
        frame
    }
}
