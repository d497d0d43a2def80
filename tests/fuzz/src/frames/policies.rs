//! The policies for frames: two written by hand, the others generated.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cordon_integration::differential::Sides;
use cordon_integration::generate::{Rng, sources};
use cordon_policy::{Policy, Posture, Sources, from_sources};

/// A policy and its sources.
pub(super) type WithSources = Box<(Sources, Policy)>;

/// A policy and sides on which it is installed. Made once per policy: compiling takes longer than many frames.
pub(super) struct Ready {
    pub policy: WithSources,
    pub sides: Sides,
}

thread_local! {
    static READY: RefCell<HashMap<u8, Rc<Ready>>> = RefCell::default();
}

/// The policy with a number.
pub(super) fn ready(number: u8) -> Rc<Ready> {
    READY.with_borrow_mut(|ready| Rc::clone(ready.entry(number).or_insert_with(|| make(number))))
}

fn make(number: u8) -> Rc<Ready> {
    let sources = match number {
        0 => hospital(),
        1 => example(),
        seed => sources(&mut Rng::with_seed(seed.into()), true),
    };
    let policy = from_sources(&sources).expect("is a policy").policy;
    let mut sides = Sides::new(None, None);
    sides.install(&policy, Posture::Normal);
    let policy = Box::new((sources, policy));
    Rc::new(Ready { policy, sides })
}

/// The policy of the integration tests.
fn hospital() -> Sources {
    Sources {
        site: include_str!("../../../integration/hospital/site.yaml").to_owned(),
        policy: Some(include_str!("../../../integration/hospital/policy.yaml").to_owned()),
        devices: Some(include_str!("../../../integration/hospital/devices.csv").to_owned()),
    }
}

/// The example policy of the documentation.
fn example() -> Sources {
    macro_rules! text {
        ($file:literal) => {
            include_str!(concat!(
                "../../../../control/policy/examples/manchester-memorial/",
                $file
            ))
            .to_owned()
        };
    }
    Sources {
        site: text!("site.yaml"),
        policy: Some(text!("policy.yaml")),
        devices: Some(text!("devices.csv")),
    }
}
