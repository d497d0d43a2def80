//! Questions over the policy of the example site.

use std::sync::Arc;

use super::*;
use crate::clock;

fn example() -> Named {
    let directory = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../policy/examples/manchester-memorial"
    );
    let validated = cordon_policy::load(directory.as_ref()).expect("the example is good");
    let day = clock::date(std::time::SystemTime::now());
    let compiled = cordon_compile::compile(&validated.policy, day).expect("compiles");
    Named::new(Arc::new(validated.policy), "hash".to_owned(), day, compiled)
}

fn ask(named: &Named, from: &str, to: &str, service: &str) -> Vec<Explanation> {
    let question = Question {
        from: from.to_owned(),
        to: to.to_owned(),
        service: service.to_owned(),
    };
    explain_by(named, Posture::Normal, &question)
        .unwrap_or_else(|refusal| panic!("{from} {to} {service}: {refusal}"))
}

/// The last posture at which it passes; none for nowhere.
fn up_to(explanation: &Explanation) -> Option<&str> {
    let passes = explanation.postures.iter().take_while(|at| at.allowed);
    let last = passes.last().map(|at| at.posture.as_str());
    let open = explanation.postures.iter().filter(|at| at.allowed).count();
    let until = explanation.postures.iter().position(|at| !at.allowed);
    assert_eq!(open, until.unwrap_or(open), "closes once, for good");
    last
}

#[test]
fn what_passes_and_how_far() {
    let named = example();
    // from, to, service: packets, passes up to, by rule, enters, reach
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
        let explained = ask(&named, from, to, service);
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
                .expect("sever shuts all");
            assert_eq!(shut.reason.as_deref(), Some("posture"), "{one:?}");
            assert_eq!(
                shut.rule.as_deref(),
                Some(rule),
                "it names the rule that would"
            );
        }
    }
}

#[test]
fn what_no_rule_allows_is_dropped_for_that_reason() {
    let named = example();
    for (from, to, service) in [
        ("pump-1", "ct-1", "smb"),
        ("10.29.0.77", "monitor-1", "tcp/22"),
        ("ct-1", "198.51.100.7", "https"),
        ("198.51.100.7", "pump-1", "ssh"),
        ("ct-1", "us-1", "icmp"),
    ] {
        for one in ask(&named, from, to, service) {
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
fn an_address_that_cannot_be_used_there_is_told_for_what_it_is() {
    let named = example();
    // Nobody is listed for it, and the segment admits no unknown devices.
    let explained = ask(&named, "10.21.0.99", "10.200.4.10", "dicom");
    assert_eq!(
        explained[0].postures[0].reason.as_deref(),
        Some("unknown-device")
    );
}

#[test]
fn any_service_stands_for_what_no_rule_names() {
    let named = example();
    let packets: Vec<String> = ask(&named, "station-1", "station-2", "any")
        .into_iter()
        .map(|one| one.packet)
        .collect();
    assert_eq!(packets, ["tcp/1", "udp/1", "icmp"]);
}

#[test]
fn a_question_without_a_packet_is_refused_with_what_to_do() {
    let named = example();
    for (from, to, service) in [
        ("ct-9", "10.200.4.10", "dicom"),
        ("ct-1", "nobody", "dicom"),
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
        let refused = explain_by(&named, Posture::Normal, &question);
        let failure = refused.expect_err("is refused").into_failure();
        assert!(
            failure.hint.is_some_and(|hint| !hint.is_empty()),
            "{from} {to} {service}"
        );
    }
}

#[test]
fn a_broadcast_says_where_it_stays_inside() {
    let named = example();
    let inside = |from: &str, to: &str, service: &str| -> Vec<String> {
        let explained = ask(&named, from, to, service);
        let postures = explained[0].postures.iter();
        let inside = postures.filter(|at| at.inside);
        inside.map(|at| at.posture.clone()).collect()
    };
    // Within its zone it goes on where what leaves by an uplink is cut off.
    let broadcast = inside("station-1", "broadcast", "udp/3702");
    assert_eq!(broadcast, ["contain", "isolate"]);
    let multicast = inside("station-1", "239.255.255.250", "udp/3702");
    assert_eq!(multicast, ["contain", "isolate"]);
    // The continuity list's leaves by an uplink too, and a single host is no matter of inside or out.
    let announcement = inside("monitor-1", "broadcast", "intellivue-announce");
    assert_eq!(announcement, [""; 0]);
    assert_eq!(inside("station-1", "station-2", "tcp/445"), [""; 0]);
}

#[test]
fn what_is_observed_says_what_enforcement_would_do() {
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
            let why = at.would_drop.as_ref();
            let why = why.map(|why| (why.reason.as_str(), why.rule.as_deref()));
            assert_eq!(why, want.filter(|_| at.allowed), "{service} {at:?}");
        }
        assert!(explained[0].postures[0].allowed, "{service}");
    }
}

#[test]
fn however_often_it_is_asked_it_is_answered_alike() {
    let named = example();
    let first = ask(&named, "10.29.0.77", "198.51.100.7", "https");
    // More new hosts than a port may show at a time, and more flows than a device may open.
    for _ in 0..1000 {
        assert_eq!(ask(&named, "10.29.0.77", "198.51.100.7", "https"), first);
    }
}

#[test]
fn asking_leaves_no_trace() {
    let named = example();
    let before = named.portable(|portable| portable.memory.clone());
    let first = ask(&named, "ct-1", "10.200.4.10", "dicom");
    assert_eq!(ask(&named, "ct-1", "10.200.4.10", "dicom"), first);
    named.portable(|portable| {
        let after = &portable.memory;
        assert!(after.stations.is_empty() && after.flows4.is_empty() && after.events.is_empty());
        assert!(after.slots == before.slots);
    });
}
