//! What the ledger counts, how often, and what it removes.

use std::net::IpAddr;

use cordon_protocol::ObservedEnd;
use cordon_verdict::Ip;

use super::quotas::{MAX_OF_UNLISTED, MAX_PER_HOST};
use super::*;

fn conversation(host: u8, port: u16) -> Conversation {
    let party = |ip: [u8; 4]| Host {
        device: None,
        ip: IpAddr::from(ip),
    };
    Conversation {
        segment: "guest".to_owned(),
        inside: ObservedEnd::From,
        from: party([10, 29, 0, host]),
        to: party([10, 21, 0, 1]),
        protocol: 6,
        port,
    }
}

fn id(host: u8, port: u16) -> FlowId {
    let [from, to] = [u32::from(host), 1].map(Ip::v4);
    FlowId::new([from, to], [50_000, port], 6)
}

#[test]
fn a_flow_counts_once_and_its_bytes_as_they_grow() {
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        ledger.flow_opened(
            (id(1, 80), Evidence::Event),
            Some(conversation(1, 80)),
            Some("no-web"),
            100,
        );
    }
    ledger.begin_scan();
    // The flow is seen in two segments; one has counted a little less.
    for (bytes, now) in [(1000, 101), (990, 101), (1500, 102)] {
        ledger.update(id(1, 80), bytes, now);
    }
    ledger.end_scan();
    let record: Vec<_> = ledger
        .conversations()
        .map(|(_, record)| record.clone())
        .collect();
    let rule = Some("no-web".to_owned());
    assert_eq!(
        record,
        [Record {
            rule,
            flows: 1,
            bytes: 1500,
            first: 100,
            last: 102,
            unseen: 0
        }]
    );
    assert_eq!(
        ledger.totals("guest"),
        Totals {
            flows: 1,
            bytes: 1500
        }
    );
    // It has left the flow table: the next flow with the same identity is another one.
    ledger.begin_scan();
    ledger.end_scan();
    ledger.flow_opened(
        (id(1, 80), Evidence::Event),
        Some(conversation(1, 80)),
        None,
        200,
    );
    assert_eq!(ledger.totals("guest").flows, 2);
}

#[test]
fn flows_counted_before_a_restart_or_change_of_policy_are_not_counted_again() {
    let mut ledger = Ledger::default();
    ledger.flow_opened(
        (id(1, 80), Evidence::Event),
        Some(conversation(1, 80)),
        None,
        100,
    );
    ledger.reevaluate(|_, _| Some(None));
    ledger.flow_opened(
        (id(1, 80), Evidence::FlowTable),
        Some(conversation(1, 80)),
        None,
        100,
    );
    let of = |ledger: &Ledger| {
        ledger
            .conversations()
            .map(|(_, record)| (record.flows, record.bytes))
            .next()
    };
    assert_eq!(of(&ledger), Some((1, 0)));

    let mut again = Ledger::from_json(&ledger.to_json()).expect("is as it was written");
    again.begin_scan();
    again.flow_opened(
        (id(1, 80), Evidence::FlowTable),
        Some(conversation(1, 80)),
        None,
        100,
    );
    for (bytes, counted) in [(1000, 0), (1500, 500)] {
        again.update(id(1, 80), bytes, 101);
        assert_eq!(of(&again), Some((1, counted)));
    }
    // A flow reported by an event is a new one.
    again.flow_opened(
        (id(2, 80), Evidence::Event),
        Some(conversation(1, 80)),
        None,
        102,
    );
    again.end_scan();
    again.flow_opened(
        (id(3, 80), Evidence::FlowTable),
        Some(conversation(1, 80)),
        None,
        103,
    );
    assert_eq!(of(&again), Some((3, 500)));
}

