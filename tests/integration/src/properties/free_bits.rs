//! How much data a host can send out of the site in frames that are not made for that: the bits that it can choose in each
//! kind of frame, times the frames that may pass in a tick.

use std::fmt::Write;
use std::net::IpAddr;

use cordon_policy::{Attachment, Mac, Posture, Sources};
use cordon_verdict::abi::RULE_FIRST;

use super::host::{Host, ROUTER};
use super::kinds::{BUILT_IN, LINK_CONTROL, Near, RULED, frame_of};
use super::repair::repair;
use super::site::Site;
use super::traffic::framed;
use crate::generate::frame;

/// Frames sent in a tick to find how many may pass. As many as this count as unlimited.
const MANY: usize = 600;
/// Ticks over which frames are counted: some pass in every other tick only.
const TICKS: usize = 4;
/// A tick in seconds: 2^30 ns.
const TICK: f64 = 1.073_741_824;

/// A kind of sender.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Its name in the table.
    pub name: &'static str,
    /// Whether it is a listed device.
    pub listed: bool,
    host: Host,
    near: Near,
}

/// What a kind of frame carries at a posture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Bits that its sender can choose in a frame.
    pub bits: usize,
    /// Frames that pass in [`TICKS`]; `MANY` in each of them if there is no limit below that.
    pub frames: usize,
    /// The rule by which it passes.
    pub rule: u32,
}

/// The table and the sums.
pub struct Measured {
    /// As text: a line for each sender and kind, a column for each posture.
    pub table: String,
    /// By sender and posture: bits a second over all kinds, without link control and the continuity list.
    pub sums: Vec<(Sender, Posture, f64)>,
}

const SITE: &str = "\
site: measured
ports:
  access: {device: p0, storm: 400, pass: [stp, lacp, eapol, lldp, ptp]}
  access2: {device: p1, storm: 400}
  core: {device: p2, uplink: true, storm: 400, pass: [stp, lacp, eapol, lldp, ptp]}
segments:
  ward: {attach: [access.10, access2.10, core.10], subnets: [10.1.0.0/24, '2001:db8:1::/64'], routers: [10.1.0.1, '2001:db8:1::1', 'fe80::1'], ether-types: [0x8892]}
  guests: {attach: [access.20, access2.20, core.20], subnets: [10.2.0.0/24, '2001:db8:2::/64'], unknown: admit, routers: [10.2.0.1, '2001:db8:2::1', 'fe80::2'], ether-types: [0x8892]}
zones:
  clinical: {segments: [ward]}
  public: {segments: [guests]}
  world: {networks: [0.0.0.0/0, '::/0']}
  groups: {networks: [239.0.0.0/8, 'ff05::/16']}
infrastructure:
  dhcp: [10.9.0.5]
";

const POLICY: &str = "\
rules:
  - {name: out, from: [clinical, public], to: [world, groups, broadcast], service: [tcp/443, udp/123, udp/5000, sctp/1, icmp]}
  - {name: images, from: [clinical, public], to: [world], service: [tcp/104, udp/514], survives: lockdown, owner: radiology, reason: care}
";

const DEVICES: &str = "\
name,mac,ips,segment,profile,port
pump,02:00:00:00:01:01,10.1.0.10 2001:db8:1::10,ward,,access
monitor,02:00:00:00:01:02,10.1.0.11 2001:db8:1::11,ward,,access2
roaming,02:00:00:00:02:01,,guests,,
";

fn site() -> Site {
    Site::new(Sources {
        site: SITE.to_owned(),
        policy: Some(POLICY.to_owned()),
        devices: Some(DEVICES.to_owned()),
    })
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("the address is valid")
}

