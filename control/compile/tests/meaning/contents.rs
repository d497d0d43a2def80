//! The content of the tables: attachments, devices, addresses and classes.

use cordon_compile::compile;
use cordon_policy::Posture::Normal;
use cordon_verdict::abi::{Admission, CLASS_UNCLASSIFIED, attachment, fdb_key};

use crate::common::{day, policy, today};
use crate::{DEVICES, SITE, tables};

#[test]
fn tables_have_the_attachments_devices_and_addresses_of_segments() {
    let tables = tables("rules: [{name: guest, from: guest, to: world, service: https}]");
    let [imaging, stations, guest] =
        ["imaging", "stations", "guest"].map(|name| tables.number(name));
    let generation = &tables.compiled.generation;
    let admitted = generation.admissions[&attachment(0, 0)];
    assert_eq!(
        (admitted.segment, admitted.flags),
        (
            guest,
            Admission::IN_USE | Admission::ADMIT_UNKNOWN | Admission::ALONE
        )
    );
    assert_eq!(
        tables.decision("unlisted guest", "8.8.8.8", "https", Normal),
        "allow guest"
    );
    let admitted = generation.admissions[&attachment(1, 210)];
    assert_eq!(
        (admitted.segment, admitted.flags),
        (imaging, Admission::IN_USE | Admission::UPLINK)
    );
    assert_eq!(generation.admissions.len(), 8);
    assert_eq!(generation.floods[&(guest, 0)], attachment(0, 0));
    assert_eq!(generation.floods[&(guest, 1)], attachment(1, 299));
    assert_eq!(generation.floods.len(), 8);

    let us = generation.devices[&fdb_key(imaging, 0x0200_5e21_0021)];
    assert!(us.is(cordon_verdict::abi::Device::ANY_ADDRESS));
    let ct = generation.devices[&fdb_key(imaging, 0x0200_5e21_0011)];
    assert_eq!((ct.word, ct.bound_to), (0, 0));
    let station = generation.devices[&fdb_key(stations, 0x0200_5e23_0011)];
    let address = generation.addresses[&cordon_verdict::Ip::v4(0x0a17_000b)];
    assert_eq!(
        (address.device, address.segment, address.class),
        (station.id(), stations, station.class)
    );
    assert_eq!(generation.addresses.len(), 5);
}

#[test]
fn ends_that_no_rule_distinguishes_share_a_class() {
    let tables = tables("rules: [{name: all, from: clinical, to: world, service: https}]");
    assert_eq!(tables.class("ct-1"), tables.class("us-1"));
    assert_eq!(tables.class("ct-1"), tables.class("monitor-1"));
    assert_ne!(tables.class("ct-1"), tables.class("station-1"));
    assert_eq!(tables.class("8.8.8.8"), tables.class("::8"));
    assert_eq!(tables.class("10.200.0.1"), CLASS_UNCLASSIFIED);
}

#[test]
fn the_same_policy_on_the_same_day_gives_the_same_tables() {
    let rules = "rules:
  - {name: a, from: clinical, to: world, service: [dicom, tcp/1-1000]}
  - {name: b, from: any, to: any, service: active-directory}
  - {name: c, from: ct-1, to: any, service: any, expires: 2026-01-01}";
    let policy = policy(SITE, rules, DEVICES);
    let compiled = |day| compile(&policy, day).expect("is right").generation;
    assert!(compiled(today()) == compiled(today()));
    assert!(compiled(day("2025-12-31")) != compiled(today()));
}
