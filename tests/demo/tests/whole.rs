//! The demo, from outside: it succeeds when all is well, fails when something is not, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The scenario's promise.
const SCENARIO: Duration = Duration::from_secs(120);

struct Demo {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Demo {
    fn start() -> Demo {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cordon-demo"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let (tell, lines) = channel();
        let output = child.stdout.take().expect("is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Demo {
            child,
            lines,
            said: String::new(),
        }
    }

    /// The lab's name is made of the process's number.
    fn lab(&self) -> String {
        format!("cordon-{}-1", self.child.id())
    }

    fn wait_for(&mut self, words: &str) {
        let began = Instant::now();
        while let Some(left) = SCENARIO.checked_sub(began.elapsed()) {
            let Ok(line) = self.lines.recv_timeout(left) else {
                break;
            };
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(words) {
                return;
            }
        }
        panic!("it did not say {words:?}, but:\n{}", self.said);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("is there");
    }

    /// How it ended, and all that it said.
    fn end(mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("is ours") {
                break status;
            }
            assert!(
                began.elapsed() < SCENARIO,
                "it does not end:\n{}",
                self.said
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        let rest: Vec<String> = self.lines.iter().collect();
        self.said.push_str(&rest.join("\n"));
        assert_eq!(traces(&self.lab()), [""; 0], "nothing is left");
        (status, std::mem::take(&mut self.said))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // So that it can clear up.
            self.signal(Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// What there is of a lab.
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
fn everything_is_as_promised() {
    let began = Instant::now();
    let (status, said) = Demo::start().end();
    assert!(status.success(), "{said}");
    assert!(began.elapsed() < SCENARIO, "it took {:?}", began.elapsed());
    assert!(said.contains("promises were kept"), "{said}");
    assert!(!said.contains('✗'), "{said}");
    assert!(!said.contains('\x1b'), "no colour in a file");
    let longest = said.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(120), "{longest:?}");
}

/// Somebody opens the site again behind the demo's back: it has to notice.
#[test]
fn a_site_that_does_not_stay_closed_is_a_failure() {
    let mut demo = Demo::start();
    demo.wait_for("*** CONTAIN *** is in force");
    assert!(cordon(&demo, &["release", "site", "--reason", "sabotage"]));
    let (status, said) = demo.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("NOT AS PROMISED") || said.contains("could not go on"),
        "{said}"
    );
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    for (signal, act) in [
        (Signal::SIGINT, "Real programs talk"),
        (Signal::SIGTERM, "2. Care, by real programs"),
        (Signal::SIGHUP, "3. Intruders"),
    ] {
        let mut demo = Demo::start();
        demo.wait_for(act);
        demo.signal(signal);
        let began = Instant::now();
        let (status, said) = demo.end();
        assert_eq!(status.code(), Some(130), "{said}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "it took {took:?}");
    }
}

#[test]
fn nobody_who_reads_is_an_end_too() {
    let mut demo = Demo::start();
    demo.wait_for("2. Care");
    // The thread that reads ends, and with it the pipe.
    demo.lines = channel().1;
    let (status, _) = demo.end();
    assert_eq!(status.code(), Some(1));
}
