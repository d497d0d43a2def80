//! Faults in user space's state: flow tables, FDB, clock, control word.

use cordon_portable::Portable;
use cordon_verdict::abi::{Control, Flow, Station};

use super::{Fault, before_frames, in_posture};

/// Each changes the state before every frame, or when the posture changes.
pub(super) const FAULTS: [Fault; 21] = [
    before_frames("fragment: first fragments are not recorded", |portable| {
        portable.memory.fragments.clear();
    }),
    before_frames("fragment: overlaps are allowed", |portable| {
        for fragments in portable.memory.fragments.values_mut() {
            fragments.next = 0;
        }
    }),
    before_frames(
        "fragment: later ones pass under another epoch",
        |portable| {
            let memory = &mut portable.memory;
            let epoch = u64::from(memory.control.epoch);
            for fragments in memory.fragments.values_mut() {
                fragments.judged = epoch << 32 | fragments.judged & 0xffff_ffff;
            }
        },
    ),
    before_frames("related: flows of an old epoch admit errors", |portable| {
        let memory = &mut portable.memory;
        let epoch = memory.control.epoch;
        for flow in memory.half4.values_mut() {
            flow.judged = Flow::judged(epoch, flow.ruling());
        }
    }),
    before_frames("track: established flows are lost", |portable| {
        portable.memory.flows4.clear();
        portable.memory.flows6.clear();
    }),
    before_frames("track: half-open flows are lost", |portable| {
        portable.memory.half4.clear();
        portable.memory.half6.clear();
    }),
    before_frames("track: one direction establishes a flow", |portable| {
        let memory = &mut portable.memory;
        memory.flows4.extend(memory.half4.drain());
        memory.flows6.extend(memory.half6.drain());
    }),
    before_frames("track: acknowledgements are not recorded", |portable| {
        in_flows(portable, |flow| flow.acknowledged = [0; 2]);
    }),
    before_frames("track: a new connection is always pending", |portable| {
        in_flows(portable, |flow| flow.state |= Flow::REOPENED);
    }),
    before_frames("group: requests to groups are not recorded", |portable| {
        let is_request = |ends: [u32; 2]| ends.contains(&0);
        portable
            .memory
            .half4
            .retain(|key, _| !is_request(key.address));
    }),
    before_frames("time: the clock stands still", |portable| {
        portable.memory.now = 0;
    }),
    before_frames("track: flows are not judged again", |portable| {
        let epoch = portable.memory.control.epoch;
        in_flows(portable, |flow| {
            flow.judged = Flow::judged(epoch, flow.ruling());
        });
    }),
    before_frames("track: both ends count as openers", |portable| {
        in_flows(portable, |flow| {
            flow.state |= Flow::OPENED | Flow::OPENED << 1;
        });
    }),
    in_posture(
        "track: a posture change keeps the epoch",
        |portable, posture| {
            portable.memory.control.posture = posture;
        },
    ),
    in_posture("authorise: one posture too open", |portable, posture| {
        portable.set_posture(posture.saturating_sub(1));
    }),
    in_posture("authorise: the posture does not change", |portable, _| {
        let Control { posture, .. } = portable.memory.control;
        portable.set_posture(posture);
    }),
    before_frames("boundary: a device crosses at any time", |portable| {
        for limit in portable.memory.limits.values_mut() {
            limit.resolved = 0;
        }
    }),
    before_frames(
        "boundary: a device that crossed once crosses never",
        |portable| {
            let memory = &mut portable.memory;
            for limit in memory.limits.values_mut() {
                limit.resolve(memory.now);
            }
        },
    ),
    before_frames("forward: the FDB is empty", |portable| {
        portable.memory.stations.clear();
    }),
    before_frames(
        "forward: the FDB has all stations at the first port",
        |portable| {
            for station in portable.memory.stations.values_mut() {
                station.location &= Station::UPLINK | 0x00ff_ffff;
            }
        },
    ),
    before_frames("forward: the FDB loses the inner VLAN", |portable| {
        for station in portable.memory.stations.values_mut() {
            station.location &= 0xffff_f000;
        }
    }),
];

/// Not in [`super::FAULTS`]: generated frames hardly ever reach the limit within one tick.
pub const RESERVE_IS_NOT_KEPT: Fault =
    before_frames("storm: the reserve for devices is not kept", |portable| {
        for rate in portable.memory.rates.values_mut() {
            rate.unlisted_groups = 0;
        }
    });

/// Not in [`super::FAULTS`]: generated frames never reach the limit within one tick.
pub const COPIES_ARE_NOT_COUNTED: Fault =
    before_frames("forward: flood copies are not counted", |portable| {
        portable
            .memory
            .rates
            .values_mut()
            .for_each(|rate| (rate.copies, rate.unlisted_copies) = (0, 0));
    });

fn in_flows(portable: &mut Portable, change: impl Fn(&mut Flow)) {
    let memory = &mut portable.memory;
    memory.flows4.values_mut().for_each(&change);
    memory.flows6.values_mut().for_each(&change);
}
