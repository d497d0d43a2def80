//! The transport layer.

use cordon_verdict::Reason;

use crate::frame::{u16_at, u32_at};
use crate::protocol::{
    ECHO_REPLY, ECHO_REPLY6, ECHO_REQUEST, ECHO_REQUEST6, ICMP, ICMP6, IGMP,
    NEIGHBOUR_ADVERTISEMENT, ROUTER_SOLICITATION, SCTP, TCP, UDP,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Tcp(Tcp),
    Udp(Ports),
    Sctp(Sctp),
    EchoRequest {
        identifier: u16,
    },
    EchoReply {
        identifier: u16,
    },
    /// ICMPv6 133 to 136 (RFC 4861), the whole message.
    Discovery(&'a [u8]),
    /// IGMP or MLD, the whole message.
    Membership(&'a [u8]),
    /// An ICMP or ICMPv6 error, the whole message.
    Error(&'a [u8]),
    /// A fragment without transport header.
    LaterFragment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub source: u16,
    pub destination: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tcp {
    pub ports: Ports,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub syn: bool,
    pub rst: bool,
    pub ack: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sctp {
    pub ports: Ports,
    /// The verification tag is 0: the packet opens an association.
    pub opens: bool,
}

impl Tcp {
    /// SYN without ACK: the segment opens a connection.
    pub(crate) fn opens(&self) -> bool {
        self.syn && !self.ack
    }
}

impl Content<'_> {
    /// Whether it opens a connection or association.
    pub(crate) fn opens(&self) -> bool {
        match self {
            Content::Tcp(tcp) => tcp.opens(),
            Content::Sctp(sctp) => sctp.opens,
            _ => false,
        }
    }

    pub(crate) fn tcp(&self) -> Option<&Tcp> {
        match self {
            Content::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }
}

/// The ports, which TCP, UDP and SCTP have at the same offsets.
pub(crate) fn ports(payload: &[u8]) -> Ports {
    Ports {
        source: u16_at(payload, 0),
        destination: u16_at(payload, 2),
    }
}

/// `first`: the payload is that of a first fragment.
pub(crate) fn on_ip4(protocol: u8, payload: &[u8], first: bool) -> Result<Content<'_>, Reason> {
    match protocol {
        TCP => tcp(payload),
        UDP => udp(payload, first),
        SCTP => sctp(payload),
        ICMP => icmp(at_least(payload, 8)?),
        IGMP => Ok(Content::Membership(payload)),
        _ => Err(Reason::IpProtocol),
    }
}

pub(crate) fn on_ip6(protocol: u8, payload: &[u8], first: bool) -> Result<Content<'_>, Reason> {
    match protocol {
        TCP => tcp(payload),
        UDP => udp(payload, first),
        SCTP => sctp(payload),
        ICMP6 => icmp6(at_least(payload, 8)?),
        _ => Err(Reason::IpProtocol),
    }
}

fn at_least(payload: &[u8], length: usize) -> Result<&[u8], Reason> {
    match payload.len() < length {
        true => Err(Reason::TransportHeader),
        false => Ok(payload),
    }
}

fn tcp(payload: &[u8]) -> Result<Content<'_>, Reason> {
    at_least(payload, 20)?;
    let header = usize::from(payload[12] >> 4) * 4;
    if header < 20 || header > payload.len() {
        return Err(Reason::TransportHeader);
    }
    let flags = payload[13];
    Ok(Content::Tcp(Tcp {
        ports: ports(payload),
        sequence: u32_at(payload, 4),
        acknowledgement: u32_at(payload, 8),
        syn: flags & 0x02 != 0,
        rst: flags & 0x04 != 0,
        ack: flags & 0x10 != 0,
    }))
}

fn udp(payload: &[u8], first: bool) -> Result<Content<'_>, Reason> {
    at_least(payload, 8)?;
    let length = usize::from(u16_at(payload, 4));
    if length < 8 || (length > payload.len() && !first) {
        return Err(Reason::TransportHeader);
    }
    Ok(Content::Udp(ports(payload)))
}

fn sctp(payload: &[u8]) -> Result<Content<'_>, Reason> {
    at_least(payload, 12)?;
    Ok(Content::Sctp(Sctp {
        ports: ports(payload),
        opens: u32_at(payload, 4) == 0,
    }))
}

fn icmp(message: &[u8]) -> Result<Content<'_>, Reason> {
    let identifier = u16_at(message, 4);
    match (message[0], message[1]) {
        (ECHO_REQUEST, 0) => Ok(Content::EchoRequest { identifier }),
        (ECHO_REPLY, 0) => Ok(Content::EchoReply { identifier }),
        (3 | 11 | 12, _) => Ok(Content::Error(message)),
        _ => Err(Reason::IcmpType),
    }
}

fn icmp6(message: &[u8]) -> Result<Content<'_>, Reason> {
    let identifier = u16_at(message, 4);
    match (message[0], message[1]) {
        (ECHO_REQUEST6, 0) => Ok(Content::EchoRequest { identifier }),
        (ECHO_REPLY6, 0) => Ok(Content::EchoReply { identifier }),
        (ROUTER_SOLICITATION..=NEIGHBOUR_ADVERTISEMENT, 0) => Ok(Content::Discovery(message)),
        (130 | 131 | 132 | 143, _) => Ok(Content::Membership(message)),
        (1..=4, _) => Ok(Content::Error(message)),
        _ => Err(Reason::IcmpType),
    }
}