fn senders() -> Vec<Sender> {
    let sender = |name, listed, mac, segment: usize, ips: [&str; 4]| {
        let number = segment as u16 + 1;
        let v6 = |text: String| text.parse().expect("the address is valid");
        Sender {
            name,
            listed,
            host: Host {
                mac,
                ips: ips.map(ip).to_vec(),
                at: Attachment {
                    port: 0,
                    vlan: 10 * number,
                    inner: 0,
                },
                segment,
                listed,
                remote: false,
            },
            near: Near {
                v4: [10, number as u8, 0, 1].into(),
                v6: v6(format!("2001:db8:{number}::1")),
                local: v6(format!("fe80::{number}")),
                free4: [10, number as u8, 0, 77].into(),
            },
        }
    };
    vec![
        sender(
            "listed",
            true,
            Mac([2, 0, 0, 0, 1, 1]),
            0,
            [
                "10.1.0.10",
                "2001:db8:1::10",
                "fe80::ff:fe00:101",
                "169.254.1.1",
            ],
        ),
        sender(
            "listed-any",
            true,
            Mac([2, 0, 0, 0, 2, 1]),
            1,
            [
                "10.2.0.10",
                "2001:db8:2::10",
                "fe80::ff:fe00:201",
                "169.254.2.1",
            ],
        ),
        sender(
            "unlisted",
            false,
            Mac([2, 0, 0, 0, 3, 1]),
            1,
            [
                "10.2.0.50",
                "2001:db8:2::50",
                "fe80::ff:fe00:301",
                "169.254.3.1",
            ],
        ),
    ]
}

/// Measures every kind of frame.
pub fn measure() -> Measured {
    let mut site = site();
    let mut table = "# Free bits of a frame x frames a tick that leave by an uplink: see src/properties/free_bits.rs. \
                     `-`: none leaves; `any`: no limit below "
        .to_owned();
    writeln!(table, "{MANY}; `c`: by a rule of the continuity list.").expect("writing succeeds");
    write!(table, "{:<12}{:<30}", "sender", "kind").expect("writing succeeds");
    for posture in Posture::ALL {
        write!(table, "{:>12}", posture.name()).expect("writing succeeds");
    }
    table.push('\n');
    let mut sums = Vec::new();
    for sender in senders() {
        let kinds = BUILT_IN.iter().chain(&RULED);
        let mut cells = Vec::new();
        for kind in kinds {
            let row = Posture::ALL.map(|posture| cell(&mut site, posture, &sender, kind));
            table += &line(sender.name, kind, &row);
            cells.push((*kind, row));
        }
        for posture in Posture::ALL {
            let sum = sum(&mut site, posture, &sender, &cells);
            sums.push((sender.clone(), posture, sum));
        }
    }
    let listed = &senders()[0];
    for kind in LINK_CONTROL {
        let row = Posture::ALL.map(|posture| cell(&mut site, posture, listed, kind));
        table += &line("any", kind, &row);
    }
    table += "\n# Bits a second of a sender, over all kinds without link control and the continuity list\n";
    for sender in senders() {
        write!(table, "{:<42}", sender.name).expect("writing succeeds");
        for (_, _, sum) in sums.iter().filter(|(of, ..)| of.name == sender.name) {
            write!(table, "{sum:>12.1}").expect("writing succeeds");
        }
        table.push('\n');
    }
    Measured { table, sums }
}

fn line(sender: &str, kind: &str, row: &[Cell]) -> String {
    let mut out = format!("{sender:<12}{kind:<30}");
    for cell in row {
        let frames = match cell.frames {
            frames if frames == MANY * TICKS => "any".to_owned(),
            frames => (frames as f64 / TICKS as f64).to_string(),
        };
        let continuity = match is_continuity(cell.rule) {
            true => "c",
            false => "",
        };
        let text = match cell.frames {
            0 => "-".to_owned(),
            _ => format!("{}x{frames}{continuity}", cell.bits),
        };
        write!(out, "{text:>12}").expect("writing succeeds");
    }
    out.push('\n');
    out
}

/// The second written rule.
fn is_continuity(rule: u32) -> bool {
    rule == RULE_FIRST + 1
}

