//! A full flow table and frames without headroom, in user space only.

use cordon_portable::{Bytes, Portable};
use cordon_verdict::{Frame, Head};

use super::*;

/// In user space only: the kernel evicts entries of a full table.
#[test]
fn a_full_flow_table_refuses_new_flows() {
    let mut portable = user_space();
    portable.memory.room = 1;
    let verdict = |portable: &mut Portable, frame: &[u8]| portable.judge(0, frame).outcome.verdict;
    assert!(verdict(&mut portable, &datagram((1, 2))).is_ok());
    assert_eq!(
        verdict(&mut portable, &datagram((2, 2))),
        Err(Reason::FlowTableFull)
    );
    assert!(verdict(&mut portable, &datagram((1, 2))).is_ok());
}

fn user_space() -> Portable {
    let today = cordon_policy::Date::new(2026, 6, 15).expect("the date is valid");
    let compiled = cordon_compile::compile(&policy(), today).expect("the policy compiles");
    let mut portable = Portable::default();
    portable.install(compiled.generation, Posture::Normal as u8);
    portable
}

/// A frame without headroom. Drivers provide some, and so does a test run.
struct NoHeadroom(Bytes);

impl Frame for NoHeadroom {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn u8(&self, at: usize) -> Option<u8> {
        self.0.u8(at)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.0.u16(at)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.0.u32(at)
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.0.u64(at)
    }

    fn head(&self) -> Option<impl Head + use<>> {
        self.0.head()
    }

    fn set_u16(&mut self, at: usize, value: u16) -> Option<()> {
        self.0.set_u16(at, value)
    }

    fn set_u32(&mut self, at: usize, value: u32) -> Option<()> {
        self.0.set_u32(at, value)
    }

    fn set_u64(&mut self, at: usize, value: u64) -> Option<()> {
        self.0.set_u64(at, value)
    }

    fn shift(&mut self, by: i32) -> Option<()> {
        if by < 0 { None } else { self.0.shift(by) }
    }
}

#[test]
fn a_frame_without_headroom_for_a_tag_is_dropped() {
    let mut portable = user_space();
    let datagram = |from: (u8, &str), to: (u8, &str), tag| {
        let end = |(number, ip)| (Mac([2, 0, 0, 0, 0, number]), ip);
        let payload = frame::udp((1, 2), b"hello");
        packet(tag, end(from), end(to), UDP, &payload)
    };
    let (one, other) = ((7, "10.2.0.7"), (8, "10.2.0.8"));
    // This teaches the gateway that the other host is in VLAN 20.
    assert!(
        portable
            .judge(1, &datagram(other, one, Some(20)))
            .outcome
            .verdict
            .is_ok()
    );
    let frame = datagram(one, other, None);
    let mut without_headroom = NoHeadroom(Bytes::new(&frame));
    let outcome = cordon_verdict::judge(&mut without_headroom, &mut portable.memory, 0);
    assert_eq!(outcome.verdict, Err(Reason::Retag));
    assert!(portable.judge(0, &frame).outcome.verdict.is_ok());
}
