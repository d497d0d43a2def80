//! Manchester Memorial of the examples, with a second device-facing port in some of its segments. All wires end in the
//! test.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, Instant};

use cordon_integration::accounts::{Account, Accounts};
use cordon_integration::steps::quarantine;
use cordon_lab::{Mac, Result};
use cordon_policy::Posture;

use crate::frames::{ARP, BROADCAST, arp, tagged};

/// The NICs of the two device-facing ports, and of the uplink.
pub const ACCESS: &str = "eth1";
pub const OTHER_ACCESS: &str = "eth3";
pub const UPLINK: &str = "eth2";

/// The VLANs of the segments.
pub const IMAGING: u16 = 210;
pub const MONITORS: u16 = 220;
pub const INFUSION: u16 = 225;
pub const STATIONS: u16 = 230;
pub const GUEST: u16 = 299;

/// Listed devices.
pub const MONITOR: Mac = Mac([0x02, 0x00, 0x5e, 0x22, 0x00, 0x11]);
pub const PUMP: Mac = Mac([0x02, 0x00, 0x5e, 0x25, 0x00, 0x11]);
pub const STATION: Mac = Mac([0x02, 0x00, 0x5e, 0x23, 0x00, 0x11]);
/// The router, at the uplink.
pub const ROUTER: Mac = Mac([0x02, 0x00, 0x5e, 0xfe, 0x00, 0x01]);
/// Unlisted hosts.
pub const VISITOR: Mac = Mac([0x02, 0x66, 0x00, 0x00, 0x00, 0x66]);
pub const OTHER_VISITOR: Mac = Mac([0x02, 0x66, 0x00, 0x00, 0x00, 0x77]);

/// An address of an IPv4 network 10.SEGMENT.0.0/24.
pub fn ip(segment: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, segment, 0, host)
}

/// An IP address. It panics if the text is none.
pub fn address<T: std::str::FromStr>(text: &str) -> T {
    let parsed = text.parse().ok();
    parsed.unwrap_or_else(|| panic!("{text} is no address"))
}

/// An address and a port.
pub fn end(ip: impl Into<IpAddr>, port: u16) -> (IpAddr, u16) {
    (ip.into(), port)
}

/// A change of the policy: file, old text, new text.
pub type Change = (&'static str, &'static str, &'static str);

/// A second port that belongs to the guest segment.
pub const SECOND_PORT: [Change; 2] = [
    (
        "site.yaml",
        "  core0: ",
        "  access1: {device: eth3}\n  core0: ",
    ),
    (
        "site.yaml",
        "access0.299, core0.299",
        "access0.299, access1.299, core0.299",
    ),
];

/// Raises the gateway with the changed policy, and lets the router be heard at the uplink in every segment.
pub fn raise(changes: &[Change]) -> Result<Accounts> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../control/policy/examples");
    let directory = tempfile::tempdir().expect("makes a directory");
    for file in ["site.yaml", "policy.yaml", "devices.csv"] {
        let path = examples.join("manchester-memorial").join(file);
        let mut text = fs::read_to_string(path).expect("reads the example");
        for (_, from, to) in changes.iter().filter(|change| change.0 == file) {
            assert!(text.contains(from), "{file} does not contain {from:?}");
            text = text.replace(from, to);
        }
        fs::write(directory.path().join(file), text).expect("writes the policy");
    }
    let accounts = Accounts::open(directory.path(), &[ACCESS, OTHER_ACCESS, UPLINK])?;
    let segments = [
        (IMAGING, 21),
        (MONITORS, 22),
        (INFUSION, 25),
        (STATIONS, 23),
        (GUEST, 29),
    ];
    let announce = |(vlan, net)| {
        let router = (ROUTER, ip(net, 1));
        let packet = arp(2, router, (ROUTER.0, ip(net, 1)), &[0; 18]);
        tagged(BROADCAST, ROUTER, vlan, ARP, &packet)
    };
    let heard = accounts.send(UPLINK, &segments.map(announce))?;
    assert_eq!(heard.passed, segments.len(), "the router is heard: {heard}");
    Ok(accounts)
}

/// Closes the site up to a posture, which is not below the present one.
pub fn close(accounts: &Accounts, posture: Posture) -> Result<()> {
    match posture {
        Posture::Normal => Ok(()),
        posture => quarantine(accounts.gateway(), posture),
    }
}

/// Sends a frame 50 times in five seconds or more. Returns what became of it, and how many may leave if one in two ticks
/// of the gateway's clock does: another frame may have left just before.
pub fn send_slowly(
    accounts: &Accounts,
    nic: &str,
    frame: &[u8],
) -> Result<(Account, RangeInclusive<usize>)> {
    const TICK: u128 = 1 << 30;
    let mut ticks = 0;
    let account = accounts.record(|| {
        let start = Instant::now();
        for _ in 0..50 {
            accounts.transmit(nic, &[frame.to_vec()])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        // It begins and ends within a tick.
        ticks = (start.elapsed().as_nanos() / TICK) as usize + 2;
        Ok(50)
    })?;
    Ok((account, 2..=ticks.div_ceil(2)))
}
