//! Timeouts, on the sides whose clock can be set.

use super::*;

#[test]
fn answers_to_a_group_request_pass_for_ten_ticks() {
    let mut sides = user_space_and_oracle();
    let (group, group_mac) = ("239.255.255.250", Mac([1, 0, 0x5e, 0x7f, 0xff, 0xfa]));
    let request = packet(
        Some(10),
        (PUMP, "10.1.0.1"),
        (group_mac, group),
        UDP,
        &frame::udp((40000, 3702), b"probe"),
    );
    // A host outside, which no rule allows to open a flow.
    let router = Mac([2, 0, 0, 0, 0, 9]);
    let answer = |port| {
        packet(
            Some(10),
            (router, "203.0.113.7"),
            (PUMP, "10.1.0.1"),
            UDP,
            &frame::udp((3702, port), b"match"),
        )
    };
    assert_eq!(
        agreed(&mut sides, 2, &answer(40000)),
        Verdict::Drop(Reason::NoRule)
    );
    assert!(passes(&agreed(&mut sides, 0, &request)));
    sides.pass_time(10);
    assert_eq!(
        agreed(&mut sides, 2, &answer(40001)),
        Verdict::Drop(Reason::NoRule)
    );
    assert!(passes(&agreed(&mut sides, 2, &answer(40000))));
    sides.pass_time(1);
    assert_eq!(
        agreed(&mut sides, 2, &answer(40000)),
        Verdict::Drop(Reason::NoRule)
    );
}

#[test]
fn later_fragments_pass_for_thirty_ticks() {
    let mut sides = user_space_and_oracle();
    let first = frame::udp((1, 2), &[0; 8]);
    let late = Verdict::Drop(Reason::Fragment);
    for identification in 1..=2 {
        assert!(passes(&agreed(
            &mut sides,
            0,
            &fragment(identification, 0, true, &first)
        )));
    }
    sides.pass_time(30);
    assert!(passes(&agreed(
        &mut sides,
        0,
        &fragment(1, 16, true, &[0; 8])
    )));
    sides.pass_time(1);
    for (identification, offset) in [(1, 24), (2, 16)] {
        let verdict = agreed(
            &mut sides,
            0,
            &fragment(identification, offset, false, &[0; 8]),
        );
        assert_eq!(verdict, late);
    }
}
