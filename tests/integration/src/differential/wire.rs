//! Sends frames into the peer ends of the ports, and captures what the ports send.
//!
//! A test run in the kernel does not make the copies of a flooded frame, so these are compared here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pnet_datalink::{Channel, Config, DataLinkSender};

use super::decision::hex;
use super::kernel::{PORTS, run};

/// How long a frame may take to be captured.
const PATIENCE: Duration = Duration::from_secs(10);

/// Port and frame.
type PortFrame = (u16, Vec<u8>);

/// An expected copy, and the frame that it is a copy of.
#[derive(Clone)]
struct Copy {
    frame: Vec<u8>,
    original: PortFrame,
    /// The number of the original: copies of one frame come out in any order.
    number: usize,
}

/// The peer ends of all ports.
pub struct Wire {
    ends: Vec<End>,
    /// Holds the capture files.
    directory: tempfile::TempDir,
    expected: Vec<Vec<Copy>>,
    sent: usize,
}

struct End {
    sender: Box<dyn DataLinkSender>,
    capture: Child,
    file: PathBuf,
}

impl Wire {
    /// Opens a capture and a sender at the peer end of every port, in the calling thread's network namespace.
    pub fn open() -> Wire {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let ends = (0..PORTS).map(|port| {
            let name = format!("p{port}-peer");
            // Without GRO a veth does not accept frames that XDP redirects to it.
            run("ethtool", &format!("-K {name} gro on"));
            run("ethtool", &format!("-K {name} txvlan off rxvlan off"));
            let interface = pnet_datalink::interfaces()
                .into_iter()
                .find(|found| found.name == name)
                .expect("the peer exists");
            let sender = match pnet_datalink::channel(&interface, Config::default()) {
                Ok(Channel::Ethernet(sender, _)) => sender,
                Ok(_) => panic!("{name} is not an Ethernet interface"),
                Err(error) => panic!("cannot send on {name}: {error}"),
            };
            let file = directory.path().join(&name);
            End {
                sender,
                capture: capture(&name, &file),
                file,
            }
        });
        Wire {
            ends: ends.collect(),
            directory,
            expected: vec![Vec::new(); usize::from(PORTS)],
            sent: 0,
        }
    }

    /// Sends a frame into a port, and waits until the port has received it. If the caller is pinned to one CPU, the
    /// program has judged the frame by then, because both happen on that CPU in the same softirq.
    pub fn send(&mut self, port: u16, frame: &[u8]) {
        let before = received(port);
        let sender = &mut self.ends[usize::from(port)].sender;
        sender
            .send_to(frame, None)
            .expect("the packet socket accepts the frame")
            .expect("the frame is sent");
        let until = Instant::now() + PATIENCE;
        while received(port) == before {
            assert!(Instant::now() < until, "p{port} never received a frame");
            std::thread::yield_now();
        }
    }

    /// Expects these copies of a frame that was sent into a port.
    pub fn expect(&mut self, port: u16, frame: &[u8], leaving: &[PortFrame]) {
        let original = (port, frame.to_vec());
        self.sent += 1;
        for (port, frame) in leaving {
            self.expected[usize::from(*port)].push(Copy {
                frame: frame.clone(),
                original: original.clone(),
                number: self.sent,
            });
        }
    }

    /// Checks that exactly the expected frames came out, in the order of their originals. Returns their number, or a
    /// description of the first one that differs.
    pub fn compare(&self) -> Result<usize, String> {
        let until = Instant::now() + PATIENCE;
        let mut count = 0;
        for (port, (end, expected)) in self.ends.iter().zip(&self.expected).enumerate() {
            let mut seen = frames(&end.file);
            while seen.len() < expected.len() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
                seen = frames(&end.file);
            }
            sort_copies(&mut seen, expected);
            let due = |at: usize| expected.get(at).map(|copy: &Copy| &copy.frame);
            let differs = |at: &usize| seen.get(*at) != due(*at);
            if let Some(at) = (0..seen.len().max(expected.len())).find(differs) {
                let show = |frame: Option<&Vec<u8>>| frame.map_or("none".to_owned(), |it| hex(it));
                let (from, original) = match expected.get(at) {
                    Some(copy) => (copy.original.0, hex(&copy.original.1)),
                    None => (u16::MAX, "none".to_owned()),
                };
                return Err(format!(
                    "frame {at} out of p{port}\n  seen:     {}\n  expected: {}\n  of:       p{from} {original}\n{} seen, {} expected in all",
                    show(seen.get(at)),
                    show(due(at)),
                    seen.len(),
                    expected.len(),
                ));
            }
            count += seen.len();
        }
        Ok(count)
    }
}

/// Sorts the copies of each original, whose order does not matter. `expected` is sorted in the same way.
fn sort_copies(seen: &mut [Vec<u8>], expected: &[Copy]) {
    let mut start = 0;
    for copies in expected.chunk_by(|one, other| one.number == other.number) {
        let end = (start + copies.len()).min(seen.len());
        seen[start..end].sort();
        start = end;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for end in &mut self.ends {
            let _ = end.capture.kill();
            let _ = end.capture.wait();
        }
        let _ = fs::remove_dir_all(self.directory.path());
    }
}

/// Starts a capture of the frames that an interface receives.
fn capture(interface: &str, file: &std::path::Path) -> Child {
    // A capture that outlived this thread would keep the namespace alive, so it dies with it even if the test is
    // killed.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "tcpdump"])
        .args(["-i", interface, "-Q", "in", "-U", "--immediate-mode"])
        .args(["-s", "0", "-Z", "root", "-w"])
        .arg(file)
        .stderr(Stdio::piped())
        .spawn()
        .expect("setpriv starts");
    let stderr = child.stderr.take().expect("standard error is piped");
    let mut lines = BufReader::new(stderr).lines();
    let ready = lines.find(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains("listening on"))
    });
    assert!(
        ready.is_some(),
        "tcpdump is not installed, or cannot capture on {interface}"
    );
    // Drains the pipe, so that tcpdump can print its summary when it ends.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// How many frames an interface of this namespace has received.
fn received(port: u16) -> u64 {
    let all = fs::read_to_string("/proc/thread-self/net/dev").expect("the peer exists");
    let start = format!("p{port}:");
    let line = all
        .lines()
        .find_map(|line| line.trim().strip_prefix(&start));
    let packets = line.and_then(|line| line.split_whitespace().nth(1));
    let packets = packets.and_then(|word| word.parse().ok());
    packets.expect("the kernel counts the frames of a port")
}

/// The frames that a capture file has so far.
fn frames(file: &std::path::Path) -> Vec<Vec<u8>> {
    const HEADER: usize = 24;
    const RECORD: usize = 16;
    let bytes = fs::read(file).expect("tcpdump has made the file");
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_ne_bytes(length.try_into().expect("four bytes")) as usize;
        let Some(frame) = rest.get(RECORD..RECORD + length) else {
            break;
        };
        frames.push(frame.to_vec());
        rest = &rest[RECORD + length..];
    }
    frames
}