#[test]
fn packets_to_alternating_groups_count_as_one_flow_each() {
    let mut ledger = Ledger::default();
    let id = FlowId::to_group(7, Ip::v4(1), [5353, 5353], 17);
    ledger.begin_scan();
    for (port, bytes) in [(80, 100), (81, 300), (80, 400), (80, 1000), (81, 1001)] {
        ledger.group_traffic(id, Some(conversation(1, port)), None, 100);
        ledger.update(id, bytes, 101);
    }
    let mut record: Vec<_> = ledger
        .conversations()
        .map(|(conversation, record)| (conversation.port, record.flows, record.bytes))
        .collect();
    record.sort_unstable();
    assert_eq!(record, [(80, 1, 800), (81, 1, 201)]);
    // Also after a restart, before and after the first scan.
    let mut again = Ledger::from_json(&ledger.to_json()).expect("is as it was written");
    again.begin_scan();
    again.end_scan();
    again.group_traffic(id, Some(conversation(1, 80)), None, 102);
    for bytes in [2000, 2300] {
        again.update(id, bytes, 103);
    }
    let flows = |ledger: &Ledger| {
        let mut record = ledger.conversations();
        record
            .find(|(conversation, _)| conversation.port == 80)
            .map(|(_, record)| (record.flows, record.bytes))
    };
    assert_eq!(flows(&again), Some((1, 1100)));
    // Every minute, with the entry removed in between; and after a longer pause.
    for (pause, count) in [(60, 1), (60, 1), (GROUP_PAUSE_SECONDS, 2)] {
        again.end_scan();
        again.begin_scan();
        again.end_scan();
        again.age(pause);
        again.group_traffic(id, Some(conversation(1, 80)), None, 200);
        assert_eq!(flows(&again).map(|(flows, _)| flows), Some(count));
    }
}

#[test]
fn flows_that_enforcement_allows_are_tracked_and_not_counted() {
    let mut ledger = Ledger::default();
    ledger.flow_opened((id(1, 80), Evidence::Event), None, None, 100);
    assert!(ledger.tracks(id(1, 80)) && ledger.conversations().next().is_none());
    assert_eq!(
        (ledger.totals("guest"), ledger.unrecorded),
        (Totals::default(), 0)
    );
}

#[test]
fn a_scanning_host_leaves_room_for_others() {
    let mut ledger = Ledger::default();
    for port in 0..1000 {
        ledger.flow_opened(
            (id(1, port), Evidence::Event),
            Some(conversation(1, port)),
            None,
            100,
        );
    }
    ledger.flow_opened(
        (id(2, 80), Evidence::Event),
        Some(conversation(2, 80)),
        None,
        100,
    );
    let of = |host| {
        ledger
            .conversations()
            .filter(|(of, _)| of.from == conversation(host, 0).from)
            .count()
    };
    assert_eq!([of(1), of(2)], [MAX_PER_HOST as usize, 1]);
    assert_eq!(
        (ledger.unrecorded, ledger.totals("guest").flows),
        (744, 1001)
    );
}

#[test]
fn the_file_is_read_back_and_old_conversations_are_removed() {
    let mut ledger = Ledger::default();
    ledger.flow_opened(
        (id(1, 80), Evidence::Event),
        Some(conversation(1, 80)),
        Some("no-web"),
        100,
    );
    ledger.flow_opened(
        (id(1, 81), Evidence::Event),
        Some(conversation(1, 81)),
        None,
        100,
    );
    let mut read = Ledger::from_json(&ledger.to_json()).expect("is as it was written");
    let left = |ledger: &Ledger| {
        let mut ports: Vec<_> = ledger
            .conversations()
            .map(|(conversation, _)| conversation.port)
            .collect();
        ports.sort_unstable();
        ports
    };
    assert_eq!(left(&read), [80, 81]);
    read.age(RETENTION_SECONDS - 1);
    // Seen again, at any wall time.
    read.flow_opened(
        (id(2, 81), Evidence::Event),
        Some(conversation(1, 81)),
        None,
        5,
    );
    read.age(1);
    assert_eq!(left(&read), [81]);
    assert!(Ledger::from_json(b"{}").is_none() && Ledger::from_json(b"{\"version\":2}").is_none());
}

