//! The shapes of the API: what can be read can be written, and read again as the same.

use std::fmt::Debug;

use cordon_protocol::{
    Applied, Apply, Device, Event, Explanation, Failure, Flows, NewOrder, Observed, Order,
    Question, Rule, Status,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Tries a body, or what is behind the head of a request, as each of them.
pub(super) fn round_trip(part: &[u8]) {
    let head = part.windows(4).position(|window| window == b"\r\n\r\n");
    let body = &part[head.map_or(0, |at| at + 4)..];
    holds_as::<Apply>(body);
    holds_as::<NewOrder>(body);
    holds_as::<Question>(body);
    holds_as::<Status>(body);
    holds_as::<Vec<Device>>(body);
    holds_as::<Vec<Rule>>(body);
    holds_as::<Flows>(body);
    holds_as::<Observed>(body);
    holds_as::<Event>(body);
    holds_as::<Vec<Order>>(body);
    holds_as::<Vec<Explanation>>(body);
    holds_as::<Applied>(body);
    holds_as::<Failure>(body);
}

fn holds_as<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(body) else {
        return;
    };
    let written = serde_json::to_vec(&value).expect("can be written");
    let again: T = serde_json::from_slice(&written).expect("can be read again");
    assert_eq!(value, again);
}
