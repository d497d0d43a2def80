//! The types of the API: a value that can be parsed is equal after it is written and parsed again.

use std::fmt::Debug;

use cordon_protocol::{
    Applied, Apply, Device, Event, Explanation, Failure, Flows, NewOrder, Observed, Order,
    Question, Rule, Status,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Parses a request's body (or input without a header) as each type.
pub(super) fn round_trip(part: &[u8]) {
    let head = part.windows(4).position(|window| window == b"\r\n\r\n");
    let body = &part[head.map_or(0, |at| at + 4)..];
    check_as::<Apply>(body);
    check_as::<NewOrder>(body);
    check_as::<Question>(body);
    check_as::<Status>(body);
    check_as::<Vec<Device>>(body);
    check_as::<Vec<Rule>>(body);
    check_as::<Flows>(body);
    check_as::<Observed>(body);
    check_as::<Event>(body);
    check_as::<Vec<Order>>(body);
    check_as::<Vec<Explanation>>(body);
    check_as::<Applied>(body);
    check_as::<Failure>(body);
}

fn check_as<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(body) else {
        return;
    };
    let written = serde_json::to_vec(&value).expect("can be written");
    let again: T = serde_json::from_slice(&written).expect("can be read again");
    assert_eq!(value, again);
}
