//! Neighbour discovery carries no chosen bytes: neither to addresses off the link, nor in reserved fields, extension
//! headers or padding.

use std::net::Ipv6Addr;
use std::time::Duration;

use cordon_integration::accounts::{Account, Accounts};
use cordon_lab::{Mac, Result};
use cordon_policy::Posture;

use crate::frames::{
    CHOSEN, Front, IPV6, chosen, group_mac, icmpv6, is_carrier, link_layer, packet_of,
    solicited_node, tagged,
};
use crate::site::{self, ACCESS, GUEST, INFUSION, PUMP, ROUTER, UPLINK, VISITOR, address};

const ROUTER_SOLICITATION: u8 = 133;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// How often each frame is sent.
const TIMES: usize = 100;
const POSTURES: [Posture; 4] = [
    Posture::Normal,
    Posture::Contain,
    Posture::Isolate,
    Posture::Lockdown,
];

/// A link-local address with a chosen interface identifier.
fn chosen_link_local() -> Ipv6Addr {
    let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    octets[8..].copy_from_slice(&chosen(8));
    octets.into()
}

/// An address with these two bytes, and chosen bytes in all others.
fn chosen_address(first: u16) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&first.to_be_bytes());
    octets[2..].copy_from_slice(&chosen(14));
    octets.into()
}

/// The message with a chosen reserved field.
fn message(kind: u8, mac: Mac, target: Ipv6Addr) -> Vec<u8> {
    let (target, option) = match kind {
        ROUTER_SOLICITATION => (Vec::new(), 1),
        SOLICITATION => (target.octets().to_vec(), 1),
        _ => (target.octets().to_vec(), 2),
    };
    let head = [&[kind, 0, 0, 0][..], &CHOSEN].concat();
    [head, target, link_layer(option, mac)].concat()
}

struct Attack {
    name: String,
    frame: Vec<u8>,
    /// The posture from which on it must not cross the boundary.
    from: Posture,
}

fn attacks(mac: Mac, vlan: u16, source: Ipv6Addr) -> Vec<Attack> {
    let to = |to: Mac, packet: &[u8]| tagged(to, mac, vlan, IPV6, packet);
    let off_link = chosen_address(0x2001);
    let global = chosen_address(0xff0e);
    let router: Ipv6Addr = address("fe80::1");
    let mut attacks = Vec::new();
    for (name, kind, target, group, chosen_target) in [
        // A router solicitation has no target. The target of an advertisement is one that its sender may have.
        (
            "router solicitation",
            ROUTER_SOLICITATION,
            source,
            address("ff02::2"),
            source,
        ),
        (
            "solicitation",
            SOLICITATION,
            router,
            solicited_node(router),
            off_link,
        ),
        (
            "advertisement",
            ADVERTISEMENT,
            source,
            address("ff02::1"),
            chosen_link_local(),
        ),
    ] {
        let mut add_from = |from, what: &str, frame| {
            let name = format!("{name} {what}");
            attacks.push(Attack { name, frame, from });
        };
        let mut add = |what: &str, frame| add_from(Posture::Normal, what, frame);
        let packet = |destination, front, target| {
            icmpv6(255, source, destination, front, &message(kind, mac, target))
        };
        // 188 bytes of options, 4 reserved, 16 of the target.
        let options = || Front::Options(chosen(188));
        let optional = packet(off_link, options(), chosen_target);
        add("off the link, with options", to(ROUTER, &optional));
        let plain = packet(off_link, Front::None, chosen_target);
        add("off the link", to(ROUTER, &plain));
        let plain = packet(global, Front::None, chosen_target);
        add("to a global group", to(group_mac(global), &plain));
        // What is in order but for one thing.
        let optional = packet(group, options(), target);
        add("with options", to(group_mac(group), &optional));
        let other_mac = Mac([0x33, 0x33, CHOSEN[0], CHOSEN[1], CHOSEN[2], CHOSEN[3]]);
        add(
            "to another group's MAC",
            to(other_mac, &packet(group, Front::None, target)),
        );
        let padded = [packet(group, Front::None, target), chosen(1000)].concat();
        add("with padding", to(group_mac(group), &padded));
        // Which addresses are asked for and claimed is the sender's choice as well.
        let on_link = chosen_link_local();
        match kind {
            SOLICITATION => {
                for (from, target) in [(Posture::Normal, off_link), (Posture::Contain, on_link)] {
                    let group = solicited_node(target);
                    let packet = packet(group, Front::None, target);
                    add_from(from, "for a chosen target", to(group_mac(group), &packet));
                }
            }
            ADVERTISEMENT => {
                let packet = packet(group, Front::None, on_link);
                let frame = to(group_mac(group), &packet);
                add_from(Posture::Contain, "of a chosen target", frame);
            }
            _ => {}
        }
    }
    attacks
}

