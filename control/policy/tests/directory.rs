//! Directories with missing, misnamed, unreadable or oversized files, each with its error.

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
    let directory = TempDir::new().expect("is created");
    for (name, text) in [("site.yaml", SITE.as_bytes())].iter().chain(files) {
        fs::write(directory.path().join(name), text).expect("is written");
    }
    directory
}

/// The file that the error names, and the error.
fn read_error(directory: &TempDir) -> (String, ErrorKind, String) {
    match read(directory.path()).expect_err("is an error") {
        Error::Read { path, error } => {
            let name = path.file_name().expect("is a file").to_string_lossy();
            (name.into_owned(), error.kind(), error.to_string())
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_directory_with_only_a_site_is_valid_with_a_warning() {
    let directory = directory(&[("notes.yml", b""), ("old-policy.yaml", b"")]);
    let sources = read(directory.path()).expect("is read");
    assert_eq!((sources.policy, sources.devices), (None, None));
    let warnings = load(directory.path()).expect("is valid").warnings;
    let found: Vec<_> = warnings
        .iter()
        .map(|one| (one.code, &one.message))
        .collect();
    let message = "there is no policy.yaml: no traffic is allowed except traffic within a segment that is not isolated";
    assert_eq!(found, [(Code::Warning, &message.to_owned())]);
}

#[test]
fn a_misnamed_file_is_an_error() {
    for (name, wanted) in [
        ("policy.yml", "policy.yaml"),
        ("Policy.yaml", "policy.yaml"),
        ("POLICY.YML", "policy.yaml"),
        ("devices.CSV", "devices.csv"),
        ("Devices.csv", "devices.csv"),
    ] {
        let message = format!("found {name} instead: rename it to {wanted}");
        assert_eq!(
            read_error(&directory(&[(name, b"")])),
            (wanted.to_owned(), ErrorKind::InvalidInput, message)
        );
    }
    // Beside the file with the right name it is ignored.
    let both = directory(&[("policy.yml", b"rules: x"), ("policy.yaml", b"")]);
    assert_eq!(
        read(both.path()).expect("is read").policy.as_deref(),
        Some("")
    );
}

#[test]
fn a_misnamed_site_file_is_an_error() {
    let directory = directory(&[]);
    let path = directory.path();
    fs::rename(path.join("site.yaml"), path.join("site.yml")).expect("is renamed");
    let (name, _, message) = read_error(&directory);
    assert_eq!(
        (name.as_str(), message.as_str()),
        (
            "site.yaml",
            "found site.yml instead: rename it to site.yaml"
        )
    );
    fs::remove_file(path.join("site.yml")).expect("is removed");
    assert_eq!(read_error(&directory).1, ErrorKind::NotFound);
}

#[test]
fn the_error_for_a_file_that_is_not_utf8_has_its_line_and_column() {
    // Latin-1 from a spreadsheet, UTF-16 from a text editor, and a truncated character.
    for (text, position) in [
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
        let message = format!("{position}: save the file as UTF-8");
        assert_eq!(
            read_error(&directory(&[("devices.csv", text)])),
            ("devices.csv".to_owned(), ErrorKind::InvalidData, message)
        );
    }
}

#[test]
fn a_file_over_the_limit_of_length_is_an_error_wherever_reading_cuts_a_character() {
    for name in ["policy.yaml", "devices.csv"] {
        for before in ["#", "##", "###", "####"] {
            let text = before.to_owned() + &"\u{1f600}".repeat((32 << 20) / 4 + 2);
            let Err(Error::Rejected(rejected)) = load(directory(&[(name, text.as_bytes())]).path())
            else {
                panic!("{name} of {} bytes is accepted", text.len());
            };
            let [problem] = &rejected.problems[..] else {
                panic!("{:?}", rejected.problems);
            };
            assert_eq!(
                (problem.code, problem.position.file.name()),
                (Code::Limit, name)
            );
        }
    }
}
