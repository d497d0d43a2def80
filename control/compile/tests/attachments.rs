//! The tables of attachments: one and two tags, several VLANs of a port, proxies, and settings of ports.

mod common;

use std::collections::BTreeMap;

use common::{Tables, ip, policy, today};
use cordon_compile::compile;
use cordon_verdict::abi::{
    Admission, NO_ATTACHMENT, PortSetting, STACKED, STACKS, attachment, location,
};

const SITE: &str = "
segments:
  plain:    {attach: [access0.10, core0.10], subnets: [10.10.0.0/24]}
  nested:   {attach: [core0.100.20, access0.20], subnets: [10.20.0.0/24], unknown: admit}
  stitched: {attach: [core0.100.30, access0.302, access0.301, access0.100.30, core0.100], subnets: [10.30.0.0/24]}
  proxied:  {attach: [access0.40, core0], subnets: [10.40.0.0/24, '2001:db8:40::/64'], proxy: true}
";
const DEVICES: &str = "\
plain-1,02:00:5e:10:00:01,10.10.0.11,plain,
proxied-1,02:00:5e:40:00:01,10.40.0.11 2001:db8:40::11,proxied,
proxied-2,02:00:5e:40:00:02,10.40.0.12,proxied,
proxied-3,02:00:5e:40:00:03,,proxied,
";
const ACCESS: u16 = 0;
const CORE: u16 = 1;

/// In ascending order of port and tags, independent of the segment.
const ACCESS_100_30: u16 = STACKED;
const CORE_100_20: u16 = STACKED + 1;
const CORE_100_30: u16 = STACKED + 2;

#[test]
fn double_tagged_attachments_are_numbered_by_port_and_tags() {
    let generation = Tables::of(SITE, "", DEVICES).compiled.generation;
    let expected = [
        (location(ACCESS, 100, 30), ACCESS_100_30),
        (location(CORE, 100, 20), CORE_100_20),
        (location(CORE, 100, 30), CORE_100_30),
    ];
    assert!(generation.stacks.into_iter().eq(expected));
}

#[test]
fn every_attachment_has_an_admission_to_its_segment() {
    let tables = Tables::of(SITE, "", DEVICES);
    let [plain, nested, stitched, proxied] =
        ["plain", "nested", "stitched", "proxied"].map(|name| tables.number(name));
    let generation = &tables.compiled.generation;
    let (in_use, uplink) = (Admission::IN_USE, Admission::UPLINK);
    let unknown = Admission::ADMIT_UNKNOWN;
    let alone = Admission::ALONE;
    let (copies, proxy) = (Admission::COPIES, Admission::COPIES | Admission::PROXY);
    let expected = [
        (attachment(ACCESS, 10), plain, in_use | alone, 0),
        (attachment(CORE, 10), plain, in_use | uplink, 0),
        (attachment(ACCESS, 20), nested, in_use | unknown | alone, 0),
        (CORE_100_20, nested, in_use | unknown | uplink, 0),
        (attachment(ACCESS, 301), stitched, in_use | copies, 5),
        (attachment(ACCESS, 302), stitched, in_use | copies, 5),
        (ACCESS_100_30, stitched, in_use | copies, 5),
        (attachment(CORE, 100), stitched, in_use | copies | uplink, 5),
        (CORE_100_30, stitched, in_use | copies | uplink, 5),
        (attachment(ACCESS, 40), proxied, in_use | proxy | alone, 2),
        (attachment(CORE, 0), proxied, in_use | proxy | uplink, 2),
    ];
    assert_eq!(generation.admissions.len(), expected.len());
    for (number, segment, flags, count) in expected {
        let admission = generation.admissions[&number];
        assert_eq!(
            (admission.segment, admission.flags, admission.copies),
            (segment, flags, count),
            "{number:#x}"
        );
    }
}

#[test]
fn a_segment_floods_by_port_or_by_a_list_of_copies() {
    let tables = Tables::of(SITE, "", DEVICES);
    let [plain, nested, stitched, proxied] =
        ["plain", "nested", "stitched", "proxied"].map(|name| tables.number(name));
    let generation = tables.compiled.generation;
    let by_port = BTreeMap::from([
        ((plain, ACCESS), attachment(ACCESS, 10)),
        ((plain, CORE), attachment(CORE, 10)),
        ((nested, ACCESS), attachment(ACCESS, 20)),
        ((nested, CORE), CORE_100_20),
    ]);
    assert_eq!(generation.floods, by_port);
    let one_by_one = BTreeMap::from([
        (
            stitched,
            vec![
                ACCESS_100_30,
                attachment(ACCESS, 301),
                attachment(ACCESS, 302),
                attachment(CORE, 100),
                CORE_100_30,
            ],
        ),
        (proxied, vec![attachment(ACCESS, 40), attachment(CORE, 0)]),
    ]);
    assert_eq!(generation.copies, one_by_one);
}

#[test]
fn the_proxy_table_has_the_mac_address_of_each_bound_address() {
    let tables = Tables::of(SITE, "", DEVICES);
    let proxied = tables.number("proxied");
    let generation = tables.compiled.generation;
    let mut found: Vec<_> = generation.proxies.into_iter().collect();
    found.sort_by_key(|((segment, ip), _)| (*segment, ip.hi, ip.lo));
    let at = |text: &str| (proxied, ip(text.parse().expect("an address")));
    let expected = [
        (at("10.40.0.11"), 0x0200_5e40_0001),
        (at("10.40.0.12"), 0x0200_5e40_0002),
        (at("2001:db8:40::11"), 0x0200_5e40_0001),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_settings_of_a_port_include_its_outer_tag() {
    let settings = |outer: &str| {
        let site = format!(
            "site: t\nports: {{a: {{device: a, pass: [lldp]}}, b: {{device: b{outer}}}}}\nsegments: {{s: {{attach: [a.1, b.1.2]}}}}\n"
        );
        let sources = cordon_policy::Sources {
            site,
            ..Default::default()
        };
        let policy = cordon_policy::from_sources(&sources)
            .expect("is valid")
            .policy;
        let generation = compile(&policy, today()).expect("compiles").generation;
        generation
            .ports
            .values()
            .map(|port| port.link_control)
            .collect::<Vec<_>>()
    };
    assert_eq!(settings(""), [PortSetting::LLDP, 0]);
    assert_eq!(settings(", outer-tag: 802.1ad"), [PortSetting::LLDP, 0]);
    assert_eq!(
        settings(", outer-tag: 802.1q"),
        [PortSetting::LLDP, PortSetting::OUTER_8021Q]
    );
}

#[test]
fn every_number_of_a_double_tagged_attachment_can_be_used() {
    use std::fmt::Write as _;
    let mut site = "segments:\n".to_owned();
    for at in 0..STACKS {
        writeln!(
            site,
            "  s{at}: {{attach: [access0.{}.{}]}}",
            1 + at % 7,
            1 + at / 7
        )
        .expect("a string takes it");
    }
    let policy = policy(&site, "", "");
    let generation = compile(&policy, today()).expect("compiles").generation;
    assert_eq!(generation.stacks.len(), STACKS);
    assert_eq!(
        generation
            .admissions
            .last_key_value()
            .map(|(number, _)| *number),
        Some(NO_ATTACHMENT - 1)
    );
    // Every number belongs to the segment that has the attachment.
    for (key, number) in &generation.stacks {
        let (outer, inner) = (key >> 12 & 0xfff, key & 0xfff);
        let segment = (inner - 1) * 7 + outer - 1;
        let segment = &policy.segments[segment as usize];
        assert_eq!(generation.admissions[number].segment, segment.number);
    }
}
