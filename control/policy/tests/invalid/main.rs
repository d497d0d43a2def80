//! Invalid policies, each with the error that it must give: file, line, column, kind, message and hint.

mod devices;
mod policy;
mod site;

use cordon_policy::{Sources, from_sources};

/// A valid site, which the cases change in one place.
const SITE: &str = "\
site: clinic
ports:
  access0: {device: eth1}
  core0: {device: eth2, uplink: true}
segments:
  imaging: {attach: [access0.210, core0.210], subnets: [10.21.0.0/24], isolate: true}
  stations: {attach: [access0.230, core0.230], subnets: [10.23.0.0/24]}
zones:
  clinical: {segments: [imaging]}
  world: {networks: [0.0.0.0/0]}
";

const DEVICES: &str = "\
name,mac,ips,segment,profile
ct-1,02:00:5e:10:00:01,10.21.0.11,imaging,ct-scanner
ws-1,02:00:5e:10:00:02,10.23.0.11,stations,workstation
";

/// The site with one piece of text replaced.
fn site(old: &str, new: &str) -> Sources {
    assert!(SITE.contains(old), "the site has no `{old}`");
    with(SITE.replacen(old, new, 1), "", DEVICES)
}

fn policy(text: &str) -> Sources {
    with(SITE.to_owned(), text, DEVICES)
}

fn devices(line: &str) -> Sources {
    with(SITE.to_owned(), "", &format!("{DEVICES}{line}\n"))
}

fn with(site: String, policy: &str, devices: &str) -> Sources {
    Sources {
        site,
        policy: Some(policy.to_owned()),
        devices: Some(devices.to_owned()),
    }
}

/// What must be among the errors: `file:line:column: kind: part of the message`, and a part of the hint.
type Case = (&'static str, Sources, &'static str, &'static str);

fn cases() -> Vec<Case> {
    [site::cases(), policy::cases(), devices::cases()].concat()
}

#[test]
fn every_invalid_policy_gives_its_error() {
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let mut failures = Vec::new();
    for (name, sources, expected, hint) in cases {
        let Err(rejected) = from_sources(&sources) else {
            failures.push(format!("{name}: was accepted"));
            continue;
        };
        let shown: Vec<_> = rejected
            .problems
            .iter()
            .map(|problem| {
                let position = problem.position;
                let file = position.file.name();
                let text = format!(
                    "{file}:{}:{}: {}: {}",
                    position.line,
                    position.column,
                    problem.code.name(),
                    problem.message
                );
                (text, problem.hint.clone().unwrap_or_default())
            })
            .collect();
        if !shown
            .iter()
            .any(|(text, given)| text.starts_with(expected) && given.contains(hint))
        {
            failures.push(format!(
                "{name}: expected `{expected}` with a hint like `{hint}`, got {shown:#?}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_policy_that_the_invalid_ones_derive_from_is_valid() {
    from_sources(&policy("")).expect("is valid");
}

/// The errors of an invalid policy, as text.
fn errors_of(sources: &Sources) -> Vec<String> {
    let rejected = from_sources(sources).expect_err("is invalid");
    rejected.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_with_another_separator_gives_one_error() {
    for (header, separator) in [
        ("name;mac;ips;segment", "semicolons"),
        ("name\tmac\tips\tsegment", "tabs"),
    ] {
        let sources = with(SITE.into(), "", &format!("{header}\n{header}\n"));
        let hint =
            "the first line must be `name,mac,ips,segment,profile,function,criticality,port`";
        assert_eq!(
            errors_of(&sources),
            [format!(
                "devices.csv:1:1: separate fields with commas, not with {separator}\n    {hint}"
            )]
        );
    }
}

#[test]
fn an_unknown_column_gives_one_error() {
    let devices = "name,mac,segment,asset\nct-1,02:00:5e:10:00:01,imaging,4711\nct-2,02:00:5e:10:00:02,imaging,4712\n";
    let errors = errors_of(&with(SITE.into(), "", devices));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("devices.csv:1:18: there is no column `asset`"));
}

#[test]
fn an_inventory_saved_by_a_spreadsheet_is_read() {
    let devices = "\u{feff}Name, MAC ,IPs,Segment\r\nct-1,02:00:5e:10:00:01,10.21.0.11,imaging\r\n,,,\r\n , ,,,,,\r\nct-2,02:00:5e:10:00:02,,imaging\r\n,,,\r\n";
    let policy = from_sources(&with(SITE.into(), "", devices))
        .expect("is valid")
        .policy;
    let read: Vec<_> = policy
        .devices
        .iter()
        .map(|device| (device.name.as_str(), device.ips.len(), device.position.line))
        .collect();
    assert_eq!(read, [("ct-1", 1, 2), ("ct-2", 0, 5)]);
}

#[test]
fn a_zone_with_the_name_of_a_segment_that_it_does_not_list_gives_one_error() {
    let site = SITE.replace("clinical: {segments", "stations: {segments");
    let errors = errors_of(&with(site, "", DEVICES));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("site.yaml:7:3: segment `stations` is in no zone"),
        "{errors:?}"
    );
}

#[test]
fn an_invalid_name_gives_its_own_error_and_no_further_ones() {
    let site = SITE
        .replace("stations:", "Stations:")
        .replace("world:", "World:");
    let devices = DEVICES.lines().take(2).collect::<Vec<_>>().join("\n");
    let policy = "groups:\n  Ct: {profile: ct-scanner}\nrules:\n  - {name: r, from: i, to: zzzzzz, service: any}\n";
    let errors = errors_of(&with(site, policy, &devices));
    assert_eq!(errors.len(), 5, "{errors:#?}");
    for name in ["`Stations`", "`World`", "`Ct`"] {
        let about = errors.iter().filter(|error| error.contains(name)).count();
        assert_eq!(about, 1, "{name}: {errors:#?}");
    }
    for error in &errors {
        assert!(!error.contains("``") && !error.contains(": ,"), "{error}");
    }
}

#[test]
fn all_errors_of_all_files_are_reported_at_once_in_order() {
    let sources = with(
        SITE.replace("uplink: true", "uplink: 1")
            .replace("isolate: true", "isolat: true"),
        "rules:\n  - {name: r, from: no-group, to: any, service: no-service}\n",
        "name,mac,ips,segment\na,x,y,z\n",
    );
    let rejected = from_sources(&sources).expect_err("is invalid");
    let places: Vec<_> = rejected
        .problems
        .iter()
        .map(|problem| (problem.position.file.name(), problem.position.line))
        .collect();
    let expected = [
        ("site.yaml", 4),
        ("site.yaml", 6),
        ("policy.yaml", 2),
        ("policy.yaml", 2),
        ("devices.csv", 2),
        ("devices.csv", 2),
        ("devices.csv", 2),
    ];
    assert_eq!(places, expected);
}
