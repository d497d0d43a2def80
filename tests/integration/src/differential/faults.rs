//! Ways to be wrong, one or more for each stage: the comparison must find every one of them.

use cordon_portable::{Generation, Portable};

/// Something that makes user space decide wrongly.
#[derive(Clone, Copy)]
pub struct Fault {
    /// The stage, and what is wrong with it.
    pub name: &'static str,
    /// Done to the tables of every policy.
    pub generation: fn(&mut Generation),
    /// How the posture is changed.
    pub posture: fn(&mut Portable, u8),
    /// Done before every frame.
    pub before: fn(&mut Portable),
    /// What is judged instead of a frame.
    pub frame: fn(&[u8]) -> Vec<u8>,
}

const NONE: Fault = Fault {
    name: "none",
    generation: |_| {},
    posture: |portable, posture| portable.set_posture(posture),
    before: |_| {},
    frame: <[u8]>::to_vec,
};

/// All of them.
pub const FAULTS: &[Fault] = &[NONE];
