//! What people and programs get wrong, and what a disk does to them: it is said, and nothing opens.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cordon_integration::hospital::{self, Line, line};
use cordon_integration::steps::{
    PATIENCE, forget, gets_in, hash, posture, quarantine, release, variant, wait_until,
};
use cordon_integration::wires::Wires;
use cordon_lab::{Gateway, Lab, Output, Result};
use cordon_policy::Posture;
use nix::mount::{MsFlags, mount};

#[test]
fn wrong_command_lines_are_told_so_and_change_nothing() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    let down = ["is cordond running", "no gateway answers at"];
    for command in [
        &["status"][..],
        &["quarantine", "site", "--reason", "drill"],
        &["apply", &gateway.policy().display().to_string()],
    ] {
        complains(gateway, command, 3, &down)?;
    }

    gateway.start_with_policy()?;
    let policy = hash(gateway)?;
    let wrong = variant(
        &lab,
        "wrong",
        &[
            ("policy.yaml", "service: syslog", "service: sysloq"),
            (
                "devices.csv",
                "ct-1,02:00:5e:21:00:11",
                "ct-1,02:00:5e:21:00",
            ),
        ],
    )?;
    let broken = variant(
        &lab,
        "broken",
        &[(
            "policy.yaml",
            "survives: lockdown, owner: radiology",
            "owner: radiology",
        )],
    )?;
    for (command, exit, words) in [
        (
            &["explain", "nobody", "pacs", "dicom"][..],
            1,
            &["nobody", "cordon devices"][..],
        ),
        (
            &["flows", "--device", "pump-7"],
            1,
            &["there is no device `pump-7`", "pump-1"],
        ),
        (
            &[
                "quarantine",
                "site",
                "--reason",
                "drill",
                "--for",
                "10 parsecs",
            ],
            2,
            &[
                "10 parsecs",
                "write a number and its unit: 90s, 10m, 2h, 1d",
            ],
        ),
        (
            &["quarantine", "site", "--reason", "drill", "--for", "0s"],
            2,
            &["less than a second"],
        ),
        (&["quarantine", "site"], 2, &["--reason"]),
        (&["quarantine", "site", "--reason", " "], 2, &["empty"]),
        (
            &["quarantine", "ward-3", "--reason", "drill"],
            2,
            &["ward-3", "<SCOPE>"],
        ),
        (
            &[
                "quarantine",
                "site",
                "--reason",
                "drill",
                "--posture",
                "panic",
            ],
            2,
            &["panic", "lockdown"],
        ),
        (
            &["release", "site", "--reason", "over"],
            1,
            &["nothing to release"],
        ),
        (&["confirm"], 1, &["nothing to confirm"]),
        (&["apply", "/nowhere"], 1, &["/nowhere"]),
        // Every error, each with its place.
        (
            &["apply", &wrong],
            1,
            &[
                "policy.yaml:",
                "sysloq",
                "syslog",
                "devices.csv:2",
                "2 errors",
            ],
        ),
        // An invariant that is broken.
        (
            &["apply", &broken],
            1,
            &["policy.yaml:", "ct", "pacs", "lockdown"],
        ),
        (&["apply", &wrong, "--confirm", "soon"], 2, &["soon", "10m"]),
    ] {
        complains(gateway, command, exit, words)?;
        assert_eq!(hash(gateway)?, policy, "{command:?}");
        assert_eq!(posture(gateway)?, Posture::Normal, "{command:?}");
    }
    Ok(())
}

/// A command that must end with this code, and say all of this.
fn complains(gateway: &Gateway, command: &[&str], exit: i32, words: &[&str]) -> Result<()> {
    let output = gateway.cordon(command)?;
    let said = says(&output);
    assert_eq!(output.status.code(), Some(exit), "{command:?}: {said}");
    for words in words {
        assert!(
            said.contains(words),
            "{command:?} does not say {words:?}: {said}"
        );
    }
    assert!(!said.contains("panicked"), "{command:?}: {said}");
    Ok(())
}

fn says(output: &Output) -> String {
    output.stdout.clone() + &output.stderr
}

/// What the tests below look at: does the policy let this in, and that.
struct Probe<'a> {
    lab: &'a Lab,
    wires: Wires,
    remote_desk: Line,
    directory: Line,
}

