//! Where segments are attached, as the tables have it: one tag and two, several VLANs of a port, proxies, ports.

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

/// In the order of their places, whatever the segment.
const ACCESS_100_30: u16 = STACKED;
const CORE_100_20: u16 = STACKED + 1;
const CORE_100_30: u16 = STACKED + 2;

#[test]
fn two_tags_are_numbered_in_the_order_of_their_places() {
    let generation = Tables::of(SITE, "", DEVICES).compiled.generation;
    let expected = [
        (location(ACCESS, 100, 30), ACCESS_100_30),
        (location(CORE, 100, 20), CORE_100_20),
        (location(CORE, 100, 30), CORE_100_30),
    ];
    assert!(generation.stacks.into_iter().eq(expected));
}

#[test]
fn every_attachment_is_admitted_to_its_segment() {
    let tables = Tables::of(SITE, "", DEVICES);
    let [plain, nested, stitched, proxied] =
        ["plain", "nested", "stitched", "proxied"].map(|name| tables.number(name));
    let generation = &tables.compiled.generation;
    let (in_use, uplink) = (Admission::IN_USE, Admission::UPLINK);
    let unknown = Admission::ADMIT_UNKNOWN;
    let (copies, proxy) = (Admission::COPIES, Admission::COPIES | Admission::PROXY);
    let expected = [
        (attachment(ACCESS, 10), plain, in_use, 0),
        (attachment(CORE, 10), plain, in_use | uplink, 0),
        (attachment(ACCESS, 20), nested, in_use | unknown, 0),
        (CORE_100_20, nested, in_use | unknown | uplink, 0),
        (attachment(ACCESS, 301), stitched, in_use | copies, 5),
        (attachment(ACCESS, 302), stitched, in_use | copies, 5),
        (ACCESS_100_30, stitched, in_use | copies, 5),
        (attachment(CORE, 100), stitched, in_use | copies | uplink, 5),
        (CORE_100_30, stitched, in_use | copies | uplink, 5),
        (attachment(ACCESS, 40), proxied, in_use | proxy, 2),
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
fn a_flood_goes_by_ports_or_is_copied_one_by_one() {
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
fn a_proxy_knows_the_devices_of_its_segment_by_their_addresses() {
    let tables = Tables::of(SITE, "", DEVICES);
    let proxied = tables.number("proxied");
    let generation = tables.compiled.generation;
    let mut known: Vec<_> = generation.proxies.into_iter().collect();
    known.sort_by_key(|((segment, ip), _)| (*segment, ip.hi, ip.lo));
    let at = |text: &str| (proxied, ip(text.parse().expect("an address")));
    let expected = [
        (at("10.40.0.11"), 0x0200_5e40_0001),
        (at("10.40.0.12"), 0x0200_5e40_0002),
        (at("2001:db8:40::11"), 0x0200_5e40_0001),
    ];
    assert_eq!(known, expected);
}

#[test]
fn a_port_is_set_for_its_outer_tag() {
    let settings = |outer: &str| {
        let site = format!(
            "site: t\nports: {{a: {{device: a, pass: [lldp]}}, b: {{device: b{outer}}}}}\nsegments: {{s: {{attach: [a.1, b.1.2]}}}}\n"
        );
        let sources = cordon_policy::Sources {
            site,
            ..Default::default()
        };
        let policy = cordon_policy::from_sources(&sources)
            .expect("is right")
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
fn as_many_two_tags_as_there_are_numbers() {
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
    // Every one leads to the segment that it is attached to.
    for (place, number) in &generation.stacks {
        let (outer, inner) = (place >> 12 & 0xfff, place & 0xfff);
        let segment = (inner - 1) * 7 + outer - 1;
        let segment = &policy.segments[segment as usize];
        assert_eq!(generation.admissions[number].segment, segment.number);
    }
}
