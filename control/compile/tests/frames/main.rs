//! Verdicts on single frames under the example policy, at every posture.

#[path = "../common/mod.rs"]
mod common;
mod sent;

use std::path::Path;

use cordon_compile::{Compiled, compile, rule_index};
use cordon_policy::Posture::{Contain, Isolate, Lockdown, Normal, Sever, Watch};
use cordon_policy::{Policy, Posture, load};
use cordon_portable::Portable;
use cordon_verdict::Egress;
use cordon_verdict::abi::{RULE_ARP, RULE_ND, attachment_port, attachment_vlan};
use sent::Payload::{self, Echo, Tcp, Udp};
use sent::{ACK, BROADCAST, SYN, Sent};

const ACCESS: u16 = 0;
const CORE: u16 = 1;
const ROUTER: &str = "02:00:5e:00:00:01";

struct Gateway {
    policy: Policy,
    portable: Portable,
}

impl Gateway {
    /// The example at posture normal, with its router learned in every segment.
    fn new() -> Gateway {
        let directory =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/examples/manchester-memorial");
        let policy = load(&directory).expect("is valid").policy;
        let Compiled { generation, .. } =
            compile(&policy, common::today()).expect("keeps its invariants");
        let mut portable = Portable::default();
        portable.install(generation, Normal as u8);
        let mut gateway = Gateway { policy, portable };
        for (vlan, net) in [(210, 21), (220, 22), (225, 25), (230, 23), (299, 29)] {
            let router = format!("10.{net}.0.1");
            let hello = Sent {
                port: CORE,
                vlan,
                mac: (ROUTER, BROADCAST),
                ip: (&router, "255.255.255.254"),
                payload: Echo,
            };
            let verdict = gateway.judge(CORE, &hello.arp());
            assert_eq!(verdict, "flood by arp", "{router}");
        }
        gateway
    }

    fn at(mut self, posture: Posture) -> Gateway {
        self.portable.set_posture(posture as u8);
        self
    }

    fn send(&mut self, sent: &Sent) -> String {
        self.judge(sent.port, &sent.bytes())
    }

    /// `PORT by RULE`, or the reason of the drop. Checks the VLAN tag of the frame that leaves.
    fn judge(&mut self, port: u16, frame: &[u8]) -> String {
        let judged = self.portable.judge(port, frame);
        let outcome = judged.outcome;
        let egress = match outcome.verdict {
            Err(reason) => {
                assert_eq!(judged.leaving, []);
                return reason.name().to_owned();
            }
            Ok(egress) => egress,
        };
        let rule = match outcome.rule {
            RULE_ARP => "arp",
            RULE_ND => "nd",
            number => {
                let index = rule_index(number).expect("is no built-in rule");
                &self.policy.rules[index].name
            }
        };
        let uplink = judged.leaving.iter().any(|(port, _)| *port == CORE);
        let egress = match egress {
            Egress::Attachment(attachment) => {
                let [(port, bytes)] = &judged.leaving[..] else {
                    panic!("{} frames leave", judged.leaving.len());
                };
                assert_eq!(*port, attachment_port(attachment));
                assert_eq!(bytes[14..16], attachment_vlan(attachment).to_be_bytes());
                self.policy.ports[usize::from(*port)].name.clone()
            }
            Egress::Flood { inside: true, .. } => {
                assert!(!uplink, "a frame for the inside leaves by the uplink");
                "inside".to_owned()
            }
            Egress::Flood { inside: false, .. } => {
                assert_eq!(uplink, port != CORE);
                "flood".to_owned()
            }
        };
        format!("{egress} by {rule}")
    }
}

const CT: (&str, &str) = ("02:00:5e:21:00:11", "10.21.0.11");
const ULTRASOUND: (&str, &str) = ("02:00:5e:21:00:21", "10.21.0.21");
const MONITOR: (&str, &str) = ("02:00:5e:22:00:11", "10.22.0.11");
const CENTRAL: (&str, &str) = ("02:00:5e:22:00:21", "10.22.0.21");
const PUMP: (&str, &str) = ("02:00:5e:25:00:11", "10.25.0.11");
const PUMP_2: (&str, &str) = ("02:00:5e:25:00:12", "10.25.0.12");
const PUMP_SERVER: (&str, &str) = ("02:00:5e:25:00:21", "10.25.0.21");
const STATION: (&str, &str) = ("02:00:5e:23:00:11", "10.23.0.11");
const STATION_2: (&str, &str) = ("02:00:5e:23:00:12", "10.23.0.12");
const VISITOR: (&str, &str) = ("02:aa:bb:cc:dd:01", "10.29.0.50");

