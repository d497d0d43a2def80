//! The numbers of segments in the tables.

use crate::MAX_SEGMENTS;
use crate::model::Segment;

/// Gives every segment a number by a hash of its name. Of two names with the same hash, the second in alphabetical order
/// takes the next free number. So adding or removing a segment renumbers another one only if their hashes collide: about
/// one segment in forty at a hundred segments.
pub fn assign(segments: &mut [Segment]) {
    let mut order: Vec<usize> = (0..segments.len()).collect();
    order.sort_by(|one, other| segments[*one].name.cmp(&segments[*other].name));
    let mut taken = vec![false; MAX_SEGMENTS];
    for index in order {
        let mut number = preferred(&segments[index].name);
        while taken[number] {
            number = (number + 1) % MAX_SEGMENTS;
        }
        taken[number] = true;
        segments[index].number = number as u16;
    }
}

/// 32-bit FNV-1a (draft-eastlake-fnv §2), folded to the range of segment numbers.
fn preferred(name: &str) -> usize {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash ^ hash >> 16) as usize % MAX_SEGMENTS
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
        let policy = from_sources(&sources).expect("is valid").policy;
        let segments = policy.segments.into_iter();
        segments
            .map(|segment| (segment.name, segment.number))
            .collect()
    }

    #[test]
    fn a_segment_keeps_its_number_when_others_are_added_removed_or_reordered() {
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
    fn no_two_segments_share_a_number() {
        let names: Vec<String> = (0..1500).map(|at| format!("ward-{at}")).collect();
        let mut all: Vec<u16> = numbers(&names).into_values().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), names.len());
        assert!(
            all.iter()
                .all(|number| usize::from(*number) < crate::MAX_SEGMENTS)
        );
    }
}
