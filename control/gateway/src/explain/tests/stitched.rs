//! Questions over stitched segments: several VLANs, two tags, proxies.

use cordon_policy::Sources;
use cordon_verdict::abi::location;

use super::*;

const SITE: &str = "\
site: clinic
ports:
  access0: {device: eth1}
  access1: {device: eth2, outer-tag: 802.1q}
  core0: {device: eth3, uplink: true}
segments:
  imaging:
    attach: [access0.301, access0.302, access1.5.303, core0.100.210]
    subnets: [10.21.0.0/24]
    isolate: true
    proxy: true
  stations: {attach: [access0, access1.6.304, core0.230], subnets: [10.23.0.0/24], isolate: true}
zones:
  world: {networks: [0.0.0.0/0]}
";
const RULES: &str = "\
rules:
  - {name: scans, from: ct-1, to: us-1, service: dicom}
  - {name: images, from: us-1, to: ws-1, service: dicom}
  - {name: vendor, from: world, to: us-1, service: ssh}
";
const DEVICES: &str = "\
name,mac,ips,segment,port
ct-1,02:00:5e:21:00:01,10.21.0.11,imaging,
us-1,02:00:5e:21:00:02,10.21.0.12,imaging,access1
ws-1,02:00:5e:23:00:01,10.23.0.11,stations,
";

fn clinic(site: &str) -> ActivePolicy {
    let sources = Sources {
        site: site.to_owned(),
        policy: Some(RULES.to_owned()),
        devices: Some(DEVICES.to_owned()),
    };
    compiled(cordon_policy::from_sources(&sources).expect("is valid"))
}

/// The ingress, and the rule or drop reason at normal.
fn ask(active: &ActivePolicy, from: &str, to: &str, service: &str) -> (String, String) {
    let question = Question {
        from: from.to_owned(),
        to: to.to_owned(),
        service: service.to_owned(),
    };
    let explained = explain_by(active, Posture::Normal, &question).expect("is a question");
    let normal = &explained[0].postures[0];
    let result = normal.rule.as_ref().or(normal.reason.as_ref());
    let result = result.expect("it passes by a rule, or is dropped for a reason");
    (explained[0].ingress.clone(), result.clone())
}

#[test]
fn a_packet_has_the_tags_of_its_ingress() {
    // The packet is addressed to the device, with and without a proxy.
    for site in [SITE, &SITE.replace("proxy: true", "proxy: false")] {
        let active = clinic(site);
        for (from, to, service, ingress, what) in [
            ("ct-1", "us-1", "dicom", "access0.301", "scans"),
            ("us-1", "ct-1", "dicom", "access1.5.303", "no-rule"),
            // To the router with two tags, and back with one.
            ("us-1", "ws-1", "dicom", "access1.5.303", "images"),
            ("ws-1", "us-1", "dicom", "access0", "no-rule"),
            ("198.51.100.7", "us-1", "ssh", "core0.100.210", "vendor"),
        ] {
            let expected = (ingress.to_owned(), what.to_owned());
            assert_eq!(ask(&active, from, to, service), expected, "{from} {to}");
        }
    }
}

#[test]
fn locations_have_the_names_of_the_policy() {
    let active = clinic(SITE);
    for name in [
        "access0",
        "access0.301",
        "access1.5.303",
        "access1.6.304",
        "core0.100.210",
    ] {
        let attachments = active
            .policy
            .segments
            .iter()
            .flat_map(|one| &one.attachments);
        let written = |at: &&cordon_policy::Attachment| active.policy.attachment_name(**at) == name;
        let found = attachments
            .copied()
            .find(|at| written(&at))
            .expect("is attached");
        let location = location(found.port as u16, found.vlan, found.inner);
        assert_eq!(active.attachment_name(location), name);
    }
    // Locations that the policy does not attach have a text too.
    assert_eq!(active.attachment_name(location(1, 7, 8)), "access1.7.8");
    assert_eq!(active.attachment_name(location(9, 7, 8)), "port-9.7.8");
}