/// From a device to a host beyond the router.
fn out<'a>(vlan: u16, from: (&'a str, &'a str), to: &'a str, payload: Payload) -> Sent<'a> {
    Sent {
        port: ACCESS,
        vlan,
        mac: (from.0, ROUTER),
        ip: (from.1, to),
        payload,
    }
}

/// From a device to a neighbour in its segment.
fn near<'a>(
    vlan: u16,
    from: (&'a str, &'a str),
    to: (&'a str, &'a str),
    payload: Payload,
) -> Sent<'a> {
    Sent {
        port: ACCESS,
        vlan,
        mac: (from.0, to.0),
        ip: (from.1, to.1),
        payload,
    }
}

/// From a host beyond the router to a device.
fn back<'a>(vlan: u16, from: &'a str, to: (&'a str, &'a str), payload: Payload) -> Sent<'a> {
    Sent {
        port: CORE,
        vlan,
        mac: (ROUTER, to.0),
        ip: (from, to.1),
        payload,
    }
}

/// The verdicts, each up to and including a posture.
type Course = &'static [(Posture, &'static str)];

#[test]
fn each_frame_has_the_verdict_of_the_example_at_every_posture() {
    let dicom = Tcp(40000, 11112, SYN);
    let https = Tcp(40000, 443, SYN);
    let cases: &[(&str, Sent, Course)] = &[
        (
            "CT to PACS is on the continuity list",
            out(210, CT, "10.200.4.9", dicom),
            &[(Lockdown, "core0 by ct-to-pacs"), (Sever, "posture")],
        ),
        (
            "ultrasound to PACS is not",
            out(210, ULTRASOUND, "10.200.4.9", dicom),
            &[(Watch, "core0 by ultrasound-to-pacs"), (Sever, "posture")],
        ),
        (
            "a modality to a reading station, between zones",
            out(210, ULTRASOUND, STATION.1, dicom),
            &[
                (Contain, "core0 by ultrasound-to-stations"),
                (Sever, "posture"),
            ],
        ),
        (
            "the same packet from the router, in the segment of the station",
            Sent {
                mac: (ROUTER, STATION.0),
                ..back(230, ULTRASOUND.1, STATION, dicom)
            },
            &[
                (Contain, "inside by ultrasound-to-stations"),
                (Sever, "posture"),
            ],
        ),
        (
            "a monitor to its central station, in one segment",
            near(220, MONITOR, CENTRAL, Udp(24105, 24105)),
            &[
                (Lockdown, "inside by monitors-to-central"),
                (Sever, "posture"),
            ],
        ),
        (
            "a monitor announces itself by broadcast",
            near(220, MONITOR, (BROADCAST, "10.22.0.255"), Udp(24005, 24005)),
            &[(Lockdown, "flood by monitors-announce"), (Sever, "posture")],
        ),
        (
            "a workstation sends a broadcast in its segment",
            near(
                230,
                STATION,
                (BROADCAST, "255.255.255.255"),
                Udp(40000, 40000),
            ),
            &[(Watch, "flood by segment:stations"), (Sever, "posture")],
        ),
        (
            "a workstation to its neighbour",
            near(230, STATION, STATION_2, Tcp(40000, 445, SYN)),
            &[(Isolate, "inside by segment:stations"), (Sever, "posture")],
        ),
        (
            "a pump to its server",
            near(225, PUMP, PUMP_SERVER, Tcp(40000, 3613, SYN)),
            &[(Lockdown, "inside by pumps-to-server"), (Sever, "posture")],
        ),
        (
            "a pump tries SMB at its neighbour",
            near(225, PUMP, PUMP_2, Tcp(40000, 445, SYN)),
            &[(Sever, "no-rule")],
        ),
        (
            "a pump asks for the time",
            out(225, PUMP, "10.200.0.123", Udp(40000, 123)),
            &[
                (Lockdown, "core0 by infrastructure:ntp"),
                (Sever, "posture"),
            ],
        ),
        (
            "a pump asks for a name",
            out(225, PUMP, "10.200.0.53", Udp(40000, 53)),
            &[(Watch, "core0 by infrastructure:dns"), (Sever, "posture")],
        ),
        (
            "a workstation to the records",
            out(230, STATION, "10.200.6.6", https),
            &[(Watch, "core0 by stations-to-records"), (Sever, "posture")],
        ),
        (
            "Rockville to a workstation",
            back(230, "10.31.4.5", STATION, https),
            &[
                (Watch, "inside by rockville-to-stations"),
                (Sever, "posture"),
            ],
        ),
        (
            "vendor support",
            back(210, "192.0.2.7", CT, Tcp(40000, 22, SYN)),
            &[(Normal, "inside by vendor-support"), (Sever, "posture")],
        ),
        (
            "a host of the data centre at the CT",
            back(210, "10.200.9.9", CT, Tcp(40000, 22, SYN)),
            &[(Sever, "no-rule")],
        ),
        (
            "a visitor on the web",
            out(299, VISITOR, "192.0.2.80", https),
            &[(Watch, "core0 by guest-to-world"), (Sever, "posture")],
        ),
        (
            "a visitor at the records",
            out(299, VISITOR, "10.200.6.6", https),
            &[(Sever, "no-rule")],
        ),
        (
            "a visitor with a device's address",
            out(299, (VISITOR.0, CT.1), "10.200.4.9", dicom),
            &[(Sever, "address-binding")],
        ),
        (
            "an unlisted laptop in imaging",
            out(210, (VISITOR.0, "10.21.0.99"), "10.200.4.9", dicom),
            &[(Sever, "unknown-device")],
        ),
        (
            "a pump pings",
            near(225, PUMP, PUMP_SERVER, Echo),
            &[(Sever, "no-rule")],
        ),
        (
            "IPv6 to an address outside every group",
            out(230, (STATION.0, "fe80::11"), "2001:db8::1", https),
            &[(Sever, "no-rule")],
        ),
    ];
    for (what, sent, course) in cases {
        for posture in Posture::ALL {
            let expected = course.iter().find(|(last, _)| posture <= *last);
            let expected = expected.expect("covers sever").1;
            let mut gateway = Gateway::new().at(posture);
            assert_eq!(gateway.send(sent), expected, "{what}, at {posture}");
        }
    }
}

