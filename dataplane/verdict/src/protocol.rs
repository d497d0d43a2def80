//! IP protocol numbers (the IANA registry of assigned Internet protocol numbers) that the packet program knows.

/// Internet Control Message Protocol (RFC 792).
pub const ICMP: u8 = 1;
/// Internet Group Management Protocol (RFC 3376).
pub const IGMP: u8 = 2;
/// Transmission Control Protocol (RFC 9293).
pub const TCP: u8 = 6;
/// User Datagram Protocol (RFC 768).
pub const UDP: u8 = 17;
/// ICMP for IPv6 (RFC 4443).
pub const ICMPV6: u8 = 58;
/// Stream Control Transmission Protocol (RFC 9260).
pub const SCTP: u8 = 132;
