//! Directories whose files cannot be taken for what they are, each with what is said of it.

use std::fs;
use std::io::ErrorKind;

use cordon_policy::{Code, Error, load, read};
use tempfile::TempDir;

const SITE: &str = "\
site: clinic
ports: {access0: {device: eth1}, core0: {device: eth2, uplink: true}}
segments: {wards: {attach: [access0, core0], subnets: [10.20.0.0/24], routers: [10.20.0.1]}}
";

/// A directory with these files beside a `site.yaml`.
fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = TempDir::new().expect("can be made");
    for (name, text) in [("site.yaml", SITE.as_bytes())].iter().chain(files) {
        fs::write(directory.path().join(name), text).expect("can be written");
    }
    directory
}

/// The file that is named, and what is said of it.
fn refused(directory: &TempDir) -> (String, ErrorKind, String) {
    match read(directory.path()).expect_err("is refused") {
        Error::Read { path, error } => {
            let name = path.file_name().expect("is a file").to_string_lossy();
            (name.into_owned(), error.kind(), error.to_string())
        }
        error => panic!("{error}"),
    }
}

#[test]
fn without_rules_and_devices_it_is_a_policy_with_a_warning() {
    let directory = directory(&[("notes.yml", b""), ("old-policy.yaml", b"")]);
    let sources = read(directory.path()).expect("can be read");
    assert_eq!((sources.policy, sources.devices), (None, None));
    let warnings = load(directory.path()).expect("is right").warnings;
    let said: Vec<_> = warnings
        .iter()
        .map(|one| (one.code, &one.message))
        .collect();
    let message = "there is no policy.yaml: nothing is allowed but what stays within a segment that is not isolated";
    assert_eq!(said, [(Code::Warning, &message.to_owned())]);
}

#[test]
fn a_file_with_nearly_its_name_is_not_taken_for_none() {
    for (name, wanted) in [
        ("policy.yml", "policy.yaml"),
        ("Policy.yaml", "policy.yaml"),
        ("POLICY.YML", "policy.yaml"),
        ("devices.CSV", "devices.csv"),
        ("Devices.csv", "devices.csv"),
    ] {
        let said = format!("there is {name}: rename it to {wanted}");
        assert_eq!(
            refused(&directory(&[(name, b"")])),
            (wanted.to_owned(), ErrorKind::InvalidInput, said)
        );
    }
    // Beside the right one it is somebody's copy.
    let both = directory(&[("policy.yml", b"rules: x"), ("policy.yaml", b"")]);
    assert_eq!(
        read(both.path()).expect("is read").policy.as_deref(),
        Some("")
    );
}

#[test]
fn a_site_with_nearly_its_name_is_told_of() {
    let directory = directory(&[]);
    let path = directory.path();
    fs::rename(path.join("site.yaml"), path.join("site.yml")).expect("can be renamed");
    let (name, _, said) = refused(&directory);
    assert_eq!(
        (name.as_str(), said.as_str()),
        ("site.yaml", "there is site.yml: rename it to site.yaml")
    );
    fs::remove_file(path.join("site.yml")).expect("can be removed");
    assert_eq!(refused(&directory).1, ErrorKind::NotFound);
}

#[test]
fn a_file_that_is_not_utf8_is_named_with_the_line() {
    // As spreadsheets write an umlaut, and text editors everything.
    for (text, place) in [
        (
            &b"name,mac\r\n# \xc3\xbc\r\nM\xfcller,\r\n"[..],
            "line 3 is not UTF-8 from column 2 on",
        ),
        (
            &b"\xff\xfen\0a\0m\0e\0"[..],
            "line 1 is not UTF-8 from column 1 on",
        ),
        (&b"name\nn\xc3"[..], "line 2 is not UTF-8 from column 2 on"),
    ] {
        let said = format!("{place}: save it as UTF-8");
        assert_eq!(
            refused(&directory(&[("devices.csv", text)])),
            ("devices.csv".to_owned(), ErrorKind::InvalidData, said)
        );
    }
}

#[test]
fn a_file_that_is_too_long_is_so_wherever_it_is_cut() {
    for name in ["policy.yaml", "devices.csv"] {
        for before in ["#", "##", "###", "####"] {
            let text = before.to_owned() + &"\u{1f600}".repeat((32 << 20) / 4 + 2);
            let Err(Error::Rejected(rejected)) = load(directory(&[(name, text.as_bytes())]).path())
            else {
                panic!("{name} of {} bytes is no limit", text.len());
            };
            let [problem] = &rejected.problems[..] else {
                panic!("{:?}", rejected.problems);
            };
            assert_eq!(
                (problem.code, problem.place.file.name()),
                (Code::Limit, name)
            );
        }
    }
}
