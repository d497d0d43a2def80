//! Questions over the policy of the example site.

use std::sync::Arc;

use cordon_policy::Validated;

use super::*;
use crate::clock;

mod stitched;

/// Compiles a policy for today.
fn compiled(validated: Validated) -> ActivePolicy {
    let day = clock::date(std::time::SystemTime::now());
    let compiled = cordon_compile::compile(&validated.policy, day).expect("compiles");
    ActivePolicy::new(Arc::new(validated.policy), "hash".to_owned(), day, compiled)
}

const EXAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../policy/examples/manchester-memorial"
);

fn example() -> ActivePolicy {
    compiled(cordon_policy::load(EXAMPLE.as_ref()).expect("the example is valid"))
}

/// The example with a change of its `site.yaml`.
fn example_with(from: &str, to: &str) -> ActivePolicy {
    let read = |name: &str| {
        std::fs::read_to_string(format!("{EXAMPLE}/{name}")).expect("the example is read")
    };
    let sources = cordon_policy::Sources {
        site: read("site.yaml").replacen(from, to, 1),
        policy: Some(read("policy.yaml")),
        devices: Some(read("devices.csv")),
    };
    compiled(cordon_policy::from_sources(&sources).expect("is valid"))
}

fn ask(active: &ActivePolicy, from: &str, to: &str, service: &str) -> Vec<Explanation> {
    let question = Question {
        from: from.to_owned(),
        to: to.to_owned(),
        service: service.to_owned(),
    };
    explain_by(active, Posture::Normal, &question)
        .unwrap_or_else(|refusal| panic!("{from} {to} {service}: {refusal}"))
}

/// The last posture at which the packet passes; none if it never does.
fn up_to(explanation: &Explanation) -> Option<&str> {
    let passes = explanation.postures.iter().take_while(|at| at.allowed);
    let last = passes.last().map(|at| at.posture.as_str());
    let open = explanation.postures.iter().filter(|at| at.allowed).count();
    let until = explanation.postures.iter().position(|at| !at.allowed);
    assert_eq!(open, until.unwrap_or(open), "does not open again");
    last
}

#[test]
fn packets_pass_up_to_the_posture_that_their_rule_survives() {
    let active = example();
    // from, to, service: packets, last posture that passes, rule, ingress, reach
    for (from, to, service, packets, until, rule, ingress, reach) in [
        (
            "ct-1",
            "10.200.4.10",
            "dicom",
            2,
            Some("lockdown"),
            "ct-to-pacs",
            "access0.210",
            "across the site boundary",
        ),
        (
            "us-1",
            "station-1",
            "dicom",
            2,
            Some("contain"),
            "ultrasound-to-stations",
            "access0.210",
            "between zones",
        ),
        (
            "monitor-1",
            "central-1",
            "intellivue",
            1,
            Some("lockdown"),
            "monitors-to-central",
            "access0.220",
            "within the zone",
        ),
        (
            "monitor-1",
            "broadcast",
            "intellivue-announce",
            1,
            Some("lockdown"),
            "monitors-announce",
            "access0.220",
            "within the zone",
        ),
        (
            "monitor-1",
            "10.22.0.255",
            "intellivue-announce",
            1,
            Some("lockdown"),
            "monitors-announce",
            "access0.220",
            "within the zone",
        ),
        (
            "station-1",
            "station-2",
            "tcp/445",
            1,
            Some("isolate"),
            "segment:stations",
            "access0.230",
            "within the zone",
        ),
        (
            "10.31.0.5",
            "station-1",
            "rdp",
            2,
            Some("watch"),
            "rockville-to-stations",
            "core0.230",
            "across the site boundary",
        ),
        (
            "198.51.100.7",
            "ct-1",
            "ssh",
            1,
            Some("normal"),
            "vendor-support",
            "core0.210",
            "across the site boundary",
        ),
        (
            "10.29.0.77",
            "198.51.100.7",
            "https",
            1,
            Some("watch"),
            "guest-to-world",
            "access0.299",
            "across the site boundary",
        ),
    ] {
        let explained = ask(&active, from, to, service);
        assert_eq!(explained.len(), packets, "{from} {to} {service}");
        for one in &explained {
            assert_eq!(up_to(one), until, "{one:?}");
            assert_eq!(one.postures[0].rule.as_deref(), Some(rule), "{one:?}");
            assert_eq!((one.ingress.as_str(), one.reach.as_str()), (ingress, reach));
            let place = one.postures[0]
                .place
                .as_deref()
                .expect("is written somewhere");
            assert!(place.contains(".yaml:"), "{place}");
            let shut = one
                .postures
                .iter()
                .find(|at| !at.allowed)
                .expect("sever drops everything");
            assert_eq!(shut.reason.as_deref(), Some("posture"), "{one:?}");
            assert_eq!(
                shut.rule.as_deref(),
                Some(rule),
                "names the rule that would allow it"
            );
        }
    }
}

