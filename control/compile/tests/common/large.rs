//! The policy of a large hospital.

use std::fmt::Write as _;

pub const SEGMENTS: usize = 250;
pub const PROFILES: usize = 60;

/// The files of a hospital: segments of 400 devices with three profiles, in zones by department. Most rules name a device.
/// `site` continues a `site.yaml` that has its name and ports.
pub struct Large {
    pub site: String,
    pub policy: String,
    /// Lines of `devices.csv` below its header `name,mac,ips,segment,profile`.
    pub devices: String,
}

pub fn large(devices: usize, rules: usize, no_smb_to: &str) -> Large {
    let mut site = "segments:\n".to_owned();
    for index in 0..SEGMENTS {
        let isolate = index % 10 != 0;
        writeln!(
            site,
            "  s{index}: {{attach: [access0.{v}, core0.{v}], subnets: [10.{}.{}.0/23], isolate: {isolate}}}",
            index / 100,
            index % 100 * 2,
            v = index + 1
        )
        .expect("a string takes it");
    }
    site += "zones:\n";
    for zone in 0..25 {
        let members: Vec<String> = (zone * 10..zone * 10 + 10)
            .map(|s| format!("s{s}"))
            .collect();
        writeln!(site, "  z{zone}: {{segments: [{}]}}", members.join(", ")).expect("a string");
    }
    site +=
        "  data-centre: {networks: [10.200.0.0/14]}\n  world: {networks: [0.0.0.0/0, '::/0']}\n";
    site += "infrastructure: {dhcp: [10.200.0.5], dns: [10.200.0.53], ntp: [10.200.0.123]}\n";

    let mut text = "groups:\n".to_owned();
    for group in 0..PROFILES {
        writeln!(text, "  p{group}: {{profile: profile-{group}}}").expect("a string");
    }
    for group in 0..200 {
        writeln!(text, "  n{group}: {{networks: [10.201.{group}.0/24]}}").expect("a string");
    }
    text += "rules:\n";
    writeln!(
        text,
        "  - {{name: no-smb, from: any, to: {no_smb_to}, service: smb, action: deny}}"
    )
    .expect("a string");
    let services = [
        "dicom",
        "hl7",
        "https",
        "tcp/5000-6000",
        "ssh",
        "sip",
        "ldap",
    ];
    for rule in 1..rules {
        // Few rules between zones, many between single devices and networks.
        let (from, to) = match rule % 5 {
            0 if rule < 100 => (format!("p{}", rule % PROFILES), format!("z{}", rule % 25)),
            1 if rule < 100 => (format!("z{}", rule % 25), "data-centre".to_owned()),
            0 | 1 => (
                format!("d{}", rule * 11 % devices),
                format!("n{}", rule % 200),
            ),
            2 => (
                format!("n{}", rule % 200),
                format!("d{}", rule * 7 % devices),
            ),
            3 => (format!("s{}", rule % SEGMENTS), format!("n{}", rule % 200)),
            _ => (
                format!("p{}", rule % PROFILES),
                format!("n{}", rule * 3 % 200),
            ),
        };
        let service = match rule % 3 {
            0 => format!("tcp/{}", 7000 + rule),
            _ => services[rule % services.len()].to_owned(),
        };
        writeln!(
            text,
            "  - {{name: r{rule}, from: {from}, to: {to}, service: {service}}}"
        )
        .expect("a string");
    }
    text += "invariants:\n";
    for zone in 0..25 {
        writeln!(
            text,
            "  - {{from: world, to: z{zone}, at: contain, expect: deny}}"
        )
        .expect("a string");
        writeln!(
            text,
            "  - {{from: [world, data-centre], to: z{zone}, service: tcp/23, expect: deny}}"
        )
        .expect("a string");
    }

    let mut listed = String::new();
    for number in 0..devices {
        let segment = number % SEGMENTS;
        let profile = (segment * 3 + number / SEGMENTS % 3) % PROFILES;
        listed += &device(number, segment, profile);
    }
    Large {
        site,
        policy: text,
        devices: listed,
    }
}

/// The line of a device.
pub fn device(number: usize, segment: usize, profile: usize) -> String {
    let host = number / SEGMENTS + 1;
    format!(
        "d{number},02:00:5e:{:02x}:{:02x}:{:02x},10.{}.{}.{},s{segment},profile-{profile}\n",
        number >> 16,
        number >> 8 & 0xff,
        number & 0xff,
        segment / 100,
        segment % 100 * 2 + host / 256,
        host % 256,
    )
}
