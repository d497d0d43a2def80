//! The numbers of segments.

use crate::SEGMENTS;
use crate::model::Segment;

/// Gives every segment a number that follows from its name: where two names would have the same one, the second by name
/// takes the next that is free. So a segment that comes or goes changes another's number only where their numbers meet,
/// which of a hundred segments hardly one in forty does.
pub fn assign(segments: &mut [Segment]) {
    let mut order: Vec<usize> = (0..segments.len()).collect();
    order.sort_by(|one, other| segments[*one].name.cmp(&segments[*other].name));
    let mut taken = vec![false; SEGMENTS];
    for index in order {
        let mut number = wanted(&segments[index].name);
        while taken[number] {
            number = (number + 1) % SEGMENTS;
        }
        taken[number] = true;
        segments[index].number = number as u16;
    }
}

/// FNV-1a, 32 bits (draft-eastlake-fnv §2), cut down to a number of a segment.
fn wanted(name: &str) -> usize {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash ^ hash >> 16) as usize % SEGMENTS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{Sources, from_sources};

    fn numbers(names: &[String]) -> BTreeMap<String, u16> {
        use std::fmt::Write as _;
        let mut site = "site: t\nports: {a: {device: a}, b: {device: b}}\nsegments:\n".to_owned();
        for (at, name) in names.iter().enumerate() {
            let vlan = at + 1;
            writeln!(site, "  {name}: {{attach: [a.{vlan}, b.{vlan}]}}").expect("a string");
        }
        let sources = Sources {
            site,
            ..Sources::default()
        };
        let policy = from_sources(&sources).expect("is right").policy;
        let segments = policy.segments.into_iter();
        segments
            .map(|segment| (segment.name, segment.number))
            .collect()
    }

    #[test]
    fn a_segment_keeps_its_number_whoever_comes_goes_or_moves() {
        let names: Vec<String> = ["imaging", "monitors", "pumps", "stations", "guest"]
            .map(str::to_owned)
            .into();
        let before = numbers(&names);
        let mut others = names.clone();
        others.reverse();
        others.insert(0, "surgery".to_owned());
        others.retain(|name| name != "pumps");
        let after = numbers(&others);
        for (name, number) in &after {
            assert!(
                before.get(name).is_none_or(|before| before == number),
                "{name}"
            );
        }
    }

    #[test]
    fn no_two_have_the_same() {
        let names: Vec<String> = (0..1500).map(|at| format!("ward-{at}")).collect();
        let mut all: Vec<u16> = numbers(&names).into_values().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), names.len());
        assert!(
            all.iter()
                .all(|number| usize::from(*number) < crate::SEGMENTS)
        );
    }
}
