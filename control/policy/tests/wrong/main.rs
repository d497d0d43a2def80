//! Wrong policies, each with the error that it must give: file, line, column, kind, and what is said.

mod devices;
mod policy;
mod site;

use cordon_policy::{Sources, from_sources};

/// A site that is right, to be changed in one place.
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
fn every_wrong_policy_gives_its_error() {
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
                let place = problem.place;
                let file = place.file.name();
                let text = format!(
                    "{file}:{}:{}: {}: {}",
                    place.line,
                    place.column,
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
fn the_policy_that_the_wrong_ones_were_made_from_is_right() {
    from_sources(&policy("")).expect("is right");
}

/// Everything that is said of a policy that is wrong.
fn said(sources: &Sources) -> Vec<String> {
    let rejected = from_sources(sources).expect_err("is wrong");
    rejected.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_without_commas_is_told_of_once() {
    for (header, separator) in [
        ("name;mac;ips;segment", "semicolons"),
        ("name\tmac\tips\tsegment", "tabs"),
    ] {
        let sources = with(SITE.into(), "", &format!("{header}\n{header}\n"));
        let hint = "the first line is `name,mac,ips,segment,profile,function,criticality,port`";
        assert_eq!(
            said(&sources),
            [format!(
                "devices.csv:1:1: separate fields with commas, not with {separator}\n    {hint}"
            )]
        );
    }
}

#[test]
fn a_column_too_many_is_told_of_once() {
    let devices = "name,mac,segment,asset\nct-1,02:00:5e:10:00:01,imaging,4711\nct-2,02:00:5e:10:00:02,imaging,4712\n";
    let said = said(&with(SITE.into(), "", devices));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("devices.csv:1:18: there is no column `asset`"));
}

#[test]
fn what_a_spreadsheet_makes_of_an_inventory_is_read() {
    let devices = "\u{feff}Name, MAC ,IPs,Segment\r\nct-1,02:00:5e:10:00:01,10.21.0.11,imaging\r\n,,,\r\n , ,,,,,\r\nct-2,02:00:5e:10:00:02,,imaging\r\n,,,\r\n";
    let policy = from_sources(&with(SITE.into(), "", devices))
        .expect("is right")
        .policy;
    let read: Vec<_> = policy
        .devices
        .iter()
        .map(|device| (device.name.as_str(), device.ips.len(), device.place.line))
        .collect();
    assert_eq!(read, [("ct-1", 1, 2), ("ct-2", 0, 5)]);
}

#[test]
fn a_zone_of_a_segments_name_without_it_is_told_of_once() {
    let site = SITE.replace("clinical: {segments", "stations: {segments");
    let said = said(&with(site, "", DEVICES));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("site.yaml:7:3: segment `stations` is in no zone"),
        "{said:?}"
    );
}

#[test]
fn what_has_no_name_is_told_of_by_its_own_error_alone() {
    let site = SITE
        .replace("stations:", "Stations:")
        .replace("world:", "World:");
    let devices = DEVICES.lines().take(2).collect::<Vec<_>>().join("\n");
    let policy = "groups:\n  Ct: {profile: ct-scanner}\nrules:\n  - {name: r, from: i, to: zzzzzz, service: any}\n";
    let said = said(&with(site, policy, &devices));
    assert_eq!(said.len(), 5, "{said:#?}");
    for named in ["`Stations`", "`World`", "`Ct`"] {
        let of = said.iter().filter(|said| said.contains(named)).count();
        assert_eq!(of, 1, "{named}: {said:#?}");
    }
    for said in &said {
        assert!(!said.contains("``") && !said.contains(": ,"), "{said}");
    }
}

#[test]
fn all_errors_of_all_files_are_reported_at_once_in_order() {
    let sources = with(
        SITE.replace("uplink: true", "uplink: 1")
            .replace("isolate: true", "isolat: true"),
        "rules:\n  - {name: r, from: nobody, to: any, service: nothing}\n",
        "name,mac,ips,segment\na,x,y,z\n",
    );
    let rejected = from_sources(&sources).expect_err("is wrong");
    let places: Vec<_> = rejected
        .problems
        .iter()
        .map(|problem| (problem.place.file.name(), problem.place.line))
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
