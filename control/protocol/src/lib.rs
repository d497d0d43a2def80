//! Types of the gateway's local API: JSON over HTTP on a Unix socket.
//!
//! | call | request | answer |
//! | --- | --- | --- |
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/devices` | | [`Vec<Device>`](Device) |
//! | `GET /v1/rules` | | [`Vec<Rule>`](Rule) |
//! | `GET /v1/flows?limit=N&device=NAME` | [`FlowQuery`] as query parameters | [`Flows`] |
//! | `GET /v1/observed` | | [`Observed`] |
//! | `GET /v1/events` | | one [`Event`] per line, until the client disconnects |
//! | `GET /v1/orders` | | [`Vec<Order>`](Order) |
//! | `POST /v1/explain` | [`Question`] | [`Vec<Explanation>`](Explanation), one per protocol and port |
//! | `POST /v1/policy` | [`Apply`] | [`Applied`] |
//! | `POST /v1/policy/confirm` | | [`Applied`] |
//! | `POST /v1/orders` | [`NewOrder`] | [`Order`], once it is in force |
//!
//! Errors have a status of 4xx or 5xx and a [`Failure`] as body. Times are RFC 3339, in UTC.

mod explain;
mod failure;
mod flow;
mod observed;
mod order;
mod policy;
mod status;
mod text;

pub use explain::{AtPosture, Explanation, Question};
pub use failure::{Failure, FailureCode, Problem};
pub use flow::{Endpoint, Event, EventKind, Flow, FlowQuery, FlowState, Flows, WouldDrop};
pub use observed::{Observed, ObservedConversation, ObservedEnd, ObservedSegment, Party};
pub use order::{NewOrder, Order, OrderKind, Scope};
pub use policy::{Applied, Apply, Sources};
pub use status::{
    Device, DeviceState, DropCount, FlowCount, PolicyStatus, Port, Rule, Segment, Status,
};
pub use text::{escape, is_unprintable};

/// Default path of the Unix socket of the gateway.
pub const SOCKET: &str = "/run/cordon/cordond.sock";