#[test]
fn packets_without_a_rule_are_dropped_as_no_rule() {
    let active = example();
    for (from, to, service) in [
        ("pump-1", "ct-1", "smb"),
        ("10.29.0.77", "monitor-1", "tcp/22"),
        ("ct-1", "198.51.100.7", "https"),
        ("198.51.100.7", "pump-1", "ssh"),
        ("ct-1", "us-1", "icmp"),
    ] {
        for one in ask(&active, from, to, service) {
            for at in &one.postures {
                assert_eq!(
                    (at.allowed, at.reason.as_deref()),
                    (false, Some("no-rule")),
                    "{one:?}"
                );
                assert_eq!(at.rule, None);
            }
        }
    }
}

#[test]
fn an_unlisted_host_is_dropped_as_unknown_device() {
    let active = example();
    // The address has no device, and the segment admits no unlisted hosts.
    let explained = ask(&active, "10.21.0.99", "10.200.4.10", "dicom");
    assert_eq!(
        explained[0].postures[0].reason.as_deref(),
        Some("unknown-device")
    );
}

#[test]
fn service_any_uses_ports_that_no_rule_names() {
    let active = example();
    let packets: Vec<String> = ask(&active, "station-1", "station-2", "any")
        .into_iter()
        .map(|one| one.packet)
        .collect();
    assert_eq!(packets, ["tcp/1", "udp/1", "icmp"]);
}

#[test]
fn a_question_without_a_packet_is_refused_with_a_hint() {
    let active = example();
    for (from, to, service) in [
        ("ct-9", "10.200.4.10", "dicom"),
        ("ct-1", "missing", "dicom"),
        ("ct-1", "10.200.4.10", "dicomm"),
        ("ct-1", "ct-1", "dicom"),
        ("ct-1", "2001:db8::1", "dicom"),
        ("broadcast", "ct-1", "dicom"),
        ("8.8.8.8", "1.1.1.1", "dns"),
        ("10.200.4.10", "broadcast", "dicom"),
    ] {
        let question = Question {
            from: from.to_owned(),
            to: to.to_owned(),
            service: service.to_owned(),
        };
        let refused = explain_by(&active, Posture::Normal, &question);
        let failure = refused.expect_err("is refused").into_failure();
        assert!(
            failure.hint.is_some_and(|hint| !hint.is_empty()),
            "{from} {to} {service}"
        );
    }
}

#[test]
fn a_broadcast_reports_the_postures_at_which_it_stays_inside() {
    let inside = |active: &ActivePolicy, from: &str, to: &str, service: &str| -> Vec<String> {
        let explained = ask(active, from, to, service);
        let postures = explained[0].postures.iter();
        let inside = postures.filter(|at| at.inside);
        inside.map(|at| at.posture.clone()).collect()
    };
    // It stays allowed within its zone at postures that cut off the uplinks.
    let wide = example_with("access0.230,", "access0.230, access0.231,");
    let broadcast = inside(&wide, "station-1", "broadcast", "udp/3702");
    assert_eq!(broadcast, ["contain", "isolate"]);
    let multicast = inside(&wide, "station-1", "239.255.255.250", "udp/3702");
    assert_eq!(multicast, ["contain", "isolate"]);
    // Where no other attachment is inside, no copy is left to send.
    let active = example();
    let broadcast = ask(&active, "station-1", "broadcast", "udp/3702");
    assert_eq!(up_to(&broadcast[0]), Some("watch"));
    assert_eq!(
        inside(&active, "station-1", "broadcast", "udp/3702"),
        [""; 0]
    );
    // Packets on the continuity list leave by uplinks too. For a single host there is no `inside`.
    let announcement = inside(&active, "monitor-1", "broadcast", "intellivue-announce");
    assert_eq!(announcement, [""; 0]);
    assert_eq!(
        inside(&active, "station-1", "station-2", "tcp/445"),
        [""; 0]
    );
}

