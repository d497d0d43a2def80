//! The daemon as a user without rights but the capabilities of its systemd unit, and callers of several users.

#[allow(dead_code, reason = "each test file uses part of it")]
mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use support::{Site, in_namespace};

/// The user `daemon` of Debian.
const USER: u32 = 1;
const UNIT: &str = "../../images/units/cordond.service";

/// The capabilities that the unit gives, as `setpriv` calls them.
fn capabilities() -> Vec<String> {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join(UNIT);
    let unit = fs::read_to_string(unit).expect("is there");
    let of = |key: &str| {
        let value = unit.lines().find_map(|line| line.strip_prefix(key));
        value.expect("is set").to_owned()
    };
    let ambient = of("AmbientCapabilities=");
    assert_eq!(ambient, of("CapabilityBoundingSet="));
    let names = ambient.split(' ').map(|name| {
        let name = name.strip_prefix("CAP_").expect("is a capability");
        name.to_lowercase()
    });
    names.collect()
}

#[test]
fn the_daemon_works_as_a_user_with_the_capabilities_of_its_unit() {
    in_namespace(|| {
        let all = capabilities();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let site = Site::of_user("user", USER, &all);
        let daemon = site.start();
        assert_eq!(fs::metadata(site.socket()).expect("is there").uid(), USER);
        let (code, applied) = daemon.apply_example();
        assert_eq!(code, 200, "{applied}");
        let status = daemon.get("/v1/status");
        let ports = status["ports"].as_array().expect("is a list");
        assert!(ports.iter().all(|port| port["state"] == "up"), "{status}");
        assert_eq!(
            status["warnings"].as_array().map(Vec::len),
            Some(0),
            "{status}"
        );
        assert!(daemon.metrics().contains("cordon_table_bytes"));
        assert_eq!(daemon.order("quarantine", "contain").0, 200);
        daemon.end(Signal::SIGKILL);
        let daemon = site.start();
        let status = daemon.get("/v1/status");
        assert_eq!(
            (status["dataplane"].as_str(), status["posture"].as_str()),
            (Some("taken-over"), Some("contain"))
        );
        assert_eq!(daemon.apply_example().0, 200);
        assert_eq!(daemon.order("release", "normal").0, 200);
        assert!(daemon.end(Signal::SIGTERM).success());
    });
}

#[test]
fn each_capability_of_the_unit_is_needed() {
    let all = capabilities();
    for left_out in 0..all.len() {
        let some = all.clone();
        in_namespace(move || {
            let mut some: Vec<&str> = some.iter().map(String::as_str).collect();
            let missing = some.remove(left_out);
            let site = Site::of_user(missing, USER, &some);
            let error = site.refused();
            assert!(error.contains("cannot start"), "without {missing}: {error}");
        });
    }
}

/// Makes a call as another user. Returns the status and the body.
fn call_as(site: &Site, groups: &str, method: &str, path: &str, body: &str) -> (String, String) {
    const CLIENT: &str = "use IO::Socket::UNIX; my ($p, $r) = @ARGV; my $s = IO::Socket::UNIX->new(Peer => $p) \
                          or die; print $s $r; $s->flush; print while <$s>;";
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534"]);
    match groups {
        "" => command.arg("--clear-groups"),
        groups => command.args(["--groups", groups]),
    };
    command
        .args(["perl", "-e", CLIENT])
        .arg(site.socket())
        .arg(request);
    let output = command.output().expect("runs");
    let answer = String::from_utf8(output.stdout).expect("is text");
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer} {}", String::from_utf8_lossy(&output.stderr)));
    let status = head.split(' ').nth(1).expect("has a status");
    (status.to_owned(), body.to_owned())
}

#[test]
fn the_groups_of_a_caller_decide_which_calls_it_may_make() {
    in_namespace(|| {
        let site = Site::new("roles");
        // Groups that Debian has.
        site.configure_socket(
            "[socket.roles]\nlook = \"games\"\ncontain = \"news\"\nall = \"adm\"",
        );
        let path = site.socket();
        let directory = path.ancestors().nth(2).expect("has one");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(directory, open).expect("is set");
        let daemon = site.start();
        assert_eq!(daemon.apply_example().0, 200);
        let gid = |name: &str| {
            let group = nix::unistd::Group::from_name(name).expect("is read");
            group.expect("is there").gid.to_string()
        };
        let [look, contain, all] = ["games", "news", "adm"].map(gid);
        let order = |kind: &str, posture: &str| {
            format!(r#"{{"kind":"{kind}","scope":"site","posture":"{posture}","reason":"a test"}}"#)
        };
        let [quarantine, release] = [order("quarantine", "contain"), order("release", "normal")];
        for (groups, read, close, open) in [
            ("", "403", "403", "403"),
            (look.as_str(), "200", "403", "403"),
            (contain.as_str(), "200", "200", "403"),
            (all.as_str(), "200", "200", "200"),
        ] {
            let (status, body) = call_as(&site, groups, "GET", "/v1/status", "");
            assert_eq!(status, read, "{body}");
            let (status, body) = call_as(&site, groups, "POST", "/v1/orders", &quarantine);
            assert_eq!(status, close, "{body}");
            let (status, body) = call_as(&site, groups, "POST", "/v1/orders", &release);
            assert_eq!(status, open, "{body}");
            if open == "403" {
                assert!(
                    body.contains("this takes the role") && body.contains("`adm`"),
                    "{body}"
                );
            }
        }
        assert_eq!(daemon.get("/v1/status")["posture"], "normal");
    });
}

#[test]
fn the_unit_is_tight() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join(UNIT);
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    match command.arg(&unit).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("Overall exposure level"), "{text}");
            assert!(output.status.success(), "exposed more than 2.0: {text}");
        }
        Err(error) => {
            let skipped = format!("SKIPPED the_unit_is_tight: no systemd-analyze: {error}\n");
            std::io::stdout()
                .write_all(skipped.as_bytes())
                .expect("writes");
        }
    }
}
