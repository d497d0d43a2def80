//! ARP carries no chosen bytes: what receivers ignore leaves as zeroes.

use cordon_lab::{Mac, Result};
use cordon_policy::Posture;

use crate::frames::{ARP, BROADCAST, arp, chosen, is_carrier, packet_of, tagged};
use crate::site::{self, ACCESS, INFUSION, PUMP, ROUTER, UPLINK, ip};

const TIMES: usize = 25;
/// The longest padding of an ARP packet.
const PADDING: usize = 26;

fn chosen_mac() -> Mac {
    let mut mac = [0; 6];
    mac.copy_from_slice(&chosen(6));
    Mac(mac)
}

#[test]
fn no_arp_carries_chosen_bytes_over_the_uplink() -> Result<()> {
    let accounts = site::raise(&[])?;
    let (pump, router) = ((PUMP, ip(25, 11)), ip(25, 1));
    let frame = |operation, to, target: [u8; 6], padding: &[u8]| {
        let packet = arp(operation, pump, (target, router), padding);
        tagged(to, PUMP, INFUSION, ARP, &packet)
    };
    let filled = |operation, to| frame(operation, to, chosen_mac().0, &chosen(PADDING));
    let emptied = |operation| Some(frame(operation, BROADCAST, [0; 6], &[0; PADDING]));
    let packets = [
        ("request", filled(1, BROADCAST), emptied(1)),
        ("reply to a group", filled(2, BROADCAST), emptied(2)),
        // It claims another target than the frame's.
        ("reply to the router", filled(2, ROUTER), None),
    ];
    let mut carried = Vec::new();
    for posture in [
        Posture::Normal,
        Posture::Contain,
        Posture::Isolate,
        Posture::Lockdown,
    ] {
        site::close(&accounts, posture)?;
        for (name, frame, expected) in &packets {
            let (account, may_leave) = match (posture, expected) {
                (Posture::Normal, _) | (_, None) => {
                    let account = accounts.send(ACCESS, &vec![frame.clone(); TIMES])?;
                    (account, TIMES..=TIMES)
                }
                _ => site::send_slowly(&accounts, ACCESS, frame)?,
            };
            account.check(1);
            let at_uplink = account.at(UPLINK);
            let arrived = at_uplink.iter().filter(|one| is_carrier(one)).count();
            let line = format!("{posture}: {arrived} with chosen bytes: {name}: {account}");
            println!("{line}");
            if arrived > 0 {
                carried.push(line);
                continue;
            }
            let Some(expected) = expected else {
                let drops = account.dropped.get("arp");
                assert_eq!(drops, Some(&account.entered), "{line}");
                continue;
            };
            assert!(may_leave.contains(&at_uplink.len()), "{line}");
            for frame in at_uplink {
                assert_eq!(packet_of(frame), packet_of(expected), "{line}");
            }
        }
    }
    assert!(carried.is_empty(), "arrived at the uplink: {carried:#?}");
    Ok(())
}
