//! Link control frames (STP, LACP, EAPOL, LLDP, PTP), and frames of other EtherTypes.

use cordon_policy::Mac;

use super::frame::BROADCAST;
use super::pools::Pools;
use super::{Rng, one, percent};

/// Last byte of the destination, EtherType or length, and payload.
const LINK_CONTROL: [(u8, u16, &[u8]); 9] = [
    (0x00, 38, &[0x42, 0x42, 3, 0, 0]),
    (0x00, 1500, &[0x42, 0x42, 3]),
    (0x02, 0x8809, &[1, 1]),
    (0x03, 0x888e, &[2, 0, 0, 0]),
    (0x0e, 0x888e, &[2, 1, 0, 0]),
    (0x00, 0x88cc, &[2, 7, 4]),
    (0x03, 0x88cc, &[2, 7, 4]),
    (0x0e, 0x88cc, &[2, 7, 4]),
    (0x0e, 0x88f7, &[0x12, 2]),
];

/// Destination, EtherType, payload.
pub(super) fn link_control(rng: &mut Rng) -> (Mac, u16, Vec<u8>) {
    let (mut last, mut ether_type, payload) = one(rng, &LINK_CONTROL);
    let mut payload = payload.to_vec();
    match rng.u8(..20) {
        0 => last = rng.u8(..16),
        1 => ether_type = one(rng, &[1501, 0x0600, 0x8809, 0x888e, 0x88cc, 0x88f7, 0x0800]),
        2 => payload[1] ^= 1,
        3 => payload.truncate(rng.usize(..2)),
        _ => {}
    }
    let mut destination = Mac([0x01, 0x80, 0xc2, 0, 0, last]);
    // PTP is recognised by its EtherType, and goes to its multicast addresses or to a host.
    if ether_type == 0x88f7 && percent(rng, 60) {
        let others = [[0x01, 0x1b, 0x19, 0, 0, 0], [2, 0, 0, 0, 0, 5], [0xff; 6]];
        destination = Mac(one(rng, &others));
    }
    (destination, ether_type, payload)
}

/// Destination, source, EtherType, payload. Segments list most of these EtherTypes.
pub(super) fn other(
    rng: &mut Rng,
    pools: &Pools,
    segment: usize,
    uplink: bool,
) -> (Mac, Mac, u16, Vec<u8>) {
    let ether_type = one(
        rng,
        &[
            0x8892, 0x8892, 0x88b8, 0x88b8, 0x0600, 0x88cc, 0x88cc, 0x05dc, 0x88f7, 0x9000,
        ],
    );
    let from = pools.sender(rng, segment, uplink, false).mac;
    let to = match rng.u8(..10) {
        0..4 => BROADCAST,
        4..6 => Mac([0x01, 0x0e, 0xcf, 0, 0, 1]),
        _ => pools.receiver(rng, segment, false).mac,
    };
    (to, from, ether_type, vec![0xcc; rng.usize(..40)])
}
