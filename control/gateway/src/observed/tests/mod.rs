//! What is recorded of observed segments, from the flow table.

mod events;
mod site;

use std::sync::Arc;

use cordon_verdict::abi::{Flow, attachment, path_word};

use super::ledger::Ledger;
use super::*;

pub use site::{CT, Site, TV, VISITOR, WORLD, WORLD_OF_CT};
use site::{CT_OF_GUEST, IMAGING, ROUTER, RULES, at};

#[test]
fn a_flow_is_judged_as_if_its_segment_were_enforced() {
    let site = Site::new();
    let shadow = site
        .observed
        .shadow_policy(&site.active())
        .expect("something is observed");
    let number = |name: &str| {
        let found = (0..u32::MAX).find(|number| shadow.enforced.rule(*number) == Some(name));
        found.expect("there is such a rule")
    };
    let (web, smb) = (number("guest-web"), number("no-smb"));
    // initiator, responder, protocol, ports, verdict
    for (from, to, protocol, ports, want) in [
        (VISITOR, WORLD, 6, [50_000, 443], ShadowVerdict::Allows(web)),
        (VISITOR, WORLD, 6, [50_000, 25], ShadowVerdict::Drops(0)),
        (VISITOR, WORLD, 6, [50_000, 445], ShadowVerdict::Drops(smb)),
        (VISITOR, WORLD, 1, [7, 7], ShadowVerdict::Drops(0)),
        (
            VISITOR,
            CT_OF_GUEST,
            6,
            [50_000, 104],
            ShadowVerdict::Drops(0),
        ),
        (TV, VISITOR, 17, [50_000, 53], ShadowVerdict::Drops(0)),
        (WORLD, VISITOR, 6, [50_000, 22], ShadowVerdict::Drops(0)),
        (WORLD, VISITOR, 6, [50_000, 445], ShadowVerdict::Drops(0)),
        // Seen in mid-stream from the server first; but not every packet from the port of a service.
        (WORLD, VISITOR, 6, [443, 50_000], ShadowVerdict::Allows(web)),
        (WORLD, VISITOR, 6, [443, 445], ShadowVerdict::Drops(0)),
        (WORLD, VISITOR, 6, [445, 50_000], ShadowVerdict::Drops(0)),
        // Dropped by another check than the rules.
        (CT, WORLD, 6, [50_000, 443], ShadowVerdict::NotByRule),
    ] {
        let mut entry = site.flow(from, to, protocol, ports, "observe:guest");
        if from.ip == CT.ip {
            // An unlisted host uses the address of a device.
            entry.flow.path[0].from = path_word(VISITOR.mac, VISITOR.attachment);
        }
        let opening = FlowOpening::of_flow(&entry, &site.active()).expect("the ingress is known");
        // Repeatedly: a probe leaves no state that limits the next.
        for _ in 0..100 {
            assert_eq!(
                shadow.judge(&opening),
                want,
                "{:?} {:?} {protocol} {ports:?}",
                from.ip,
                to.ip
            );
        }
        let would_drop = shadow.would_drop(smb);
        assert_eq!(would_drop.place.as_deref(), Some("policy.yaml:2"));
    }
}

#[test]
fn conversations_are_recorded_by_device_and_rule() {
    let site = Site::new();
    let flow = |from, to, ports, rule| site.flow(from, to, 6, ports, rule);
    let flows = [
        flow(VISITOR, WORLD, [50_000, 445], "observe:guest"),
        flow(VISITOR, WORLD, [50_001, 445], "observe:guest"),
        flow(TV, WORLD, [50_000, 25], "observe:guest"),
        // Its replies pass by the observe rule; enforcement would let them pass too.
        flow(VISITOR, WORLD, [50_000, 443], "observe:guest-inbound"),
        flow(VISITOR, WORLD, [50_001, 443], "guest-web"),
        // One flow, seen in two segments with a router between.
        flow(CT, WORLD_OF_CT, [50_000, 443], "ct-web"),
        flow(CT_OF_GUEST, TV, [50_000, 8009], "observe:guest-inbound"),
        site.flow(
            CT,
            at(TV.ip, ROUTER, attachment(1, IMAGING)),
            6,
            [50_000, 8009],
            "observe:guest-inbound",
        ),
    ];
    let want = [
        "10.29.0.50 198.51.100.7 tcp/445 no-smb 2",
        "ct 10.29.0.9 tcp/8009 - 1",
        "tv 198.51.100.7 tcp/25 - 1",
    ];
    // The device is identified by its address, or by its MAC address where the frame has that.
    let lines = site.conversations(&flows);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.replace("ct tv", "ct 10.29.0.9"))
        .collect();
    assert_eq!(lines, want);
    assert_eq!(
        site.conversations(&flows).len(),
        want.len(),
        "a second scan finds the same"
    );

    let active = site.active();
    let segments = site.observed.segments(&active);
    assert_eq!((segments.len(), segments[0].flows), (1, 4));
    assert_eq!(site.observed.by_device().get("tv"), Some(&2));
    let bytes = 110 * Flow::VOLUME as u64 * 4;
    let sum = Totals { flows: 4, bytes };
    assert_eq!(site.observed.totals(&active), [("guest".to_owned(), sum)]);
}

#[test]
fn what_a_new_policy_allows_is_removed_and_the_rest_survives_a_restart() {
    let site = Site::new();
    let flows = [
        site.flow(VISITOR, WORLD, 6, [50_000, 445], "observe:guest"),
        site.flow(TV, WORLD, 6, [50_000, 25], "observe:guest"),
    ];
    assert_eq!(site.conversations(&flows).len(), 2);
    let mail =
        format!("{RULES}  - {{name: guest-mail, from: guest, to: world, service: tcp/25}}\n");
    site.apply("observe", &mail);
    let left = ["10.29.0.50 198.51.100.7 tcp/445 no-smb 1"];
    assert_eq!(site.conversations(&[]), left);

    site.observed.save();
    let restarted = Observed::new(site.directory.path(), Arc::clone(&site.gateway.clock));
    restarted.reevaluate(&site.active());
    let site = Site {
        observed: restarted,
        ..site
    };
    assert_eq!(site.conversations(&[]), left);

    // Another rule denies it; then its segment is enforced.
    site.apply("observe", &RULES.replace("no-smb", "no-shares"));
    assert_eq!(
        site.conversations(&[]),
        ["10.29.0.50 198.51.100.7 tcp/445 no-shares 1"]
    );
    site.apply("enforce", RULES);
    assert_eq!(site.conversations(&[]), [""; 0]);
    assert!(site.observed.segments(&site.active()).is_empty());
}

#[test]
fn a_damaged_file_does_not_prevent_the_start() {
    let site = Site::new();
    let flows = [site.flow(TV, WORLD, 6, [50_000, 25], "observe:guest")];
    assert_eq!(site.conversations(&flows).len(), 1);
    let file = site.directory.path().join("observed.json");
    std::fs::write(&file, "{").expect("writes");
    let restarted = Observed::new(site.directory.path(), Arc::clone(&site.gateway.clock));
    let site = Site {
        observed: restarted,
        ..site
    };
    assert_eq!(site.conversations(&flows).len(), 1);
    site.observed.save();
    let text = std::fs::read(&file).expect("reads");
    assert!(Ledger::from_json(&text).is_some_and(|ledger| ledger.conversations().count() == 1));
}
