//! A link-local address is in the segment in which it is used, and not in the wider network.

use std::net::{IpAddr, Ipv4Addr};

use cordon_lab::Result;

use crate::frames::{ARP, BROADCAST, SYN, arp, tagged, tcp, udp};
use crate::site::{
    self, ACCESS, GUEST, OTHER_ACCESS, OTHER_VISITOR, ROUTER, SECOND_PORT, UPLINK, VISITOR,
    address, end, ip,
};

const TIMES: usize = 10;

#[test]
fn visitors_do_not_reach_each_other_by_link_local_addresses() -> Result<()> {
    let accounts = site::raise(&SECOND_PORT)?;
    let other = (OTHER_VISITOR, ip(29, 77));
    let heard = arp(2, other, (OTHER_VISITOR.0, ip(29, 77)), &[]);
    let heard = tagged(BROADCAST, OTHER_VISITOR, GUEST, ARP, &heard);
    let account = accounts.send(OTHER_ACCESS, &[heard])?;
    assert_eq!(account.passed, 1, "the other visitor is heard: {account}");

    let v4 = |a, b| IpAddr::from(Ipv4Addr::new(169, 254, a, b));
    let own: IpAddr = ip(29, 66).into();
    let wider: IpAddr = Ipv4Addr::new(203, 0, 113, 10).into();
    let ways: [(IpAddr, IpAddr, bool); 4] = [
        (address("fe80::66"), address("fe80::77"), false),
        (own, v4(7, 7), false),
        (v4(6, 6), v4(7, 7), false),
        // The rule is for this.
        (own, wider, true),
    ];
    let mut reached = Vec::new();
    for (from, to, is_wider) in ways {
        let packets = [
            ("datagrams", udp(end(from, 4000), end(to, 53), b"question")),
            ("connections", tcp(end(from, 4001), end(to, 80), SYN)),
        ];
        for (name, (ether_type, packet)) in packets {
            let mac = if is_wider { ROUTER } else { OTHER_VISITOR };
            let frame = tagged(mac, VISITOR, GUEST, ether_type, &packet);
            let account = accounts.send(ACCESS, &vec![frame; TIMES])?;
            account.check(1);
            let line = format!("{name} from {from} to {to}: {account}");
            println!("{line}");
            match is_wider {
                true => assert_eq!(account.at(UPLINK).len(), TIMES, "{line}"),
                false if account.passed > 0 => reached.push(line),
                false => {}
            }
        }
    }
    assert!(
        reached.is_empty(),
        "reached the other visitor: {reached:#?}"
    );
    Ok(())
}
