//! The examples are valid, and reading never panics.

use std::path::Path;

use cordon_policy::{Origin, Posture, Sources, from_sources, load};
use proptest::prelude::*;

fn example() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manchester-memorial")
}

#[test]
fn the_example_of_a_hospital_is_valid_without_warnings() {
    let validated = load(&example()).expect("is valid");
    let policy = validated.policy;
    assert_eq!(validated.warnings, []);
    assert_eq!(policy.site, "manchester-memorial");
    assert_eq!(policy.segments.len(), 5);
    let continuity: Vec<_> = policy
        .rules
        .iter()
        .filter(|rule| rule.continuity() && rule.origin == Origin::Written)
        .collect();
    assert_eq!(continuity.len(), 4);
    assert!(
        continuity
            .iter()
            .all(|rule| rule.survives == Some(Posture::Lockdown))
    );
    let last = policy.rules.last().expect("has rules");
    assert_eq!(
        (last.name.as_str(), last.origin),
        ("segment:stations", Origin::Segment)
    );
}

/// It has a VLAN per device, protected switch ports, and double tags.
#[test]
fn the_example_of_a_clinic_is_valid_without_warnings() {
    let directory = example().with_file_name("crozer-outpatient");
    let validated = load(&directory).expect("is valid");
    assert_eq!(validated.warnings, []);
    let policy = validated.policy;
    let one_by_one: Vec<bool> = policy
        .segments
        .iter()
        .map(|segment| segment.copied_one_by_one())
        .collect();
    assert_eq!(one_by_one, [true, true, false]);
}

#[test]
fn the_error_for_a_missing_directory_has_its_path() {
    let error = load(Path::new("/no/such/directory")).expect_err("does not exist");
    assert!(
        error.to_string().contains("/no/such/directory/site.yaml"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Random text as files.
    #[test]
    fn reading_random_text_never_panics(site in ".{0,200}", policy in ".{0,200}", devices in ".{0,200}") {
        let _ = from_sources(&Sources { site, policy: Some(policy), devices: Some(devices) });
    }

    /// The example with one random replacement.
    #[test]
    fn reading_a_damaged_example_never_panics(file in 0..3usize, at in 0.0..1.0f64, length in 0..20usize, with in "[\\PC\n\t]{0,8}") {
        let mut sources = cordon_policy::read(&example()).expect("is read");
        let text = match file {
            0 => &mut sources.site,
            1 => sources.policy.get_or_insert_default(),
            _ => sources.devices.get_or_insert_default(),
        };
        let from = text.floor_char_boundary((at * text.len() as f64) as usize);
        let to = text.floor_char_boundary((from + length).min(text.len()));
        text.replace_range(from..to.max(from), &with);
        let _ = from_sources(&sources);
    }
}
