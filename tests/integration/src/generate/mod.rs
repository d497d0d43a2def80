//! Policies and frames by chance: few names and addresses, so that what is made meets, matches, collides and
//! spoofs; the same from the same seed.

mod edit;
pub mod frame;
mod policy;
mod pools;
mod talk;

pub use fastrand::Rng;
pub use policy::sources;
pub use talk::Talk;

/// One of these.
fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// True this often of a hundred times.
fn percent(rng: &mut Rng, share: u8) -> bool {
    rng.u8(..100) < share
}
