//! What is summed up, what is counted once, and what is forgotten.

use super::*;

fn talk(host: u8, port: u16) -> Talk {
    let party = |ip: [u8; 4]| Host {
        device: None,
        ip: IpAddr::from(ip),
    };
    Talk {
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
fn a_flow_counts_once_however_often_it_is_seen_and_its_bytes_as_they_grow() {
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        ledger.opened(
            (id(1, 80), Known::Told),
            Some(talk(1, 80)),
            Some("no-web"),
            100,
        );
    }
    ledger.begin();
    // As it is seen in two segments, one of which has seen a little less.
    for (bytes, now) in [(1000, 101), (990, 101), (1500, 102)] {
        ledger.still_there(id(1, 80), bytes, now);
    }
    ledger.end();
    let said: Vec<_> = ledger.talks().map(|(_, said)| said.clone()).collect();
    let rule = Some("no-web".to_owned());
    assert_eq!(
        said,
        [Said {
            rule,
            flows: 1,
            bytes: 1500,
            first: 100,
            last: 102,
            unseen: 0
        }]
    );
    assert_eq!(
        ledger.sum("guest"),
        Sum {
            flows: 1,
            bytes: 1500
        }
    );
    // Gone from the table: the next of the same name is another.
    ledger.begin();
    ledger.end();
    ledger.opened((id(1, 80), Known::Told), Some(talk(1, 80)), None, 200);
    assert_eq!(ledger.sum("guest").flows, 2);
}

#[test]
fn what_was_counted_before_a_restart_or_another_policy_is_not_counted_again() {
    let mut ledger = Ledger::default();
    ledger.opened((id(1, 80), Known::Told), Some(talk(1, 80)), None, 100);
    ledger.judge_again(|_, _| Some(None));
    ledger.opened((id(1, 80), Known::Found), Some(talk(1, 80)), None, 100);
    let of = |ledger: &Ledger| {
        ledger
            .talks()
            .map(|(_, said)| (said.flows, said.bytes))
            .next()
    };
    assert_eq!(of(&ledger), Some((1, 0)));

    let mut again = Ledger::read(&ledger.write()).expect("is as it was written");
    again.begin();
    again.opened((id(1, 80), Known::Found), Some(talk(1, 80)), None, 100);
    for (bytes, counted) in [(1000, 0), (1500, 500)] {
        again.still_there(id(1, 80), bytes, 101);
        assert_eq!(of(&again), Some((1, counted)));
    }
    // One that is told of is a new one.
    again.opened((id(2, 80), Known::Told), Some(talk(1, 80)), None, 102);
    again.end();
    again.opened((id(3, 80), Known::Found), Some(talk(1, 80)), None, 103);
    assert_eq!(of(&again), Some((3, 500)));
}

#[test]
fn what_is_said_to_one_group_after_the_other_counts_once_each() {
    let mut ledger = Ledger::default();
    let id = FlowId::to_group(7, Ip::v4(1), [5353, 5353], 17);
    ledger.begin();
    for (port, bytes) in [(80, 100), (81, 300), (80, 400), (80, 1000), (81, 1001)] {
        ledger.said(id, Some(talk(1, port)), None, 100);
        ledger.still_there(id, bytes, 101);
    }
    let mut said: Vec<_> = ledger
        .talks()
        .map(|(talk, said)| (talk.port, said.flows, said.bytes))
        .collect();
    said.sort_unstable();
    assert_eq!(said, [(80, 1, 800), (81, 1, 201)]);
    // Also after a restart, whoever looks at the table first.
    let mut again = Ledger::read(&ledger.write()).expect("is as it was written");
    again.begin();
    again.end();
    again.said(id, Some(talk(1, 80)), None, 102);
    for bytes in [2000, 2300] {
        again.still_there(id, bytes, 103);
    }
    let flows = |ledger: &Ledger| {
        let mut said = ledger.talks();
        said.find(|(talk, _)| talk.port == 80)
            .map(|(_, said)| (said.flows, said.bytes))
    };
    assert_eq!(flows(&again), Some((1, 1100)));
    // Every minute, so that the table forgets it in between; and after hours.
    for (pause, count) in [(60, 1), (60, 1), (PAUSE, 2)] {
        again.end();
        again.begin();
        again.end();
        again.pass(pause);
        again.said(id, Some(talk(1, 80)), None, 200);
        assert_eq!(flows(&again).map(|(flows, _)| flows), Some(count));
    }
}

#[test]
fn what_enforcement_lets_pass_is_known_and_not_counted() {
    let mut ledger = Ledger::default();
    ledger.opened((id(1, 80), Known::Told), None, None, 100);
    assert!(ledger.knows(id(1, 80)) && ledger.talks().next().is_none());
    assert_eq!((ledger.sum("guest"), ledger.unnoted), (Sum::default(), 0));
}

#[test]
fn a_host_that_scans_leaves_room_for_others() {
    let mut ledger = Ledger::default();
    for port in 0..1000 {
        ledger.opened((id(1, port), Known::Told), Some(talk(1, port)), None, 100);
    }
    ledger.opened((id(2, 80), Known::Told), Some(talk(2, 80)), None, 100);
    let of = |host| {
        ledger
            .talks()
            .filter(|(of, _)| of.from == talk(host, 0).from)
            .count()
    };
    assert_eq!([of(1), of(2)], [OF_A_HOST as usize, 1]);
    assert_eq!((ledger.unnoted, ledger.sum("guest").flows), (744, 1001));
}

#[test]
fn it_is_read_back_and_what_is_long_over_is_forgotten() {
    let mut ledger = Ledger::default();
    ledger.opened(
        (id(1, 80), Known::Told),
        Some(talk(1, 80)),
        Some("no-web"),
        100,
    );
    ledger.opened((id(1, 81), Known::Told), Some(talk(1, 81)), None, 100);
    let mut read = Ledger::read(&ledger.write()).expect("is as it was written");
    let left = |ledger: &Ledger| {
        let mut ports: Vec<_> = ledger.talks().map(|(talk, _)| talk.port).collect();
        ports.sort_unstable();
        ports
    };
    assert_eq!(left(&read), [80, 81]);
    read.pass(KEPT - 1);
    // Seen again, by whatever the wall's clock says.
    read.opened((id(2, 81), Known::Told), Some(talk(1, 81)), None, 5);
    read.pass(1);
    assert_eq!(left(&read), [81]);
    assert!(Ledger::read(b"{}").is_none() && Ledger::read(b"{\"version\":2}").is_none());
}

#[test]
fn another_policy_takes_away_what_it_allows() {
    let mut ledger = Ledger::default();
    ledger.opened((id(1, 80), Known::Told), Some(talk(1, 80)), None, 100);
    ledger.opened((id(1, 81), Known::Told), Some(talk(1, 81)), None, 100);
    ledger.judge_again(|talk, _| (talk.port == 81).then(|| Some("no-81".to_owned())));
    let left: Vec<_> = ledger
        .talks()
        .map(|(talk, said)| (talk.port, said.rule.as_deref()))
        .collect();
    assert_eq!(left, [(81, Some("no-81"))]);
    // What is allowed by now is judged by the new policy, and what is not was counted.
    let known = [80, 81].map(|port| ledger.knows(id(1, port)));
    assert_eq!(known, [false, true]);
}

#[test]
fn nobody_takes_the_room_of_listed_devices() {
    let mut ledger = Ledger::default();
    let of = |number: u32, device: Option<&str>, port: u16| {
        let [_, b, c, d] = number.to_be_bytes();
        Talk {
            from: Host {
                device: device.map(str::to_owned),
                ip: IpAddr::from([10, b, c, d]),
            },
            ..talk(1, port)
        }
    };
    let mut number = 0;
    let mut opened = |ledger: &mut Ledger, talk: Talk| {
        number += 1;
        let id = FlowId::new([number, 1].map(Ip::v4), [50_000, 80], 6);
        ledger.opened((id, Known::Told), Some(talk), None, 100);
    };
    let count = |ledger: &Ledger, device: Option<&str>| {
        let of = |talk: &Talk| talk.from.device.as_deref() == device;
        ledger.talks().filter(|(talk, _)| of(talk)).count()
    };
    // A device with as many addresses as it likes, and strangers with as many as they like.
    for address in 0..64 {
        for port in 0..256 {
            opened(&mut ledger, of(address, Some("tv"), port));
        }
    }
    assert_eq!(count(&ledger, Some("tv")), OF_A_HOST as usize);
    for address in 0..1000 {
        for port in 0..20 {
            opened(&mut ledger, of(address, None, port));
        }
    }
    assert_eq!(count(&ledger, None), OF_STRANGERS[0] as usize);
    opened(&mut ledger, of(9, Some("pump"), 80));
    assert_eq!(count(&ledger, Some("pump")), 1);
    // Many who have no address yet are many.
    for device in 0..1000 {
        let device = format!("ct-{device}");
        opened(&mut ledger, of(0, Some(&device), 67));
    }
    assert_eq!(count(&ledger, Some("ct-999")), 1);
    // After a restart as well.
    let mut again = Ledger::read(&ledger.write()).expect("is as it was written");
    opened(&mut again, of(9, None, 9));
    opened(&mut again, of(9, Some("tv"), 9));
    assert_eq!(again.talks().count(), ledger.talks().count());
}