#[test]
fn a_new_policy_removes_what_it_allows() {
    let mut ledger = Ledger::default();
    ledger.flow_opened(
        (id(1, 80), Evidence::Event),
        Some(conversation(1, 80)),
        None,
        100,
    );
    ledger.flow_opened(
        (id(1, 81), Evidence::Event),
        Some(conversation(1, 81)),
        None,
        100,
    );
    ledger
        .reevaluate(|conversation, _| (conversation.port == 81).then(|| Some("no-81".to_owned())));
    let left: Vec<_> = ledger
        .conversations()
        .map(|(conversation, record)| (conversation.port, record.rule.as_deref()))
        .collect();
    assert_eq!(left, [(81, Some("no-81"))]);
    // What the new policy allows is no longer tracked; what it drops was counted.
    let known = [80, 81].map(|port| ledger.tracks(id(1, port)));
    assert_eq!(known, [false, true]);
}

#[test]
fn unlisted_hosts_leave_room_for_listed_devices() {
    let mut ledger = Ledger::default();
    let of = |number: u32, device: Option<&str>, port: u16| {
        let [_, b, c, d] = number.to_be_bytes();
        Conversation {
            from: Host {
                device: device.map(str::to_owned),
                ip: IpAddr::from([10, b, c, d]),
            },
            ..conversation(1, port)
        }
    };
    let mut number = 0;
    let mut opened = |ledger: &mut Ledger, conversation: Conversation| {
        number += 1;
        let id = FlowId::new([number, 1].map(Ip::v4), [50_000, 80], 6);
        ledger.flow_opened((id, Evidence::Event), Some(conversation), None, 100);
    };
    let count = |ledger: &Ledger, device: Option<&str>| {
        let of = |conversation: &Conversation| conversation.from.device.as_deref() == device;
        ledger
            .conversations()
            .filter(|(conversation, _)| of(conversation))
            .count()
    };
    // One device with many addresses, and many unlisted hosts.
    for address in 0..64 {
        for port in 0..256 {
            opened(&mut ledger, of(address, Some("tv"), port));
        }
    }
    assert_eq!(count(&ledger, Some("tv")), MAX_PER_HOST as usize);
    for address in 0..1000 {
        for port in 0..20 {
            opened(&mut ledger, of(address, None, port));
        }
    }
    assert_eq!(count(&ledger, None), MAX_OF_UNLISTED[0] as usize);
    opened(&mut ledger, of(9, Some("pump"), 80));
    assert_eq!(count(&ledger, Some("pump")), 1);
    // Devices without an address have separate quotas.
    for device in 0..1000 {
        let device = format!("ct-{device}");
        opened(&mut ledger, of(0, Some(&device), 67));
    }
    assert_eq!(count(&ledger, Some("ct-999")), 1);
    // After a restart too.
    let mut again = Ledger::from_json(&ledger.to_json()).expect("is as it was written");
    opened(&mut again, of(9, None, 9));
    opened(&mut again, of(9, Some("tv"), 9));
    assert_eq!(
        again.conversations().count(),
        ledger.conversations().count()
    );
}

#[test]
fn a_file_with_the_field_names_of_earlier_versions_is_read() {
    let text = br#"{"version":1,"unnoted":3,"talks":[[{"segment":"guest","inside":"from","from":{"device":null,
        "ip":"10.29.0.1"},"to":{"device":null,"ip":"10.21.0.1"},"protocol":6,"port":80},{"rule":"no-web","flows":2,
        "bytes":100,"first":1,"last":2}]]}"#;
    let ledger = Ledger::from_json(text).expect("is valid");
    let (known, record) = ledger.conversations().next().expect("is there");
    assert_eq!((known, record.flows), (&conversation(1, 80), 2));
    assert_eq!(ledger.unrecorded, 3);
}
