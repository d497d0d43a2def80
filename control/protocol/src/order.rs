//! Orders: quarantine and release.

use serde::{Deserialize, Serialize};

/// What an order applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The whole site.
    Site,
}

/// The kind of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderKind {
    /// Closes the scope.
    Quarantine,
    /// Opens the scope again, to posture `normal`.
    Release,
}

/// A request for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// Its kind.
    pub kind: OrderKind,
    /// What it applies to.
    pub scope: Scope,
    /// The posture; `normal` for a release.
    pub posture: String,
    /// The reason; not empty.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
    /// The name that the caller gives; the gateway adds the user ID of the caller.
    #[serde(default)]
    pub by: Option<String>,
    /// Seconds after which it ends by itself; none: it ends by a release only.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its sequence number, from 1, without gaps.
    pub sequence: u64,
    /// Its kind.
    pub kind: OrderKind,
    /// What it applies to.
    pub scope: Scope,
    /// The posture.
    pub posture: String,
    /// The previous posture.
    pub before: String,
    /// The reason.
    pub reason: String,
    /// The ticket.
    pub ticket: Option<String>,
    /// The name that the caller gave, and the user ID of the caller on the socket.
    pub by: String,
    /// When the gateway received it.
    pub time: String,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Milliseconds from its receipt until no packet is judged under the previous posture any more. None until then.
    pub in_force_milliseconds: Option<f64>,
    /// A problem with an order that is in force: for example, that it is not durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}