impl<'a> Probe<'a> {
    fn new(lab: &'a Lab) -> Result<Probe<'a>> {
        let remote_desk = line(lab, "remote desk")?;
        let mut directory = remote_desk.clone();
        directory.talk.port = 389;
        Ok(Probe {
            lab,
            wires: Wires::tap(lab)?,
            remote_desk,
            directory,
        })
    }

    /// A policy directory that lets in what the hospital's does not, and not what it does.
    fn other_policy(&self) -> Result<String> {
        let changes = [("policy.yaml", "[https, rdp]", "[https, ldap]")];
        variant(self.lab, "other", &changes)
    }

    fn get_in(&self) -> Result<[bool; 2]> {
        let gets_in = |line| gets_in(self.lab, &self.wires, line);
        Ok([gets_in(&self.remote_desk)?, gets_in(&self.directory)?])
    }
}

/// What gets in by the hospital's policy, by the other, and at contain.
const AS_BEFORE: [bool; 2] = [true, false];
const AS_OTHER: [bool; 2] = [false, true];
const CLOSED: [bool; 2] = [false, false];

#[test]
fn on_a_full_disk_it_closes_and_does_nothing_else() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    let state = gateway.state();
    fs::create_dir_all(&state).expect("makes the directory");
    // It goes away with the lab.
    mount(
        Some("tmpfs"),
        &state,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=1m"),
    )
    .expect("mounts");
    gateway.start_with_policy()?;
    let probe = Probe::new(&lab)?;
    let other = probe.other_policy()?;
    let policy = hash(gateway)?;
    assert_eq!(probe.get_in()?, AS_BEFORE);

    let ballast = fill(&state);
    let full = ["disk is full", "df -h"];
    let refused = ["the policy was not applied", "could not be made durable"];
    complains(
        gateway,
        &["apply", &other],
        1,
        &[&refused[..], &full].concat(),
    )?;
    assert_eq!(hash(gateway)?, policy);
    assert_eq!(probe.get_in()?, AS_BEFORE);

    let given = gateway.must(&["quarantine", "site", "--reason", "drill"])?;
    for words in ["it is in force, but a reboot would undo it", "disk is full"] {
        assert!(given.contains(words), "{given}");
    }
    assert_eq!(probe.get_in()?, CLOSED);
    let command = ["release", "site", "--reason", "the drill is over"];
    let refused = ["nothing was released", "could not be made durable"];
    complains(gateway, &command, 1, &[&refused[..], &full].concat())?;
    assert_eq!(probe.get_in()?, CLOSED);

    // Not durable, but as long as the kernel remembers, so does who comes back.
    gateway.kill()?;
    gateway.start()?;
    assert_eq!(posture(gateway)?, Posture::Contain);
    assert_eq!(hash(gateway)?, policy);
    assert_eq!(probe.get_in()?, CLOSED);

    fs::remove_file(ballast).expect("makes room");
    wait_until("it is durable", || {
        let status = gateway.must(&["status"])?;
        Ok(!status.contains("is not durable") && !status.contains("disk is full"))
    })?;
    gateway.kill()?;
    forget(gateway)?;
    gateway.start()?;
    assert_eq!(posture(gateway)?, Posture::Contain);
    assert_eq!(probe.get_in()?, CLOSED);
    release(gateway)?;
    gateway.must(&["apply", &other])?;
    assert_eq!(probe.get_in()?, AS_OTHER);
    Ok(())
}

