//! Finds headers in a frame.

/// The headers of a frame that carries IP; positions are offsets into the frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offsets {
    pub version: u8,
    pub ip: usize,
    pub transport: usize,
    pub protocol: u8,
    /// The IPv6 fragment header.
    pub fragment: Option<usize>,
}

/// The headers of a frame, as far as its contents can be parsed; none if it does not carry IP.
pub(crate) fn offsets(frame: &[u8]) -> Option<Offsets> {
    let ip = network(frame)?;
    match frame.get(ip)? >> 4 {
        4 => Some(Offsets {
            version: 4,
            ip,
            transport: ip + usize::from(frame[ip] & 0x0f).max(5) * 4,
            protocol: *frame.get(ip + 9)?,
            fragment: None,
        }),
        6 => {
            let mut transport = ip + 40;
            let mut protocol = *frame.get(ip + 6)?;
            let mut fragment = None;
            while [0, 44, 60].contains(&protocol) && frame.len() >= transport + 8 {
                let words = match protocol {
                    44 => 0,
                    _ => usize::from(frame[transport + 1]),
                };
                if protocol == 44 {
                    fragment = Some(transport);
                }
                protocol = frame[transport];
                transport += 8 + 8 * words;
            }
            Some(Offsets {
                version: 6,
                ip,
                transport,
                protocol,
                fragment,
            })
        }
        _ => None,
    }
}

/// The VLAN tags of a frame, two at most, the outermost first: EtherType and tag control information.
pub(crate) fn tags(frame: &[u8]) -> Vec<(u16, u16)> {
    let mut tags = Vec::new();
    let mut rest = frame.get(12..).unwrap_or_default();
    while let [0x81, 0x00, control @ ..] | [0x88, 0xa8, control @ ..] = rest
        && let [high, low, after @ ..] = control
        && tags.len() < 2
    {
        let kind = u16::from_be_bytes([rest[0], rest[1]]);
        tags.push((kind, u16::from_be_bytes([*high, *low])));
        rest = after;
    }
    tags
}

/// The outer and inner VLAN IDs of a frame; 0 for none.
pub(crate) fn vlans(frame: &[u8]) -> (u16, u16) {
    let tags = tags(frame);
    let vlan = |at: usize| tags.get(at).map_or(0, |(_, control)| control & 0x0fff);
    (vlan(0), vlan(1))
}

/// The offset of the network layer, after the EtherType.
pub(crate) fn network(frame: &[u8]) -> Option<usize> {
    let at = 14 + 4 * tags(frame).len();
    frame.get(at - 2..at).map(|_| at)
}

/// The IP packet in a frame, without padding; none if its length field exceeds the frame.
pub(super) fn packet(frame: &[u8]) -> Option<&[u8]> {
    let Offsets { version, ip, .. } = offsets(frame)?;
    let word = |at| Some(usize::from(*frame.get(at)?) << 8 | usize::from(*frame.get(at + 1)?));
    let length = match version {
        4 => word(ip + 2)?,
        _ => 40 + word(ip + 4)?,
    };
    frame.get(ip..ip + length)
}

/// The frame with another IP packet, whose length field is corrected.
pub(super) fn with_packet(frame: &[u8], packet: &[u8]) -> Vec<u8> {
    let ip = network(frame).unwrap_or_default();
    let mut out = frame[..ip].to_vec();
    out.extend(packet);
    let (at, length) = match packet[0] >> 4 {
        4 => (ip + 2, packet.len()),
        _ => (ip + 4, packet.len() - 40),
    };
    out[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    out
}
