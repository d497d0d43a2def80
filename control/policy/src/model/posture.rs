//! Postures, and how far a flow reaches.

use std::fmt;
use std::str::FromStr;

use super::Policy;

/// How far a scope is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Posture {
    /// Everything that the rules allow.
    Normal,
    /// Rules with `survives: normal` no longer apply.
    Watch,
    /// The site is cut off from the wider network; traffic inside it continues.
    Contain,
    /// Zones are cut off from each other too.
    Isolate,
    /// Only rules with `survives: lockdown` apply.
    Lockdown,
    /// No frame is forwarded; the gateway's management interface still answers.
    Sever,
}

impl Posture {
    /// From the most open to the most closed.
    pub const ALL: [Posture; 6] = [
        Posture::Normal,
        Posture::Watch,
        Posture::Contain,
        Posture::Isolate,
        Posture::Lockdown,
        Posture::Sever,
    ];

    /// Its name in policies, orders and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Posture::Normal => "normal",
            Posture::Watch => "watch",
            Posture::Contain => "contain",
            Posture::Isolate => "isolate",
            Posture::Lockdown => "lockdown",
            Posture::Sever => "sever",
        }
    }

    /// What still passes at it, in one phrase.
    pub const fn help(self) -> &'static str {
        match self {
            Posture::Normal => "everything that the rules allow",
            Posture::Watch => {
                "everything except rules with `survives: normal`, such as vendor access"
            }
            Posture::Contain => {
                "the site is cut off from the wider network; traffic inside it continues"
            }
            Posture::Isolate => "zones are cut off from each other too",
            Posture::Lockdown => "only rules with `survives: lockdown` apply",
            Posture::Sever => {
                "no frame is forwarded; the gateway's management interface still answers"
            }
        }
    }

    /// The posture with a number, 0 (`normal`) to 5 (`sever`).
    pub fn from_number(number: u8) -> Option<Posture> {
        Posture::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Posture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Posture {
    type Err = String;

    fn from_str(text: &str) -> Result<Posture, String> {
        let found = Posture::ALL
            .into_iter()
            .find(|posture| posture.name() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Posture::ALL.iter().map(|posture| posture.name()).collect();
            format!(
                "`{text}` is not a posture; use one of: {}",
                names.join(", ")
            )
        })
    }
}

/// How far a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Both ends are in one zone of the site.
    WithinZone,
    /// The ends are in two zones of the site.
    BetweenZones,
    /// At least one end is outside the site.
    AcrossBoundary,
}

impl Reach {
    /// The reach between two zones, by index. `None` is an end in no zone: it counts as outside the site.
    pub fn between(policy: &Policy, from: Option<usize>, to: Option<usize>) -> Reach {
        let local = |zone: Option<usize>| zone.is_some_and(|zone| policy.zones[zone].local);
        match (local(from), local(to)) {
            (true, true) if from == to => Reach::WithinZone,
            (true, true) => Reach::BetweenZones,
            _ => Reach::AcrossBoundary,
        }
    }

    /// `survives` of a rule that does not set it.
    pub const fn default_survives(self) -> Posture {
        match self {
            Reach::WithinZone => Posture::Isolate,
            Reach::BetweenZones => Posture::Contain,
            Reach::AcrossBoundary => Posture::Watch,
        }
    }

    /// As a phrase for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Reach::WithinZone => "within the zone",
            Reach::BetweenZones => "between zones",
            Reach::AcrossBoundary => "across the site boundary",
        }
    }
}
