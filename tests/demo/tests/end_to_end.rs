//! Runs the demo: it succeeds if all checks pass, fails if one does not, and removes everything.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Time limit of the demo.
const TIME_LIMIT: Duration = Duration::from_secs(120);

struct Demo {
    child: Child,
    lines: Receiver<String>,
    output: String,
    /// Reads standard error until the demo ends.
    errors: Option<JoinHandle<String>>,
}

impl Demo {
    fn start() -> Demo {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cordon-demo"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        // Forwarded, so that the demo never blocks on a full pipe.
        let mut stderr = child.stderr.take().expect("is piped");
        let errors = std::thread::spawn(move || {
            let mut errors = Vec::new();
            let _ = stderr.read_to_end(&mut errors);
            let errors = String::from_utf8_lossy(&errors).into_owned();
            eprint!("{errors}");
            errors
        });
        let (narrator, lines) = channel();
        let output = child.stdout.take().expect("is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if narrator.send(line).is_err() {
                    return;
                }
            }
        });
        Demo {
            child,
            lines,
            output: String::new(),
            errors: Some(errors),
        }
    }

    /// The name of its lab, which contains the process ID.
    fn lab(&self) -> String {
        format!("cordon-{}-1", self.child.id())
    }

    fn wait_for(&mut self, words: &str) {
        let began = Instant::now();
        while let Some(left) = TIME_LIMIT.checked_sub(began.elapsed()) {
            let Ok(line) = self.lines.recv_timeout(left) else {
                break;
            };
            self.output.push_str(&line);
            self.output.push('\n');
            if line.contains(words) {
                return;
            }
        }
        panic!("the demo did not print {words:?}, but:\n{}", self.output);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("is there");
    }

    /// Waits for its end. Returns its exit status and output.
    fn end(mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("is ours") {
                break status;
            }
            assert!(
                began.elapsed() < TIME_LIMIT,
                "the demo does not end:\n{}",
                self.output
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        let rest: Vec<String> = self.lines.iter().collect();
        self.output.push_str(&rest.join("\n"));
        assert_eq!(traces(&self.lab()), [""; 0], "everything is removed");
        (status, std::mem::take(&mut self.output))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // It removes its hospital.
            self.signal(Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Namespaces, directories and mounts of a lab.
fn traces(lab: &str) -> Vec<String> {
    let mut traces = Vec::new();
    for directory in ["/run/netns", "/run/cordon-lab"] {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        traces.extend(names.filter(|name| *name == lab || name.starts_with(&format!("{lab}-"))));
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("reads");
    let ours = mounts
        .lines()
        .filter(|line| line.contains(&format!("{lab}/")));
    traces.extend(ours.map(str::to_owned));
    traces
}

fn cordon(demo: &Demo, arguments: &[&str]) -> bool {
    let program: PathBuf = Path::new(env!("CARGO_BIN_EXE_cordon-demo")).with_file_name("cordon");
    let socket = format!("/run/cordon-lab/{}/gateway/cordond.sock", demo.lab());
    let status = Command::new(program)
        .args(["--socket", &socket])
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    status.expect("runs").success()
}

#[test]
fn all_checks_pass() {
    let began = Instant::now();
    let (status, output) = Demo::start().end();
    assert!(status.success(), "{output}");
    assert!(
        began.elapsed() < TIME_LIMIT,
        "it took {:?}",
        began.elapsed()
    );
    assert!(output.contains("checks passed"), "{output}");
    assert!(!output.contains('✗'), "{output}");
    assert!(!output.contains('\x1b'), "no colour in a file");
    let longest = output.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(120), "{longest:?}");
}

/// The test releases the site during the quarantine. The demo must notice.
#[test]
fn an_early_release_fails_the_demo() {
    let mut demo = Demo::start();
    demo.wait_for("*** CONTAIN *** is in force");
    assert!(cordon(&demo, &["release", "site", "--reason", "sabotage"]));
    let (status, output) = demo.end();
    assert_eq!(status.code(), Some(1), "{output}");
    let failed =
        |line: &str| line.contains('✗') && line.contains("cut off when the command returns");
    assert!(output.lines().any(failed), "{output}");
}

#[test]
fn an_interrupted_demo_removes_the_hospital() {
    for (signal, act) in [
        (Signal::SIGINT, "programs are real"),
        (Signal::SIGTERM, "2. Clinical traffic, by real programs"),
        (Signal::SIGHUP, "3. Intruders"),
    ] {
        let mut demo = Demo::start();
        demo.wait_for(act);
        demo.signal(signal);
        let began = Instant::now();
        let (status, output) = demo.end();
        assert_eq!(status.code(), Some(130), "{output}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "it took {took:?}");
    }
}

#[test]
fn the_demo_ends_when_its_output_is_closed() {
    let mut demo = Demo::start();
    demo.wait_for("2. Clinical traffic");
    // The reading thread ends and closes the pipe.
    demo.lines = channel().1;
    let errors = demo.errors.take().expect("is read");
    let (status, _) = demo.end();
    assert_eq!(status.code(), Some(1));
    let errors = errors.join().expect("reads");
    assert!(errors.contains("Broken pipe"), "{errors}");
}
