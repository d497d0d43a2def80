//! The floods, and the reasons for which their frames may be dropped.

use anyhow::{Result, bail};

use crate::payload::Payload;

/// A flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flood {
    /// No flood, for comparison.
    Idle,
    /// hping3 at full rate, one process for each processor.
    Hping3(Payload),
    /// Frames that the kernel generates, at a higher rate than any program.
    Kernel(Payload),
}

/// All floods.
pub const FLOODS: [Flood; 11] = [
    Flood::Idle,
    Flood::Hping3(Payload::Syn),
    Flood::Hping3(Payload::Udp),
    Flood::Hping3(Payload::Icmp),
    Flood::Hping3(Payload::Fragments),
    Flood::Hping3(Payload::RandomSources),
    Flood::Kernel(Payload::Syn),
    Flood::Kernel(Payload::Udp),
    Flood::Kernel(Payload::Icmp),
    Flood::Kernel(Payload::Fragments),
    Flood::Kernel(Payload::RandomSources),
];

impl Flood {
    /// Its name in records.
    pub fn name(self) -> String {
        match self {
            Flood::Idle => "idle".to_string(),
            Flood::Hping3(payload) => payload.name().to_string(),
            Flood::Kernel(payload) => format!("kernel-{}", payload.name()),
        }
    }

    /// The reasons for which the flood's own frames may be dropped.
    fn own_reasons(self) -> &'static [&'static str] {
        let (Flood::Hping3(payload) | Flood::Kernel(payload)) = self else {
            return &[];
        };
        match payload {
            Payload::Syn | Payload::Udp => &["flow-limit"],
            Payload::Icmp => &["no-rule"],
            Payload::Fragments => &["flow-limit", "fragment"],
            // Loopback and group addresses are among the random sources.
            Payload::RandomSources => &["address-binding", "martian"],
        }
    }
}

/// Dropped frames by reason.
pub type Drops = [(String, u64)];

/// Checks that only the flood's own frames were dropped, by the reasons of the drops.
///
/// # Errors
/// If frames were dropped for another reason.
pub fn check_drops(flood: Flood, before: &Drops, after: &Drops) -> Result<()> {
    let own = flood.own_reasons();
    for (reason, count) in after {
        let before = before.iter().find(|(other, _)| other == reason);
        let rose = count - before.map_or(0, |(_, count)| *count);
        if rose != 0 && !own.contains(&reason.as_str()) {
            bail!(
                "{} flood: {rose} frames were dropped for {reason}",
                flood.name()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_for_other_reasons_than_the_floods_own_are_reported() {
        let counts = |all: &[(&str, u64)]| -> Vec<(String, u64)> {
            let all = all.iter();
            all.map(|(reason, count)| (reason.to_string(), *count))
                .collect()
        };
        let before = counts(&[("no-rule", 3), ("posture", 1)]);
        let fails =
            |flood, after: &[(&str, u64)]| check_drops(flood, &before, &counts(after)).is_err();
        let icmp = Flood::Kernel(Payload::Icmp);
        assert!(!fails(icmp, &[("no-rule", 9000), ("posture", 1)]));
        assert!(fails(icmp, &[("no-rule", 9000), ("posture", 2)]));
        assert!(fails(icmp, &[("no-rule", 3), ("posture", 1), ("rule", 1)]));
        assert!(fails(Flood::Idle, &[("no-rule", 4), ("posture", 1)]));
    }
}