/// The state before a frame: the routers are known.
fn prepare(site: &mut Site, posture: Posture) {
    site.reset(posture);
    for segment in 0..2u8 {
        let router = Host {
            mac: ROUTER,
            ips: Vec::new(),
            at: Attachment {
                port: 2,
                vlan: 10 * (u16::from(segment) + 1),
                inner: 0,
            },
            segment: segment.into(),
            listed: false,
            remote: true,
        };
        let sender = (ROUTER, [10, segment + 1, 0, 1].into());
        let packet = frame::arp(1, sender, (Mac([0; 6]), [10, segment + 1, 0, 99].into()));
        let (port, frame) = framed(site, &router, frame::BROADCAST, (0x0806, packet));
        site.judge(port, &frame);
    }
}

/// As [`prepare`], and the sender is in the FDB: a host is not limited before.
fn prepare_known(site: &mut Site, posture: Posture, sender: &Sender) {
    prepare(site, posture);
    let (port, frame) = frame_of("arp-reply", site, &sender.host, sender.near);
    site.judge(port, &frame);
    site.pass_time(TICKS as u32);
}

/// What leaves by the uplink, and the rule.
fn leaves(site: &mut Site, port: u16, frame: &[u8]) -> (Vec<(u16, Vec<u8>)>, u32) {
    let judged = site.judge(port, frame);
    (site.crossing(&judged), judged.outcome.rule)
}

fn cell(site: &mut Site, posture: Posture, sender: &Sender, kind: &str) -> Cell {
    let (port, base) = frame_of(kind, site, &sender.host, sender.near);
    prepare(site, posture);
    let (left, rule) = leaves(site, port, &base);
    if left.is_empty() {
        return Cell::default();
    }
    let mut fresh = |frame: &[u8]| {
        prepare(site, posture);
        leaves(site, port, frame)
    };
    let mut bits = 0;
    for bit in 0..base.len() * 8 {
        let mut changed = base.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        repair(&mut changed);
        let (now, by) = fresh(&changed);
        bits += usize::from(!now.is_empty() && by == rule && now != left);
    }
    // The length of the padding says something, too.
    let mut lengths = Vec::new();
    for padding in 0..64 {
        let longer = [&base[..], &vec![0; padding]].concat();
        let (now, _) = fresh(&longer);
        lengths.extend(now.first().map(|(_, frame)| frame.len()));
    }
    lengths.sort_unstable();
    lengths.dedup();
    bits += lengths.len().next_power_of_two().ilog2() as usize;
    prepare_known(site, posture, sender);
    let mut frames = 0;
    for _ in 0..TICKS {
        frames += (0..MANY)
            .filter(|_| !leaves(site, port, &base).0.is_empty())
            .count();
        site.pass_time(1);
    }
    Cell { bits, frames, rule }
}

/// The bits that a sender can send out in a second: in each tick it sends frames of all kinds, those with the most bits
/// first.
fn sum(
    site: &mut Site,
    posture: Posture,
    sender: &Sender,
    cells: &[(&'static str, [Cell; 6])],
) -> f64 {
    let mut open: Vec<(&str, Cell)> = cells
        .iter()
        .map(|(kind, row)| (*kind, row[posture as usize]))
        .filter(|(_, cell)| cell.frames > 0 && !is_continuity(cell.rule))
        .collect();
    open.sort_by_key(|(_, cell)| std::cmp::Reverse(cell.bits));
    prepare_known(site, posture, sender);
    let mut total = 0;
    for _ in 0..TICKS {
        for (kind, cell) in &open {
            let (port, frame) = frame_of(kind, site, &sender.host, sender.near);
            for _ in 0..MANY {
                if !leaves(site, port, &frame).0.is_empty() {
                    total += cell.bits;
                }
            }
        }
        site.pass_time(1);
    }
    total as f64 / TICK / TICKS as f64
}
