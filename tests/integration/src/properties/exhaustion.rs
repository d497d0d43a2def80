//! Exhausted limits: a host with many false MAC addresses uses up what a port lets pass in a tick.

use std::net::Ipv4Addr;

use cordon_policy::{Attachment, Mac, Posture, Sources};

use super::host::Host;
use super::site::Site;
use super::traffic::framed;
use crate::generate::frame::{self, BROADCAST};

/// What was left to a listed device after an attack.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// Group frames of the attacker that passed.
    pub attacked: usize,
    /// Group frames of the listed device that passed after that, in the same tick.
    pub passed: usize,
}

fn site(ports: &str, attach: &str) -> Site {
    Site::new(Sources {
        site: format!(
            "site: exhausted\nports:\n{ports}segments:\n  ward: {{attach: [{attach}, core.10], \
             subnets: [10.1.0.0/24], unknown: admit}}\n"
        ),
        policy: Some("rules: []\n".to_owned()),
        devices: Some(
            "name,mac,ips,segment,profile,port\npump,02:00:00:00:01:01,10.1.0.10,ward,,\n"
                .to_owned(),
        ),
    })
}

fn host(mac: [u8; 6], listed: bool) -> Host {
    Host {
        mac: Mac(mac),
        ips: Vec::new(),
        at: Attachment {
            port: 0,
            vlan: 10,
            inner: 0,
        },
        segment: 0,
        listed,
        remote: false,
    }
}

/// Whether an ARP request of a host passes.
fn asks(site: &mut Site, host: &Host, ip: Ipv4Addr) -> bool {
    let target = Ipv4Addr::new(10, 1, 0, 99);
    let packet = frame::arp(1, (host.mac, ip), (Mac([0; 6]), target));
    let (port, frame) = framed(site, host, BROADCAST, (0x0806, packet));
    !site.judge(port, &frame).leaving.is_empty()
}

/// Sends as many frames as `frames` from each of 60 unlisted MAC addresses, then those of the listed device.
fn attack(site: &mut Site, posture: Posture, frames: usize) -> Left {
    site.reset(posture);
    let mut attacked = 0;
    for _ in 0..frames {
        for number in 0..60 {
            let false_host = host([2, 0, 0, 0, 9, number], false);
            let ip = Ipv4Addr::new(10, 1, 0, 100 + number);
            attacked += usize::from(asks(site, &false_host, ip));
        }
    }
    let pump = host([2, 0, 0, 0, 1, 1], true);
    let own = Ipv4Addr::new(10, 1, 0, 10);
    let passed = (0..frames).filter(|_| asks(site, &pump, own)).count();
    Left { attacked, passed }
}

/// The storm limit of a port, of which one host may use a quarter.
pub const STORM: usize = 40;

/// Uses up the storm limit of a port.
pub fn storm(posture: Posture) -> Left {
    let ports = format!(
        "  access: {{device: p0, storm: {STORM}}}\n  access2: {{device: p1}}\n  \
         core: {{device: p2, uplink: true}}\n"
    );
    attack(&mut site(&ports, "access.10, access2.10"), posture, 100)
}

/// Attachments of the segment in [`copies`]: as many copies has each flooded frame.
pub const ATTACHMENTS: usize = 1001;

/// Uses up the copies of a port, without a storm limit.
pub fn copies(posture: Posture) -> Left {
    let ports = "  access: {device: p0, storm: 0}\n  core: {device: p2, uplink: true}\n";
    let vlans = (10..1010).map(|vlan| format!("access.{vlan}"));
    let attach = vlans.collect::<Vec<_>>().join(", ");
    attack(&mut site(ports, &attach), posture, 20)
}
