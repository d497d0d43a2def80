//! Devices that are bound to a port or attachment, and errors about their broadcasts.

use super::*;

/// A policy whose segment `wards` has these attachments, with the bindings of the pump and the server. Port 0 is an
/// uplink.
fn wards(attach: &str, [pump, server]: [&str; 2], rules: &str) -> Policy {
    let site = format!(
        "site: s
ports:
  p0: {{device: p0, uplink: true}}
  p1: {{device: p1}}
  p2: {{device: p2}}
segments:
  wards: {{attach: [{attach}], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"]}}
zones:
  clinical: {{segments: [wards]}}
"
    );
    let devices = format!(
        "name,mac,ips,segment,port
pump,02:00:00:00:00:01,10.1.0.1 2001:db8:1::1,wards,{pump}
server,02:00:00:00:00:02,10.1.0.2 2001:db8:1::2,wards,{server}
"
    );
    let sources = Sources {
        site,
        policy: Some(format!("rules:\n{rules}")),
        devices: Some(devices),
    };
    from_sources(&sources).expect("the policy is valid").policy
}

/// A datagram with this VLAN tag, or untagged.
fn in_vlan(vlan: Option<u16>, from: (Mac, &str), to: (Mac, &str)) -> Vec<u8> {
    let ip = |text: &str| text.parse::<IpAddr>().expect("the address is valid");
    let datagram = frame::udp((1000, 2000), b"dose");
    let (ether_type, packet) = frame::ip(ip(from.1), ip(to.1), UDP, 64, &datagram);
    frame::ethernet(to.0, from.0, vlan, ether_type, &packet)
}

const PUMP_V4: (Mac, &str) = (PUMP, "10.1.0.1");
const SERVER_V4: (Mac, &str) = (SERVER, "10.1.0.2");

#[test]
fn an_icmp_error_about_a_broadcast_does_not_cross_a_closed_boundary() {
    let rules = "  - {name: announce, from: pump, to: broadcast, service: udp/2000}\n";
    for (group, mac, unspecified) in [
        ("255.255.255.255", [0xff; 6], "0.0.0.0"),
        ("ff02::1", [0x33, 0x33, 0, 0, 0, 1], "::"),
    ] {
        let (pump, outside) = match unspecified {
            "::" => ("2001:db8:1::1", "2001:db8:f::9"),
            _ => ("10.1.0.1", "203.0.113.9"),
        };
        let rules = match unspecified {
            "::" => "  - {name: announce, from: pump, to: any, service: udp/2000}\n",
            _ => rules,
        };
        // The uplink's attachment has the number 0.
        let mut gateway = Gateway::with(&wards("p0, p1.10, p1.20", ["", ""], rules));
        gateway.0.set_posture(Posture::Contain);
        let announced = in_vlan(Some(10), (PUMP, pump), (Mac(mac), group));
        assert!(leaves(&gateway.verdict(1, &announced)), "{group}");
        let ip = |text: &str| text.parse::<IpAddr>().expect("the address is valid");
        for quoted_to in [unspecified, group] {
            let (protocol, kind) = match unspecified {
                "::" => (ICMP6, 1),
                _ => (ICMP, 3),
            };
            let datagram = frame::udp((1000, 2000), b"dose");
            let (_, quoted) = frame::ip(ip(pump), ip(quoted_to), UDP, 64, &datagram);
            let message = frame::icmp(kind, 3, 0, &quoted);
            let (ether_type, packet) = frame::ip(ip(outside), ip(pump), protocol, 64, &message);
            let error = frame::ethernet(PUMP, ROUTER, None, ether_type, &packet);
            let refused = Verdict::Drop(Reason::IcmpError);
            assert_eq!(gateway.verdict(0, &error), refused, "{quoted_to}");
        }
    }
}

#[test]
fn frames_to_a_bound_device_leave_at_its_attachment() {
    let attach = "p0.10, p1.10, p1.20, p2.10";
    let of_server = in_vlan(Some(10), SERVER_V4, PUMP_V4);
    let for_server = in_vlan(Some(10), PUMP_V4, SERVER_V4);
    for (binding, expected) in [
        ("p1", None),
        ("p1.10", Some(location(1, 10, 0))),
        ("p1.20", Some(location(1, 20, 0))),
    ] {
        let mut gateway = Gateway::with(&wards(attach, ["", ""], "  []\n"));
        // Another host used the server's address before the server was bound.
        assert!(leaves(&gateway.verdict(2, &of_server)));
        let bound = wards(attach, ["", binding], "  []\n");
        gateway.0.install(&bound, Posture::Normal);
        let misplaced = Verdict::Drop(Reason::PortBinding);
        assert_eq!(gateway.verdict(2, &of_server), misplaced);
        let from_uplink = gateway.verdict(0, &for_server);
        assert!(!leaves(&from_uplink), "the pump is not at the uplink");
        match (gateway.verdict(2, &for_server), expected) {
            (Verdict::Leaves { at, .. }, Some(expected)) => assert_eq!(at, expected, "{binding}"),
            // To all attachments of that port.
            (Verdict::Flood { .. }, None) => {}
            (other, _) => panic!("{binding}: {other:?}"),
        }
        if binding == "p1.20" {
            let other = in_vlan(Some(20), PUMP_V4, SERVER_V4);
            let same = Verdict::Drop(Reason::SameAttachment);
            assert_eq!(gateway.verdict(1, &other), same);
        }
    }
}

#[test]
fn a_binding_to_a_port_means_its_untagged_attachment_if_there_is_one() {
    let policy = wards("p0.10, p1, p1.10, p2.10", ["p1", "p2"], "  []\n");
    let mut gateway = Gateway::with(&policy);
    for (vlan, expected) in [(None, true), (Some(10), false)] {
        let verdict = gateway.verdict(1, &in_vlan(vlan, PUMP_V4, SERVER_V4));
        assert_eq!(leaves(&verdict), expected, "{vlan:?}: {verdict:?}");
    }
    // Without an untagged attachment, a binding to a port covers all its VLANs.
    let policy = wards("p0.10, p1.20, p1.10, p2.10", ["p1", "p2"], "  []\n");
    let mut gateway = Gateway::with(&policy);
    for vlan in [10, 20] {
        let verdict = gateway.verdict(1, &in_vlan(Some(vlan), PUMP_V4, SERVER_V4));
        assert!(leaves(&verdict), "{vlan}: {verdict:?}");
    }
}