#[test]
fn an_observed_segment_reports_what_enforcement_would_do() {
    let site = crate::observed::tests::Site::new();
    for (to, service, want) in [
        ("198.51.100.7", "smb", Some(("rule", Some("no-smb")))),
        ("198.51.100.7", "tcp/25", Some(("no-rule", None))),
        ("198.51.100.7", "https", None),
    ] {
        let question = Question {
            from: "tv".to_owned(),
            to: to.to_owned(),
            service: service.to_owned(),
        };
        let explained = explain(&site.gateway, &site.observed, &question);
        let explained = explained.unwrap_or_else(|refusal| panic!("{refusal}"));
        for at in &explained[0].postures {
            let reason = at.would_drop.as_ref();
            let reason = reason.map(|drop| (drop.reason.as_str(), drop.rule.as_deref()));
            assert_eq!(reason, want.filter(|_| at.allowed), "{service} {at:?}");
        }
        assert!(explained[0].postures[0].allowed, "{service}");
    }
}

#[test]
fn repeated_questions_have_the_same_answer() {
    let active = example();
    let first = ask(&active, "10.29.0.77", "198.51.100.7", "https");
    // More than the limits for new hosts of a port and for new flows of a device.
    for _ in 0..1000 {
        assert_eq!(ask(&active, "10.29.0.77", "198.51.100.7", "https"), first);
    }
}

#[test]
fn a_question_leaves_no_state() {
    let active = example();
    let before = active.portable(|portable| portable.memory.clone());
    let first = ask(&active, "ct-1", "10.200.4.10", "dicom");
    assert_eq!(ask(&active, "ct-1", "10.200.4.10", "dicom"), first);
    active.portable(|portable| {
        let after = &portable.memory;
        assert!(after.stations.is_empty() && after.flows4.is_empty() && after.events.is_empty());
        assert!(after.slots == before.slots);
    });
}

#[test]
fn unlisted_hosts_and_their_router_are_different_hosts() {
    let active = example();
    for (from, to, ingress) in [
        ("10.29.0.77", "10.29.0.1", "access0.299"),
        ("10.29.0.77", "10.29.0.78", "access0.299"),
        ("10.29.0.1", "10.29.0.77", "core0.299"),
    ] {
        let explained = ask(&active, from, to, "tcp/22");
        let normal = &explained[0].postures[0];
        let reason = normal.reason.as_deref();
        assert_eq!(reason, Some("no-rule"), "{from} {to}: {normal:?}");
        assert_eq!(explained[0].ingress, ingress, "{from} {to}");
    }
}

#[test]
fn a_device_without_addresses_asks_with_one_that_is_no_routers() {
    let sources = cordon_policy::Sources {
        site: "\
site: clinic
ports:
  access0: {device: eth1}
  core0: {device: eth2, uplink: true}
segments:
  pumps: {attach: [access0.5, core0.5], subnets: [10.5.0.0/24], routers: [10.5.0.1]}
zones:
  world: {networks: [0.0.0.0/0]}
infrastructure:
  dhcp: [10.200.0.67]
"
        .to_owned(),
        policy: Some("rules:\n  - {name: a, from: pump, to: world, service: ssh}\n".to_owned()),
        devices: Some("name,mac,ips,segment\npump,02:00:5e:05:00:01,,pumps\n".to_owned()),
    };
    let active = compiled(cordon_policy::from_sources(&sources).expect("is valid"));
    let explained = ask(&active, "pump", "198.51.100.7", "ssh");
    assert!(explained[0].from.contains("10.5.0.2"), "{explained:?}");
    assert_eq!(explained[0].postures[0].rule.as_deref(), Some("a"));

    // Its requests for an address stay inside at contain, and the server is outside.
    let number = active
        .policy
        .rules
        .iter()
        .position(|rule| rule.name == "infrastructure:dhcp");
    let number = cordon_verdict::abi::RULE_FIRST as usize + number.expect("is there");
    let contain = Posture::Contain as u8;
    assert!(active.is_open_at(number, contain), "broadcasts pass inside");
    assert!(!active.is_useful_at(number, contain));
    assert!(active.is_useful_at(number, Posture::Normal as u8));
}
