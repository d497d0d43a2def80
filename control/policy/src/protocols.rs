//! IP protocol numbers and their names: one table for everything that reads, prints or compiles them.

/// ICMP for IPv4.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP for IPv6.
pub const ICMPV6: u8 = 58;
/// SCTP.
pub const SCTP: u8 = 132;

/// By number, ascending. Names are the keywords of IANA's registry "Assigned Internet Protocol Numbers" in lower case;
/// `ipip`, `icmpv6` and `ospf` are the usual names of IANA's `IPv4`, `IPv6-ICMP` and `OSPFIGP`.
const TABLE: &[(u8, &str)] = &[
    (0, "hopopt"),
    (ICMP, "icmp"),
    (2, "igmp"),
    (3, "ggp"),
    (4, "ipip"),
    (5, "st"),
    (TCP, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (UDP, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (45, "idrp"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (ICMPV6, "icmpv6"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (88, "eigrp"),
    (89, "ospf"),
    (97, "etherip"),
    (98, "encap"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (124, "isis"),
    (SCTP, "sctp"),
    (133, "fc"),
    (135, "mobility-header"),
    (136, "udplite"),
    (137, "mpls-in-ip"),
    (138, "manet"),
    (139, "hip"),
    (140, "shim6"),
    (141, "wesp"),
    (142, "rohc"),
    (143, "ethernet"),
];

/// The name of a protocol; none for numbers without a common name.
pub fn name(number: u8) -> Option<&'static str> {
    let at = TABLE.binary_search_by_key(&number, |(number, _)| *number);
    at.ok().map(|at| TABLE[at].1)
}

/// The number of a protocol by its name in lower case.
pub fn number(name: &str) -> Option<u8> {
    let found = TABLE.iter().find(|(_, known)| *known == name);
    found.map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_names_are_unique() {
        assert!(TABLE.is_sorted_by(|one, next| one.0 < next.0));
        for (of, known) in TABLE {
            assert_eq!((name(*of), number(known)), (Some(*known), Some(*of)));
        }
    }

    #[test]
    fn protocols_of_routers_and_tunnels_have_their_assigned_numbers() {
        for (of, known) in [
            (1, "icmp"),
            (2, "igmp"),
            (4, "ipip"),
            (6, "tcp"),
            (8, "egp"),
            (17, "udp"),
            (41, "ipv6"),
            (47, "gre"),
            (50, "esp"),
            (51, "ah"),
            (58, "icmpv6"),
            (88, "eigrp"),
            (89, "ospf"),
            (103, "pim"),
            (112, "vrrp"),
            (115, "l2tp"),
            (132, "sctp"),
        ] {
            assert_eq!(name(of), Some(known));
            assert_eq!(number(known), Some(of));
        }
        assert_eq!((name(255), number("TCP"), number("")), (None, None, None));
    }
}