#[test]
fn established_flows_are_judged_again_when_the_posture_changes() {
    let mut gateway = Gateway::new();
    let flows = [
        (CT, "10.200.4.9", "ct-to-pacs"),
        (ULTRASOUND, "10.200.4.9", "ultrasound-to-pacs"),
    ];
    for (device, pacs, rule) in flows {
        let open = out(210, device, pacs, Tcp(40000, 11112, SYN));
        assert_eq!(gateway.send(&open), format!("core0 by {rule}"));
        let answer = back(210, pacs, device, Tcp(11112, 40000, SYN | ACK));
        assert_eq!(gateway.send(&answer), format!("access0 by {rule}"));
    }
    let mut gateway = gateway.at(Contain);
    for (device, pacs, rule) in flows {
        let kept = rule == "ct-to-pacs";
        let verdict = |port: &str| match kept {
            true => format!("{port} by {rule}"),
            false => "posture".to_owned(),
        };
        let more = out(210, device, pacs, Tcp(40000, 11112, ACK));
        assert_eq!(gateway.send(&more), verdict("core0"));
        let answer = back(210, pacs, device, Tcp(11112, 40000, ACK));
        assert_eq!(gateway.send(&answer), verdict("access0"));
    }
    let mut gateway = gateway.at(Normal);
    let more = out(210, ULTRASOUND, "10.200.4.9", Tcp(40000, 11112, ACK));
    assert_eq!(gateway.send(&more), "core0 by ultrasound-to-pacs");
}
