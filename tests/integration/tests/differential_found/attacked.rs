//! Attacks that once worked: on the policy, or on other hosts' flows.

use super::*;

#[test]
fn a_forged_reset_is_dropped_after_a_change_of_posture() {
    let kept = "  - {name: kept, from: pump, to: server, service: tcp/2000, survives: lockdown, owner: o, reason: r}\n";
    let mut gateway = Gateway::with(&policy(false, kept));
    let reset = |sequence| segment(OF_SERVER, OF_PUMP, RST, [sequence, 0]);
    let forged = Verdict::Drop(Reason::TcpSequence);
    assert_eq!(gateway.verdict(1, &reset(100)), forged, "without a flow");
    for (port, frame) in [
        (0, segment(OF_PUMP, OF_SERVER, SYN, [1, 0])),
        (1, segment(OF_SERVER, OF_PUMP, SYN | ACK, [99, 2])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [2, 100])),
    ] {
        assert!(leaves(&gateway.verdict(port, &frame)));
    }
    gateway.0.set_posture(Posture::Lockdown);
    let decision = gateway.judge(1, &reset(12345 + (1 << 22)));
    assert_eq!((decision.verdict, decision.rule), (forged.clone(), 0));
    gateway.0.install(&policy(false, kept), Posture::Lockdown);
    assert_eq!(gateway.verdict(1, &reset(99)), forged);
    assert!(
        leaves(&gateway.verdict(1, &reset(100))),
        "the expected sequence number"
    );
}

#[test]
fn the_client_of_a_pending_connection_cannot_reset_the_established_one() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    let syn = segment(OF_PUMP, OF_SERVER, SYN, [1, 0]);
    for (port, frame) in [
        (0, syn.clone()),
        (1, segment(OF_SERVER, OF_PUMP, SYN | ACK, [99, 2])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [2, 100])),
        (1, segment(OF_SERVER, OF_PUMP, ACK, [100, 2])),
        (0, syn),
    ] {
        assert!(leaves(&gateway.verdict(port, &frame)));
    }
    let reset = segment(OF_PUMP, OF_SERVER, RST, [0, 0]);
    assert_eq!(
        gateway.verdict(0, &reset),
        Verdict::Drop(Reason::TcpSequence)
    );
}

#[test]
fn a_probe_for_another_devices_address_is_dropped() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let unspecified = [0, 0, 0, 0].into();
    let probe = |mac: Mac, target: [u8; 4]| {
        let packet = frame::arp(1, (mac, unspecified), (Mac([0; 6]), target.into()));
        frame::ethernet(Mac([0xff; 6]), mac, Some(10), 0x0806, &packet)
    };
    let [server, pump] = [[10, 1, 0, 2], [10, 1, 0, 1]];
    let binding = Verdict::Drop(Reason::AddressBinding);
    assert_eq!(gateway.verdict(0, &probe(PUMP, server)), binding);
    assert!(leaves(&gateway.verdict(0, &probe(PUMP, pump))));
    assert_eq!(
        gateway.verdict(2, &probe(ROUTER, server)),
        Verdict::Drop(Reason::DeviceOnUplink)
    );

    // Duplicate address detection (RFC 4862, section 5.4).
    let solicitation = |mac: Mac, target: &str| {
        let target: std::net::Ipv6Addr = target.parse().expect("the address is valid");
        let message = frame::discovery(135, &target.octets(), &[]);
        // Of these targets, only the last byte differs.
        let last = target.octets()[15];
        let group = format!("ff02::1:ff00:{last:x}");
        packet(
            (mac, "::"),
            (Mac([0x33, 0x33, 0xff, 0, 0, last]), &group),
            ICMP6,
            &message,
        )
    };
    let discovery = Verdict::Drop(Reason::NeighbourDiscovery);
    assert_eq!(
        gateway.verdict(0, &solicitation(PUMP, "2001:db8:1::2")),
        discovery
    );
    assert!(leaves(
        &gateway.verdict(0, &solicitation(PUMP, "2001:db8:1::1"))
    ));
    assert!(leaves(&gateway.verdict(0, &solicitation(PUMP, "fe80::1"))));
}

