//! From contain on, what stays inside does not leave by an uplink, and what has nowhere to go inside is a drop.

use std::net::Ipv4Addr;

use cordon_lab::Result;
use cordon_policy::Posture;

use crate::frames::{BROADCAST, IPV4, tagged, udp};
use crate::site::{
    self, ACCESS, GUEST, OTHER_ACCESS, OTHER_VISITOR, SECOND_PORT, STATION, STATIONS, UPLINK,
    VISITOR, end, ip,
};

const TIMES: usize = 50;

/// Hosts of the guest segment may talk to each other.
const TOGETHER: site::Change = (
    "site.yaml",
    "isolate: true, unknown: admit",
    "unknown: admit",
);

#[test]
fn datagrams_to_a_mac_that_was_never_heard_stay_inside() -> Result<()> {
    let accounts = site::raise(&[&SECOND_PORT[..], &[TOGETHER]].concat())?;
    let (_, packet) = udp(end(ip(29, 66), 5000), end(ip(29, 77), 5000), b"anyone?");
    let frame = tagged(OTHER_VISITOR, VISITOR, GUEST, IPV4, &packet);
    for (posture, at_uplink) in [
        (Posture::Normal, TIMES),
        (Posture::Contain, 0),
        (Posture::Isolate, 0),
    ] {
        site::close(&accounts, posture)?;
        let account = accounts.send(ACCESS, &vec![frame.clone(); TIMES])?;
        println!("{posture}: {account}");
        assert_eq!(
            account.at(OTHER_ACCESS).len(),
            TIMES,
            "{posture}: {account}"
        );
        assert_eq!(account.at(UPLINK).len(), at_uplink, "{posture}: {account}");
        account.check(if at_uplink > 0 { 2 } else { 1 });
    }
    Ok(())
}

/// A broadcast whose copies stay inside, of a device that is alone there.
#[test]
fn a_broadcast_without_any_copy_is_a_drop() -> Result<()> {
    let accounts = site::raise(&[])?;
    let from = end(Ipv4Addr::UNSPECIFIED, 68);
    let discover = [
        &[1, 1, 6, 0][..],
        &[0; 236],
        &[99, 130, 83, 99, 53, 1, 1, 255],
    ]
    .concat();
    let (_, packet) = udp(from, end(Ipv4Addr::BROADCAST, 67), &discover);
    let frame = tagged(BROADCAST, STATION, STATIONS, IPV4, &packet);

    let account = accounts.send(ACCESS, &vec![frame.clone(); TIMES])?;
    account.check(1);
    assert_eq!(account.at(UPLINK).len(), TIMES, "normal: {account}");

    site::close(&accounts, Posture::Contain)?;
    let before = drops_for_posture(&accounts)?;
    let account = accounts.send(ACCESS, &vec![frame; TIMES])?;
    println!("contain: {account}");
    account.check(1);
    assert_eq!(account.dropped.get("posture"), Some(&TIMES), "{account}");
    assert_eq!(drops_for_posture(&accounts)?, before + TIMES as u64);
    Ok(())
}

/// The drops that `cordon status` reports for the reason `posture`.
fn drops_for_posture(accounts: &cordon_integration::accounts::Accounts) -> Result<u64> {
    let status = accounts.gateway().json(&["status"])?;
    let drops = status["drops"].as_array().expect("a list");
    let of_posture = drops.iter().find(|drop| drop["reason"] == "posture");
    Ok(of_posture.map_or(0, |drop| drop["packets"].as_u64().expect("a number")))
}
