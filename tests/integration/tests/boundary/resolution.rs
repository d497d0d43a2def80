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
    let request = |target: [u8; 6], padding: &[u8]| {
        let packet = arp(1, pump, (target, router), padding);
        tagged(BROADCAST, PUMP, INFUSION, ARP, &packet)
    };
    let sent = request(chosen_mac().0, &chosen(PADDING));
    let expected = request([0; 6], &[0; PADDING]);
    // A reply that claims another target than the frame's.
    let reply = arp(2, pump, (chosen_mac().0, router), &chosen(PADDING));
    let reply = tagged(ROUTER, PUMP, INFUSION, ARP, &reply);
    let mut carried = Vec::new();
    for posture in [
        Posture::Normal,
        Posture::Contain,
        Posture::Isolate,
        Posture::Lockdown,
    ] {
        site::close(&accounts, posture)?;
        for (name, frame) in [("request", &sent), ("reply", &reply)] {
            let account = match posture {
                Posture::Normal => accounts.send(ACCESS, &vec![frame.clone(); TIMES])?,
                _ => site::send_slowly(&accounts, ACCESS, frame)?,
            };
            account.check(1);
            let at_uplink = account.at(UPLINK);
            let arrived = at_uplink.iter().filter(|one| is_carrier(one)).count();
            let line = format!("{posture}: {arrived} of {TIMES}: {name}");
            println!("{line}: {account}");
            if arrived > 0 {
                carried.push(line);
                continue;
            }
            match (name, posture) {
                ("reply", _) => assert_eq!(account.dropped.get("arp"), Some(&TIMES), "{account}"),
                (_, Posture::Normal) => assert_eq!(at_uplink.len(), TIMES, "{account}"),
                _ => assert!(
                    site::ONE_A_TICK.contains(&at_uplink.len()),
                    "{posture}: {account}"
                ),
            }
            for frame in at_uplink {
                assert_eq!(packet_of(frame), packet_of(&expected), "{posture}");
            }
        }
    }
    assert!(carried.is_empty(), "arrived at the uplink: {carried:#?}");
    Ok(())
}