#[test]
fn only_the_router_may_use_the_routers_address() {
    let site = "site: s
ports:
  p0: {device: p0}
  p1: {device: p1, uplink: true}
segments:
  wards: {attach: [p0.10, p1.10], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"], routers: [10.1.0.1, \"fe80::1\"]}
  guests: {attach: [p0.20, p1.20], subnets: [10.2.0.0/24], unknown: admit, routers: [10.2.0.1]}
";
    let devices = "name,mac,ips,segment\npump,02:00:00:00:00:01,,wards\n";
    let sources = Sources {
        site: site.to_owned(),
        policy: None,
        devices: Some(devices.to_owned()),
    };
    let mut gateway = Gateway::with(&from_sources(&sources).expect("the policy is valid").policy);
    let announcement = |mac: Mac, vlan, ip: [u8; 4]| {
        let packet = frame::arp(2, (mac, ip.into()), (mac, ip.into()));
        frame::ethernet(Mac([0xff; 6]), mac, Some(vlan), 0x0806, &packet)
    };
    let binding = Verdict::Drop(Reason::AddressBinding);
    let [pump, guest] = [(PUMP, 10, 1), (GUEST, 20, 2)];
    for (mac, vlan, net) in [pump, guest] {
        let mut verdict = |port, host| {
            let mac = if port == 1 { ROUTER } else { mac };
            gateway.verdict(port, &announcement(mac, vlan, [10, net, 0, host]))
        };
        assert_eq!(verdict(0, 1), binding, "the router's address, {vlan}");
        assert!(leaves(&verdict(0, 7)), "its own address, {vlan}");
        assert!(leaves(&verdict(1, 1)), "the router itself, {vlan}");
    }
    // A link-local router address applies to every segment.
    let advertisement = |mac: Mac, vlan, ip: &str| {
        let ip: std::net::Ipv6Addr = ip.parse().expect("the address is valid");
        let mut message = frame::discovery(136, &ip.octets(), &frame::link_address_option(2, mac));
        message[4] = 0x20;
        let all = "ff02::1".parse().expect("the address is valid");
        let (ether_type, packet) = frame::ip(ip.into(), all, ICMP6, 255, &message);
        frame::ethernet(
            Mac([0x33, 0x33, 0, 0, 0, 1]),
            mac,
            Some(vlan),
            ether_type,
            &packet,
        )
    };
    for (mac, vlan, _) in [pump, guest] {
        let spoofed = gateway.verdict(0, &advertisement(mac, vlan, "fe80::1"));
        assert_eq!(spoofed, binding, "{vlan}");
        assert!(leaves(
            &gateway.verdict(0, &advertisement(mac, vlan, "fe80::7"))
        ));
        let genuine = gateway.verdict(1, &advertisement(ROUTER, vlan, "fe80::1"));
        assert!(leaves(&genuine), "{vlan}");
    }
}

#[test]
fn dhcp_servers_are_recognised_by_the_clients_port() {
    let any = "  - {name: any, from: any, to: any, service: any}\n";
    let mut gateway = Gateway::with(&policy(false, any));
    for (from, to) in [(67, 68), (1067, 68), (547, 546), (5547, 546)] {
        let offer = udp((PUMP, "10.1.0.1", from), (SERVER, "10.1.0.2", to));
        assert_eq!(
            gateway.verdict(0, &offer),
            Verdict::Drop(Reason::DhcpGuard),
            "{from} to {to}"
        );
    }
}

#[test]
fn a_device_is_reached_by_its_own_mac_address_only() {
    let rules = "  - {name: r, from: pump, to: server, service: udp/2000}\n";
    let mut gateway = Gateway::with(&policy(false, rules));
    let elsewhere = udp(OF_PUMP, (ROUTER, "10.1.0.2", 2000));
    assert_eq!(
        gateway.verdict(0, &elsewhere),
        Verdict::Drop(Reason::AddressBinding)
    );
    assert!(leaves(&gateway.verdict(0, &udp(OF_PUMP, OF_SERVER))));
}

#[test]
fn a_broadcast_is_answered_by_its_segment_only() {
    let rules = "  - {name: announce, from: pump, to: broadcast, service: udp/2000, survives: lockdown, owner: o, reason: r}
  - {name: discover, from: pump, to: any, service: udp/3702, survives: lockdown, owner: o, reason: r}\n";
    let mut gateway = Gateway::with(&policy(false, rules));
    gateway.0.set_posture(Posture::Lockdown);
    let broadcast = (Mac([0xff; 6]), "255.255.255.255", 2000);
    assert!(leaves(&gateway.verdict(0, &udp(OF_PUMP, broadcast))));
    let answer = |ip| udp((ROUTER, ip, 2000), OF_PUMP);
    assert_eq!(
        gateway.verdict(2, &answer("203.0.113.9")),
        Verdict::Drop(Reason::NoRule)
    );
    assert!(leaves(&gateway.verdict(1, &udp(OF_SERVER, OF_PUMP))));

    // Routers forward this group, so its answers may come from the far side of the router.
    let group = (Mac([1, 0, 0x5e, 0x7f, 0xff, 0xfa]), "239.255.255.250", 3702);
    assert!(leaves(&gateway.verdict(0, &udp(OF_PUMP, group))));
    let found = udp((ROUTER, "203.0.113.9", 3702), OF_PUMP);
    assert!(leaves(&gateway.verdict(2, &found)));
}

#[test]
fn an_icmp_error_must_come_from_the_peer_and_quote_a_sent_packet() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    for (port, frame) in [
        (0, segment(OF_PUMP, OF_SERVER, SYN, [1, 0])),
        (1, segment(OF_SERVER, OF_PUMP, SYN | ACK, [99, 2])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [2, 100])),
        (1, segment(OF_SERVER, OF_PUMP, ACK, [100, 2])),
    ] {
        assert!(leaves(&gateway.verdict(port, &frame)));
    }
    let about = |sequence, from: (Mac, &str), code: u8, mtu: u16, longer: usize| {
        let quoted = segment(OF_PUMP, OF_SERVER, ACK, [sequence, 100]);
        let quoted = [&quoted[18..], &vec![0; longer][..]].concat();
        let mut message = frame::icmp(3, code, 0, &quoted);
        message[6..8].copy_from_slice(&mtu.to_be_bytes());
        packet(from, (PUMP, "10.1.0.1"), ICMP, &message)
    };
    let server = (SERVER, "10.1.0.2");
    let forged = Verdict::Drop(Reason::IcmpError);
    assert!(leaves(&gateway.verdict(1, &about(2, server, 3, 0, 0))));
    assert_eq!(
        gateway.verdict(1, &about(0xdead_beef, server, 3, 0, 0)),
        forged,
        "a sequence number that was not sent"
    );
    let free = (Mac([2, 0, 0, 0, 0, 3]), "10.1.0.77");
    assert_eq!(
        gateway.verdict(1, &about(2, free, 3, 0, 0)),
        forged,
        "another device"
    );
    assert!(leaves(&gateway.verdict(1, &about(2, server, 4, 1400, 0))));
    assert_eq!(
        gateway.verdict(1, &about(2, server, 4, 68, 0)),
        forged,
        "an MTU below the minimum"
    );
    assert_eq!(
        gateway.verdict(1, &about(2, server, 3, 0, 1000)),
        forged,
        "a quote that is too long"
    );
}

#[test]
fn an_arp_packet_with_extra_data_is_dropped() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let request = |padding: usize| {
        let arp = frame::arp(
            1,
            (PUMP, [10, 1, 0, 1].into()),
            (Mac([0; 6]), [10, 1, 0, 2].into()),
        );
        let packet = [&arp[..], &vec![7; padding][..]].concat();
        frame::ethernet(Mac([0xff; 6]), PUMP, Some(10), 0x0806, &packet)
    };
    assert!(leaves(&gateway.verdict(0, &request(26))));
    assert_eq!(gateway.verdict(0, &request(27)), Verdict::Drop(Reason::Arp));
}
