//! Random policies and frames, reproducible from a seed. They use few names and addresses, so that frames match rules
//! and flows, collide and spoof.

mod control;
pub(crate) mod edit;
mod errors;
mod fragments;
pub mod frame;
mod fresh;
mod generator;
mod headers;
mod membership;
pub(crate) mod offsets;
mod policy;
mod pools;
mod resolve;

use cordon_policy::Mac;

pub use fastrand::Rng;
pub use generator::FrameGenerator;
pub use policy::sources;

/// The gateway's own MAC address.
pub const GATEWAY: [u8; 6] = [0x02, 0x43, 0x4f, 0x52, 0x44, 0x4e];

/// Destination, source, EtherType, and the payload of the frame.
type Layers = (Mac, Mac, u16, Vec<u8>);

/// A random element.
pub(crate) fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// True with a probability of `share` percent.
fn percent(rng: &mut Rng, share: u8) -> bool {
    rng.u8(..100) < share
}
