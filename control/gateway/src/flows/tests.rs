//! What is asked for is what is told.

use super::*;
use crate::observed::tests::{CT, Site, TV, VISITOR, WORLD, WORLD_OF_CT};

fn ask(site: &Site, query: FlowQuery) -> Flows {
    flows(&site.gateway, &site.observed, &query).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn site() -> Site {
    let site = Site::new();
    let mut asks = site.flow(VISITOR, WORLD, 17, [50_003, 53], "observe:guest");
    asks.half_open = true;
    let mut busy = site.flow(CT, WORLD_OF_CT, 6, [50_000, 443], "ct-web");
    busy.flow.volume = [10_000, 10_000];
    let flows = vec![
        asks,
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
    // what is asked for: source ports of what is told
    for (query, want) in [
        (none(), vec![50_000, 50_000, 50_001, 50_002, 50_003]),
        (
            FlowQuery {
                device: text("ct"),
                ..none()
            },
            vec![50_000],
        ),
        // It has no address of its own: its MAC tells.
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
        // Whose answers pass by an observed segment's rule, but which another allows.
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
        let told = ask(&site, query.clone());
        let mut ports: Vec<u16> = told.flows.iter().map(|flow| flow.from.port).collect();
        ports.sort_unstable();
        assert_eq!(
            (told.total, told.matching),
            (5, want.len() as u64),
            "{query:?}"
        );
        assert_eq!(ports, want, "{query:?}");
    }
}

#[test]
fn a_flow_says_why_enforcement_would_drop_it() {
    let site = site();
    let told = ask(&site, FlowQuery::default());
    let of = |port: u16, protocol: &str| {
        let mut flows = told.flows.iter().filter(|flow| flow.protocol == protocol);
        flows.find(|flow| flow.to.port == port).expect("is told")
    };
    let why = |flow: &Flow| flow.would_drop.clone().map(|why| (why.reason, why.rule));
    assert_eq!(
        why(of(445, "tcp")),
        Some(("rule".to_owned(), Some("no-smb".to_owned())))
    );
    assert_eq!(why(of(53, "udp")), Some(("no-rule".to_owned(), None)));
    assert_eq!(why(of(443, "tcp")), None);
    let tv = told
        .flows
        .iter()
        .find(|flow| flow.from.port == 50_002)
        .expect("is told");
    assert_eq!(tv.from.device.as_deref(), Some("tv"));
}

#[test]
fn no_more_is_told_than_asked_for_and_of_those_the_busiest() {
    let site = site();
    let told = ask(
        &site,
        FlowQuery {
            limit: Some(1),
            ..FlowQuery::default()
        },
    );
    assert_eq!((told.total, told.matching, told.flows.len()), (5, 5, 1));
    assert_eq!(told.flows[0].from.device.as_deref(), Some("ct"));
    let told = ask(
        &site,
        FlowQuery {
            limit: Some(usize::MAX),
            ..FlowQuery::default()
        },
    );
    assert_eq!(told.flows.len(), 5);
}

#[test]
fn a_name_that_nothing_has_is_refused_with_one_that_is_like_it() {
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
        let said = failure.hint.expect("says what to do");
        assert!(said.contains(hint), "{said}");
    }
}
