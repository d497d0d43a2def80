//! Queries of the flow table.

use cordon_protocol::{Flow, FlowState};

use super::*;
use crate::observed::tests::{CT, Site, TV, VISITOR, WORLD, WORLD_OF_CT};

fn ask(site: &Site, query: FlowQuery) -> Flows {
    flows(&site.gateway, &site.observed, &query).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn site() -> Site {
    let site = Site::new();
    let mut half_open = site.flow(VISITOR, WORLD, 17, [50_003, 53], "observe:guest");
    half_open.half_open = true;
    let mut busy = site.flow(CT, WORLD_OF_CT, 6, [50_000, 443], "ct-web");
    busy.flow.volume = [10_000, 10_000];
    let flows = vec![
        half_open,
        site.flow(VISITOR, WORLD, 6, [50_000, 445], "observe:guest"),
        site.flow(VISITOR, WORLD, 6, [50_001, 443], "observe:guest-inbound"),
        site.flow(TV, WORLD, 6, [50_002, 443], "guest-web"),
        busy,
    ];
    site.machine.kernel.tables().flows = flows;
    site
}

#[test]
fn flows_are_found_by_device_segment_rule_and_state() {
    let site = site();
    let text = |text: &str| Some(text.to_owned());
    let none = FlowQuery::default;
    // the query; the source ports of the flows returned
    for (query, want) in [
        (none(), vec![50_000, 50_000, 50_001, 50_002, 50_003]),
        (
            FlowQuery {
                device: text("ct"),
                ..none()
            },
            vec![50_000],
        ),
        // No address is bound to it: it is found by MAC address.
        (
            FlowQuery {
                device: text("tv"),
                ..none()
            },
            vec![50_002],
        ),
        (
            FlowQuery {
                segment: text("guest"),
                ..none()
            },
            vec![50_000, 50_001, 50_002, 50_003],
        ),
        (
            FlowQuery {
                segment: text("imaging"),
                device: text("tv"),
                ..none()
            },
            vec![],
        ),
        // Also a flow whose replies pass by an observe rule, but which this rule allows.
        (
            FlowQuery {
                rule: text("guest-web"),
                ..none()
            },
            vec![50_001, 50_002],
        ),
        (
            FlowQuery {
                rule: text("observe:guest"),
                ..none()
            },
            vec![50_000, 50_003],
        ),
        (
            FlowQuery {
                rule: text("observe:guest-inbound"),
                ..none()
            },
            vec![],
        ),
        (
            FlowQuery {
                state: Some(FlowState::HalfOpen),
                ..none()
            },
            vec![50_003],
        ),
        (
            FlowQuery {
                state: Some(FlowState::Established),
                segment: text("guest"),
                ..none()
            },
            vec![50_000, 50_001, 50_002],
        ),
    ] {
        let answer = ask(&site, query.clone());
        let mut ports: Vec<u16> = answer.flows.iter().map(|flow| flow.from.port).collect();
        ports.sort_unstable();
        assert_eq!(
            (answer.total, answer.matching),
            (5, want.len() as u64),
            "{query:?}"
        );
        assert_eq!(ports, want, "{query:?}");
    }
}

#[test]
fn flows_in_an_observed_segment_have_a_would_drop_reason() {
    let site = site();
    let answer = ask(&site, FlowQuery::default());
    let of = |port: u16, protocol: &str| {
        let mut flows = answer.flows.iter().filter(|flow| flow.protocol == protocol);
        flows
            .find(|flow| flow.to.port == port)
            .expect("is returned")
    };
    let reason = |flow: &Flow| flow.would_drop.clone().map(|drop| (drop.reason, drop.rule));
    assert_eq!(
        reason(of(445, "tcp")),
        Some(("rule".to_owned(), Some("no-smb".to_owned())))
    );
    assert_eq!(reason(of(53, "udp")), Some(("no-rule".to_owned(), None)));
    assert_eq!(reason(of(443, "tcp")), None);
    let tv = answer
        .flows
        .iter()
        .find(|flow| flow.from.port == 50_002)
        .expect("is returned");
    assert_eq!(tv.from.device.as_deref(), Some("tv"));
}

#[test]
fn a_limited_query_returns_the_flows_with_the_most_bytes() {
    let site = site();
    let answer = ask(
        &site,
        FlowQuery {
            limit: Some(1),
            ..FlowQuery::default()
        },
    );
    assert_eq!(
        (answer.total, answer.matching, answer.flows.len()),
        (5, 5, 1)
    );
    assert_eq!(answer.flows[0].from.device.as_deref(), Some("ct"));
    let answer = ask(
        &site,
        FlowQuery {
            limit: Some(usize::MAX),
            ..FlowQuery::default()
        },
    );
    assert_eq!(answer.flows.len(), 5);
}

#[test]
fn an_unknown_name_is_refused_with_the_most_similar_one() {
    let site = site();
    for (query, message, hint) in [
        (
            FlowQuery {
                device: Some("TC".to_owned()),
                ..FlowQuery::default()
            },
            "no device `TC`",
            "`ct`",
        ),
        (
            FlowQuery {
                segment: Some("gest".to_owned()),
                ..FlowQuery::default()
            },
            "no segment `gest`",
            "`guest`",
        ),
        (
            FlowQuery {
                rule: Some("guest-wed".to_owned()),
                ..FlowQuery::default()
            },
            "no rule",
            "`guest-web`",
        ),
        (
            FlowQuery {
                rule: Some("x".repeat(10_000)),
                ..FlowQuery::default()
            },
            "no rule",
            "`cordon rules`",
        ),
    ] {
        let refused = flows(&site.gateway, &site.observed, &query).expect_err("is refused");
        let failure = refused.into_failure();
        assert!(failure.message.contains(message), "{}", failure.message);
        let text = failure.hint.expect("has a hint");
        assert!(text.contains(hint), "{text}");
    }
}
