//! Orders: quarantine and release.

use serde::{Deserialize, Serialize};

/// What an order bears on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The whole site.
    Site,
}

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderKind {
    /// Closes.
    Quarantine,
    /// Opens again, to `normal`.
    Release,
}

/// An order to be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// Which way.
    pub kind: OrderKind,
    /// On what.
    pub scope: Scope,
    /// The posture; `normal` for a release.
    pub posture: String,
    /// Why. Not empty.
    pub reason: String,
    /// The ticket it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
    /// Who gives it, as they say; the gateway adds who it saw.
    #[serde(default)]
    pub by: Option<String>,
    /// After how many seconds it ends by itself; none: only by a release.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// An order that was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its sequence number, from 1, without gaps.
    pub sequence: u64,
    /// Which way.
    pub kind: OrderKind,
    /// On what.
    pub scope: Scope,
    /// The posture.
    pub posture: String,
    /// The posture before.
    pub before: String,
    /// Why.
    pub reason: String,
    /// The ticket.
    pub ticket: Option<String>,
    /// Who gave it: the name they gave, and the user ID that the socket saw.
    pub by: String,
    /// When it was received.
    pub time: String,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Milliseconds from its receipt until no packet was judged by the posture before. None while that is not so.
    pub in_force_milliseconds: Option<f64>,
    /// What is wrong with it all the same: it is in force but could not be made durable, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}
