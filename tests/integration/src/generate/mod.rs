//! Policies and frames by chance: few names and addresses, so that what is made meets, matches, collides and
//! spoofs; the same from the same seed.

mod adorn;
mod control;
mod edit;
mod errors;
mod fragments;
pub mod frame;
mod fresh;
mod membership;
pub(crate) mod places;
mod policy;
mod pools;
mod resolve;
mod talk;

use cordon_policy::Mac;

pub use fastrand::Rng;
pub use policy::sources;
pub use talk::Talk;

/// The MAC address of the gateway itself.
pub const GATEWAY: [u8; 6] = [0x02, 0x43, 0x4f, 0x52, 0x44, 0x4e];

/// Destination, source, EtherType, and what is behind it.
type Layers = (Mac, Mac, u16, Vec<u8>);

/// One of these.
pub(crate) fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// True this often of a hundred times.
fn percent(rng: &mut Rng, share: u8) -> bool {
    rng.u8(..100) < share
}
