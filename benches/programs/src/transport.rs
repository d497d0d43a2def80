//! The packets of the payloads. Their numbers are the same in `../../src/payload.rs`.

/// Unfragmented datagrams.
#[expect(dead_code, reason = "the default")]
const UDP: u32 = 0;
/// TCP SYNs.
const SYN: u32 = 1;
/// Echo requests, with the client port as identifier.
const ICMP: u32 = 2;
/// Datagrams in `PIECES` fragments.
const FRAGMENTS: u32 = 3;
/// TCP SYNs, each from another source address.
const RANDOM_SOURCES: u32 = 4;

/// The TCP port that the policy allows from every device to its server.
const HTTPS: u32 = 443;
const PIECES: u32 = 8;
/// Bytes of payload in each fragment.
const PIECE: u32 = 24;

/// The flow of a packet.
pub struct Flow {
    pub source: u32,
    pub destination: u32,
    /// Source port, destination port.
    pub ports: u32,
    /// The number of packets before this one.
    pub number: u32,
}

/// The fields in which the IPv4 packets differ.
pub struct Packet {
    /// The total length.
    pub length: u32,
    /// Identification, flags and fragment offset.
    pub fragment: u32,
    pub protocol: u32,
    pub source: u32,
    pub destination: u32,
    /// The first words after the IP header. Only the first two are used unless the payload `is_long`.
    pub head: [u32; 5],
}

/// Whether all of `Packet::head` is written.
#[inline(always)]
pub fn is_long(what: u32) -> bool {
    matches!(what, SYN | RANDOM_SOURCES)
}

#[inline(always)]
pub fn of(what: u32, flow: Flow) -> Packet {
    match what {
        SYN => syn(flow.source, &flow),
        // Fibonacci hashing: all values are different.
        RANDOM_SOURCES => syn(flow.number.wrapping_mul(0x9e37_79b1), &flow),
        ICMP => icmp(&flow),
        FRAGMENTS => piece(&flow),
        _ => udp(&flow),
    }
}

#[inline(always)]
fn udp(flow: &Flow) -> Packet {
    // UDP length 26, no checksum.
    whole(
        46,
        17,
        flow.source,
        flow,
        [flow.ports, 0x001a_0000, 0, 0, 0],
    )
}

#[inline(always)]
fn icmp(flow: &Flow) -> Packet {
    let identifier = flow.ports >> 16;
    // Type 8, and zeros after the identifier.
    let first = 0x0800_0000 | folded(0x0800 + identifier);
    whole(46, 1, flow.source, flow, [first, identifier << 16, 0, 0, 0])
}

/// Sequence number 0, a header of five words, SYN, window 512 (RFC 9293, section 3.1).
#[inline(always)]
fn syn(source: u32, flow: &Flow) -> Packet {
    let ports = flow.ports & 0xffff_0000 | HTTPS;
    let sum = words(source) + words(flow.destination) + 6 + 20;
    let sum = sum + words(ports) + 0x5002 + 0x0200;
    let head = [ports, 0, 0, 0x5002_0200, folded(sum) << 16];
    whole(40, 6, source, flow, head)
}

#[inline(always)]
fn whole(length: u32, protocol: u32, source: u32, flow: &Flow, head: [u32; 5]) -> Packet {
    Packet {
        length,
        // Don't fragment.
        fragment: 0x4000,
        protocol,
        source,
        destination: flow.destination,
        head,
    }
}

/// One of the `PIECES` fragments of a datagram, in order.
#[inline(always)]
fn piece(flow: &Flow) -> Packet {
    let (datagram, piece) = (flow.number / PIECES, flow.number % PIECES);
    let more = if piece < PIECES - 1 { 0x2000 } else { 0 };
    let ports = (20000 + datagram) << 16 | flow.ports & 0xffff;
    let head = match piece {
        0 => [ports, (PIECES * PIECE) << 16],
        _ => [0, 0],
    };
    Packet {
        length: 20 + PIECE,
        fragment: (datagram << 16) | more | (piece * PIECE / 8),
        protocol: 17,
        source: flow.source,
        destination: flow.destination,
        head: [head[0], head[1], 0, 0, 0],
    }
}

impl Packet {
    /// TTL 64, protocol, and the header checksum.
    #[inline(always)]
    pub fn protocol_and_checksum(&self) -> u32 {
        let ends = words(self.source) + words(self.destination);
        let sum = 0x4500 + self.length + words(self.fragment) + 0x4000 + self.protocol + ends;
        0x4000_0000 | self.protocol << 16 | folded(sum)
    }
}

#[inline(always)]
fn words(value: u32) -> u32 {
    (value >> 16) + (value & 0xffff)
}

/// The checksum of 16-bit words with this sum (RFC 1071).
#[inline(always)]
fn folded(sum: u32) -> u32 {
    !words(words(sum)) & 0xffff
}
