//! One visitor with many MAC addresses does not use up what the port's listed devices may send to groups.

use std::time::{Duration, Instant};

use cordon_lab::{Mac, Result};

use crate::frames::{ARP, BROADCAST, IPV4, arp, packet_of, tagged, udp};
use crate::site::{self, ACCESS, GUEST, MONITOR, MONITORS, UPLINK, end, ip};

/// The port of the monitors' announcements, which are on the continuity list.
const ANNOUNCE: u16 = 24005;
const ANNOUNCEMENTS: u32 = 80;
const EVERY: Duration = Duration::from_millis(100);
/// The visitor sends so many frames in so many parts of the time between two announcements: 5,200 a second.
const PARTS: u32 = 10;
const FRAMES: usize = 52;
const MACS: u8 = 6;

#[test]
fn a_visitor_with_six_macs_leaves_room_for_announcements() -> Result<()> {
    let limited = ("site.yaml", "{device: eth1}", "{device: eth1, storm: 200}");
    let accounts = site::raise(&[limited])?;
    let faked = |number: u8| {
        let mac = Mac([0x02, 0x66, 0, 0, 1, number]);
        let packet = arp(1, (mac, ip(29, 100 + number)), ([0; 6], ip(29, 1)), &[]);
        tagged(BROADCAST, mac, GUEST, ARP, &packet)
    };
    let flood: Vec<Vec<u8>> = (0..MACS).cycle().take(FRAMES).map(faked).collect();
    let from = end(ip(22, 11), ANNOUNCE);
    let (_, packet) = udp(from, end(ip(22, 255), ANNOUNCE), b"monitor-1 is here");
    let announcement = tagged(BROADCAST, MONITOR, MONITORS, IPV4, &packet);

    let start = Instant::now();
    let account = accounts.record(|| {
        let mut sent = 0;
        for part in 0..ANNOUNCEMENTS * PARTS {
            let due = EVERY / PARTS * part;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            sent += accounts.transmit(ACCESS, &flood)?;
            if part % PARTS == PARTS / 2 {
                sent += accounts.transmit(ACCESS, std::slice::from_ref(&announcement))?;
            }
        }
        Ok(sent)
    })?;
    let rate = account.entered as f64 / start.elapsed().as_secs_f64();
    let is_announcement = |frame: &&Vec<u8>| packet_of(frame) == packet;
    let arrived = account.at(UPLINK).iter().filter(is_announcement).count();
    println!(
        "{arrived} of {ANNOUNCEMENTS} announcements left, {rate:.0} frames a second: {account}"
    );
    account.check(1);
    assert!(rate > 2000.0, "the flood is too slow: {rate:.0} a second");
    assert!(account.dropped.contains_key("storm"), "{account}");
    assert!(
        arrived >= 78,
        "{arrived} of {ANNOUNCEMENTS} announcements left"
    );
    Ok(())
}