#[test]
fn no_discovery_carries_chosen_bytes_over_the_uplink() -> Result<()> {
    let unlimited = ("site.yaml", "{device: eth1}", "{device: eth1, storm: 0}");
    let accounts = site::raise(&[unlimited])?;
    let senders = [
        ("pump", PUMP, INFUSION, "fe80::11"),
        ("visitor", VISITOR, GUEST, "fe80::66"),
    ];
    let mut carried = Vec::new();
    for posture in POSTURES {
        site::close(&accounts, posture)?;
        for (sender, mac, vlan, source) in senders {
            let mut attacks = attacks(mac, vlan, address(source));
            attacks.retain(|attack| attack.from <= posture);
            assert!(attacks.iter().all(|attack| is_carrier(&attack.frame)));
            let account = accounts.record(|| {
                let mut sent = 0;
                for attack in &attacks {
                    sent += accounts.transmit(ACCESS, &vec![attack.frame.clone(); TIMES])?;
                    // More frames at once would overflow the queue of the cable.
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(sent)
            })?;
            account.check(1);
            println!(
                "{posture}: {} of {}: {sender}",
                carriers(&account),
                account.entered
            );
            for attack in attacks {
                let is_same = |left: &&Vec<u8>| packet_of(left) == packet_of(&attack.frame);
                let unchanged = account.at(UPLINK).iter().filter(is_same).count();
                println!(
                    "{posture}: {unchanged} of {TIMES}: {sender}: {}",
                    attack.name
                );
            }
            if carriers(&account) > 0 {
                carried.push(format!("{posture}: {sender}: {account}"));
            }
        }
    }
    assert!(carried.is_empty(), "arrived at the uplink: {carried:#?}");
    Ok(())
}

fn carriers(account: &Account) -> usize {
    let at_uplink = account.at(UPLINK).iter();
    at_uplink.filter(|frame| is_carrier(frame)).count()
}

/// A solicitation for the router, with chosen bytes in each field that a receiver ignores.
fn solicitation_for_router(mac: Mac, vlan: u16, source: Ipv6Addr) -> (Vec<u8>, Vec<u8>) {
    let router: Ipv6Addr = address("fe80::1");
    let group = solicited_node(router);
    let packet = |reserved: [u8; 4]| {
        let head = [&[SOLICITATION, 0, 0, 0][..], &reserved, &router.octets()].concat();
        let message = [head, link_layer(1, mac)].concat();
        icmpv6(255, source, group, Front::None, &message)
    };
    let mut sent = packet(CHOSEN);
    // Traffic class and flow label.
    sent[..4].copy_from_slice(&[0x6c, 0x53, 0xea, 0x79]);
    sent.extend(chosen(26));
    let frame = |packet: &[u8]| tagged(group_mac(group), mac, vlan, IPV6, packet);
    let left = [packet([0; 4]), vec![0; 26]].concat();
    (frame(&sent), frame(&left))
}

#[test]
fn a_solicitation_leaves_with_zeroes_in_place_of_what_receivers_ignore() -> Result<()> {
    let accounts = site::raise(&[])?;
    for posture in POSTURES {
        site::close(&accounts, posture)?;
        let (sent, expected) = solicitation_for_router(PUMP, INFUSION, address("fe80::11"));
        let (account, may_leave) = match posture {
            Posture::Normal => {
                let account = accounts.send(ACCESS, &vec![sent; TIMES])?;
                (account, TIMES..=TIMES)
            }
            _ => site::send_slowly(&accounts, ACCESS, &sent)?,
        };
        println!("{posture}: {account}");
        account.check(1);
        let at_uplink = account.at(UPLINK);
        for frame in at_uplink {
            assert_eq!(packet_of(frame), packet_of(&expected), "{posture}");
        }
        let left = at_uplink.len();
        assert!(may_leave.contains(&left), "{posture}: {account}");
        // An unlisted host has no part in it once the site is contained.
        let (sent, _) = solicitation_for_router(VISITOR, GUEST, address("fe80::66"));
        let account = accounts.send(ACCESS, &vec![sent; TIMES])?;
        account.check(1);
        let expected = if posture == Posture::Normal { TIMES } else { 0 };
        assert_eq!(account.at(UPLINK).len(), expected, "{posture}: {account}");
        assert_eq!(carriers(&account), 0, "{posture}");
    }
    is_counted_as(&accounts, "posture")
}

/// Checks that the gateway has counted drops for a reason.
fn is_counted_as(accounts: &Accounts, reason: &str) -> Result<()> {
    let status = accounts.gateway().json(&["status"])?;
    let drops = status["drops"].as_array();
    let is_counted = |drop: &serde_json::Value| drop["reason"] == reason;
    assert!(
        drops.is_some_and(|drops| drops.iter().any(is_counted)),
        "{status}"
    );
    Ok(())
}