/// Takes all the room that is left.
fn fill(directory: &Path) -> PathBuf {
    let path = directory.join("ballast");
    let mut file = fs::File::create(&path).expect("creates");
    // The last piece is as small as a page, so that nothing is left.
    for size in [1 << 16, 1 << 12] {
        let full = loop {
            if let Err(error) = file.write_all(&vec![7; size]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }
    path
}

#[test]
fn a_state_that_cannot_be_read_opens_nothing() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let probe = Probe::new(&lab)?;
    quarantine(gateway, Posture::Contain)?;
    let policy = hash(gateway)?;
    let state = gateway.state().join("state.json");
    let good = fs::read(&state).expect("reads");
    let half = &good[..good.len() / 2];
    for damaged in [b"", half, b"\xff\x00 no JSON", b"{\"version\": 1}"] {
        gateway.kill()?;
        fs::write(&state, damaged).expect("writes");
        gateway.start()?;
        let status = gateway.must(&["status"])?;
        assert!(status.contains("the state cannot be read"), "{status}");
        let aside = fs::read(gateway.state().join("state.json.damaged")).expect("is kept");
        assert_eq!(aside, damaged);
        // The kernel knows.
        assert_eq!(posture(gateway)?, Posture::Contain);
        assert_eq!(hash(gateway)?, policy);
        assert_eq!(probe.get_in()?, CLOSED);
    }
    // Now it does not: nothing is forwarded until a policy is applied, and that at the posture that was ordered.
    gateway.kill()?;
    forget(gateway)?;
    fs::write(&state, half).expect("writes");
    gateway.start()?;
    assert_eq!(posture(gateway)?, Posture::Contain);
    let vitals = line(&lab, "vitals")?;
    let silent = vitals.flows(1, Duration::from_millis(20)).start()?;
    assert!(silent.established(Duration::from_secs(1)).is_err());
    gateway.apply()?;
    silent.established(PATIENCE)?;
    assert_eq!(probe.get_in()?, CLOSED);
    release(gateway)?;
    assert_eq!(probe.get_in()?, AS_BEFORE);
    Ok(())
}

#[test]
fn hostile_callers_keep_nobody_from_the_lever() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    let config = gateway.default_config();
    gateway.configure(&config.replace("[socket]\n", "[socket]\ngroup = \"nogroup\"\n"))?;
    gateway.start_with_policy()?;
    let huge = vec![b'a'; 1 << 20];
    let greedy = [
        b"POST /v1/policy HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".as_slice(),
        &huge,
    ]
    .concat();
    let requests: [&[u8]; 9] = [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0xff; 4096],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/flows?limit=-1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"DELETE /v1/orders HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n\xff\xfe\x00{}[]'\"",
        &greedy,
    ];
    for request in requests {
        let answer = tell(&gateway.socket(), request);
        let code = answer.split(' ').nth(1).unwrap_or_default();
        assert!(
            !code.starts_with('2') && !code.starts_with('5'),
            "{request:.40?}: {answer}"
        );
        assert_eq!(posture(gateway)?, Posture::Normal);
    }

    // A thousand that say nothing, or half of something, and stay: of somebody else's, and the lever is there at once.
    let siege = Siege::lay(&gateway.socket());
    quarantine(gateway, Posture::Contain)?;
    assert_eq!(posture(gateway)?, Posture::Contain);
    drop(siege);
    release(gateway)?;

    // As many as may listen to events, of the same user as the lever's: there at once as well.
    let listeners: Vec<_> = (0..100).map(|_| said(&gateway.socket(), LISTEN)).collect();
    quarantine(gateway, Posture::Contain)?;
    drop(listeners);
    release(gateway)?;

    // A thousand of the same user, that say nothing: there when they are hung up on, which is soon.
    let mine: Vec<_> = (0..1000).map(|_| said(&gateway.socket(), b"")).collect();
    wait_until("the lever is there", || {
        let given = gateway.cordon(&["quarantine", "site", "--reason", "drill"])?;
        Ok(given.success())
    })?;
    drop(mine);
    assert_eq!(posture(gateway)?, Posture::Contain);
    let log = gateway.log();
    assert!(!log.contains("panicked"), "{log}");
    gateway.stop()
}

/// A call that goes on for as long as the caller listens.
const LISTEN: &[u8] = b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n";

/// A connection on which this was said.
fn said(socket: &Path, request: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("connects");
    // The gateway may hang up before it has it all.
    let _ = stream.write_all(request);
    stream
}

/// Says something to a socket, no more than that, and answers what comes back.
fn tell(socket: &Path, request: &[u8]) -> String {
    let mut stream = said(socket, request);
    stream.set_read_timeout(Some(PATIENCE)).expect("sets");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

/// Another user's connections.
struct Siege(Child);

impl Siege {
    fn lay(socket: &Path) -> Siege {
        let mut program = Command::new("python3");
        program
            .args(["-c", SIEGE])
            .arg(socket)
            .uid(NOBODY)
            .gid(NOBODY);
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut ready = [0; 5];
        let stdout = child.stdout.as_mut().expect("is piped");
        stdout
            .read_exact(&mut ready)
            .expect("it connects a thousand times");
        assert_eq!(&ready, b"ready");
        Siege(child)
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The user and group of that number in Debian: nobody, nogroup.
const NOBODY: u32 = 65534;

const SIEGE: &str = r#"
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
halves = [b"", b"GET /v1/sta", b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"]
held = []
for number in range(1000):
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(sys.argv[1])
    try:
        stream.send(halves[number % 3])
    except BrokenPipeError:
        pass
    held.append(stream)
print("ready", end="", flush=True)
sys.stdin.read()
"#;
