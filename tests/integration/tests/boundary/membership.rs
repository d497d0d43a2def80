//! Membership reports carry no chosen bytes across the uplink, in neither direction.

use std::net::{Ipv4Addr, Ipv6Addr};

use cordon_lab::{Mac, Result};
use cordon_policy::Posture;

use crate::frames::{Front, IGMP, IPV4, IPV6, chosen, group_mac, icmpv6, ipv4, is_carrier, tagged};
use crate::site::{self, ACCESS, INFUSION, PUMP, ROUTER, UPLINK, address, ip};

const TIMES: usize = 20;
/// As many chosen bytes as a report may be long: a multiple of the length of an address.
const CARRIED: usize = 1392;
const MLD_V1: u8 = 131;

/// The 8 bytes of IGMP: type, code, checksum, group or number of records.
fn igmp(kind: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0, 0, 0][..], &rest, body].concat();
    let sum: u32 = message
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    let mut message = message;
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// Reports with chosen bytes: the name, EtherType, destination MAC, packet, and whether the report is well-formed.
fn reports(v4: Ipv4Addr, v6: Ipv6Addr) -> Vec<(&'static str, u16, Mac, Vec<u8>, bool)> {
    let all_v4 = (Ipv4Addr::new(224, 0, 0, 22), Mac([1, 0, 0x5e, 0, 0, 22]));
    let all_v6: Ipv6Addr = address("ff02::16");
    let group_v4 = [239, 1, 2, 3];
    let group_v6: Ipv6Addr = address("ff05::1:2:3");
    let body = chosen(CARRIED);
    let sources = |length: usize| ((CARRIED / length) as u16).to_be_bytes();
    let record = |auxiliary: u8, sources: [u8; 2], group: &[u8]| {
        [&[1, auxiliary][..], &sources, group, &body].concat()
    };
    // Auxiliary data is counted in words of four bytes.
    let words = |length: usize| (length / 4) as u8;
    let mld = |message: Vec<u8>| icmpv6(1, v6, all_v6, Front::RouterAlert, &message);
    let mld_report = |record: Vec<u8>| mld([&[143, 0, 0, 0, 0, 0, 0, 1][..], &record].concat());
    let igmp_report =
        |record: Vec<u8>| ipv4(IGMP, 1, v4, all_v4.0, &igmp(0x22, [0, 0, 0, 1], &record));
    let v4_of = |name, packet, formed| (name, IPV4, all_v4.1, packet, formed);
    let v6_of = |name, packet, formed| (name, IPV6, group_mac(all_v6), packet, formed);
    let mut auxiliary_v4 = record(words(1000), [0; 2], &group_v4);
    auxiliary_v4.truncate(8 + 1000);
    let mut auxiliary_v6 = record(words(1000), [0; 2], &group_v6.octets());
    auxiliary_v6.truncate(20 + 1000);
    vec![
        v4_of(
            "IGMPv2, data behind the report",
            ipv4(IGMP, 1, v4, all_v4.0, &igmp(0x16, group_v4, &body)),
            false,
        ),
        v4_of("IGMPv3, auxiliary data", igmp_report(auxiliary_v4), false),
        v4_of(
            "IGMPv3, sources",
            igmp_report(record(0, sources(4), &group_v4)),
            true,
        ),
        v6_of(
            "MLDv1, data behind the report",
            mld([
                &[MLD_V1, 0, 0, 0, 0, 0, 0, 0][..],
                &group_v6.octets(),
                &body,
            ]
            .concat()),
            false,
        ),
        v6_of("MLDv2, auxiliary data", mld_report(auxiliary_v6), false),
        v6_of(
            "MLDv2, sources",
            mld_report(record(0, sources(16), &group_v6.octets())),
            true,
        ),
    ]
}

#[test]
fn no_report_carries_chosen_bytes_over_the_uplink() -> Result<()> {
    let accounts = site::raise(&[])?;
    let ways = [
        ("out", ACCESS, UPLINK, PUMP, ip(25, 11), "fe80::11"),
        ("in", UPLINK, ACCESS, ROUTER, ip(25, 1), "fe80::1"),
    ];
    let mut carried = Vec::new();
    for posture in [
        Posture::Normal,
        Posture::Contain,
        Posture::Isolate,
        Posture::Lockdown,
    ] {
        site::close(&accounts, posture)?;
        for (way, nic, far, mac, v4, v6) in ways {
            for (name, ether_type, to, packet, is_formed) in reports(v4, address(v6)) {
                let frame = tagged(to, mac, INFUSION, ether_type, &packet);
                assert!(is_carrier(&frame), "{name}");
                let account = accounts.send(nic, &vec![frame; TIMES])?;
                account.check(1);
                let arrived = account.at(far).iter().filter(|one| is_carrier(one)).count();
                let line = format!("{posture}, {way}: {arrived} of {TIMES}: {name}");
                println!("{line}: {account}");
                // Groups and sources are what a report is about.
                let may_pass = is_formed && posture == Posture::Normal;
                if arrived != if may_pass { TIMES } else { 0 } {
                    carried.push(line);
                }
            }
        }
        // Queries still come in: without them switches would stop forwarding groups.
        let all = Ipv4Addr::new(224, 0, 0, 1);
        let query = ipv4(IGMP, 1, ip(25, 1), all, &igmp(0x11, [0; 4], &[]));
        let query = tagged(Mac([1, 0, 0x5e, 0, 0, 1]), ROUTER, INFUSION, IPV4, &query);
        let account = accounts.send(UPLINK, &[query])?;
        account.check(1);
        assert_eq!(account.at(ACCESS).len(), 1, "{posture}: {account}");
    }
    assert!(carried.is_empty(), "unexpected: {carried:#?}");
    Ok(())
}
