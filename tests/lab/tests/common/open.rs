//! A gateway without its daemon: the XDP program with hand-made tables that allow all traffic, or none.

use cordon_kernel::{Dataplane, Options};
use cordon_lab::Lab;
use cordon_tables::{Generation, Prefix};
use cordon_verdict::Ip;
use cordon_verdict::abi::{
    Admission, Network, POSTURES, PolicyRow, RULE_FIRST, Ruling, attachment,
};

const ANY_CLASS: u16 = 1;
/// The posture that allows no traffic.
pub const CLOSED: u8 = 5;

/// Attaches the program to both ports and allows all traffic in these VLANs.
pub fn open_gateway(lab: &Lab, vlans: &[u16]) -> Dataplane {
    let pins = lab.gateway().pins().join("by-hand");
    let attach = || {
        let (mut dataplane, _) = Dataplane::open(&Options::new(pins)).expect("loads");
        for (port, nic) in ["eth1", "eth2"].into_iter().enumerate() {
            dataplane
                .attach(port as u16, nic)
                .expect("attaches in driver mode");
        }
        dataplane
    };
    let mut dataplane = lab.gateway().node().run(attach).expect("enters");
    dataplane
        .install(&generation(vlans), 10, 0)
        .expect("installs");
    dataplane
}

fn generation(vlans: &[u16]) -> Generation {
    let mut generation = Generation::default();
    for (segment, vlan) in vlans.iter().enumerate() {
        let segment = segment as u16;
        for (port, side) in [(0, Admission::ADMIT_UNKNOWN), (1, Admission::UPLINK)] {
            let admission = Admission {
                segment,
                flags: Admission::IN_USE | side,
                unlisted_class: ANY_CLASS,
                ..Admission::default()
            };
            generation
                .admissions
                .insert(attachment(port, *vlan), admission);
            generation
                .floods
                .insert((segment, port), attachment(port, *vlan));
        }
        // 10.21.0.0/24 is VLAN 210, and so on.
        let prefix = Prefix {
            bits: 96 + 24,
            address: Ip::v4(0x0a00_0000 | u32::from(vlan / 10) << 16),
        };
        generation.add_network(
            prefix,
            Network {
                class: ANY_CLASS,
                segment,
                via_uplink: ANY_CLASS,
                ..Network::default()
            },
        );
    }
    let all = Prefix {
        bits: 0,
        address: Ip::v4(0),
    };
    let elsewhere = Network {
        class: ANY_CLASS,
        segment: Network::NO_SEGMENT,
        ..Network::default()
    };
    generation.add_network(all, elsewhere);
    let mut rulings = [Ruling::allow(RULE_FIRST); POSTURES];
    rulings[usize::from(CLOSED)] = Ruling::NONE;
    generation
        .policy
        .add(ANY_CLASS, ANY_CLASS, 0, PolicyRow { rulings });
    generation
}
