//! Faults that are put into one side on purpose, some for each stage. The differential test must find every one.

use cordon_portable::{Judged, Portable};
use cordon_tables::Generation;

mod frames;
mod output;
mod state;
mod tables;

pub use state::{COPIES_ARE_NOT_COUNTED, RESERVE_IS_NOT_KEPT};

/// A change that makes one side decide wrongly.
#[derive(Clone, Copy)]
pub struct Fault {
    /// The stage, and the fault in it.
    pub name: &'static str,
    /// Changes the tables of every policy.
    pub generation: fn(&mut Generation),
    /// Changes user space's posture.
    pub posture: fn(&mut Portable, u8),
    /// Changes user space before every frame.
    pub before: fn(&mut Portable),
    /// Returns the frame that user space judges in place of the given one.
    pub frame: fn(&[u8]) -> Vec<u8>,
    /// Changes user space's result for a frame that came in by a port.
    pub after: fn(u16, &[u8], &mut Judged),
}

const NONE: Fault = Fault {
    name: "none",
    generation: |_| {},
    posture: |portable, posture| portable.set_posture(posture),
    before: |_| {},
    frame: <[u8]>::to_vec,
    after: |_, _, _| {},
};

const fn in_tables(name: &'static str, generation: fn(&mut Generation)) -> Fault {
    Fault {
        name,
        generation,
        ..NONE
    }
}

const fn before_frames(name: &'static str, before: fn(&mut Portable)) -> Fault {
    Fault {
        name,
        before,
        ..NONE
    }
}

const fn in_frames(name: &'static str, frame: fn(&[u8]) -> Vec<u8>) -> Fault {
    Fault {
        name,
        frame,
        ..NONE
    }
}

const fn in_output(name: &'static str, after: fn(u16, &[u8], &mut Judged)) -> Fault {
    Fault {
        name,
        after,
        ..NONE
    }
}

const fn in_posture(name: &'static str, posture: fn(&mut Portable, u8)) -> Fault {
    Fault {
        name,
        posture,
        ..NONE
    }
}

const COUNT: usize =
    frames::FAULTS.len() + tables::FAULTS.len() + state::FAULTS.len() + output::FAULTS.len();

/// All faults.
pub const FAULTS: &[Fault] = &ALL;

const ALL: [Fault; COUNT] = {
    let groups: [&[Fault]; 4] = [
        &frames::FAULTS,
        &tables::FAULTS,
        &state::FAULTS,
        &output::FAULTS,
    ];
    let mut all = [NONE; COUNT];
    let (mut group, mut count) = (0, 0);
    while group < groups.len() {
        let mut at = 0;
        while at < groups[group].len() {
            all[count] = groups[group][at];
            at += 1;
            count += 1;
        }
        group += 1;
    }
    all
};
