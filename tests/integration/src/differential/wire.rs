//! Frames for real: sent into the ports' other ends, and what comes out of them.
//!
//! A test run in the kernel does not make the copies of a flooded frame; these are made here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pnet_datalink::{Channel, Config, DataLinkSender};

use super::kernel::{PORTS, run};
use super::said::hex;

/// How long a frame may take to where it is seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Port, and frame.
type Leaves = (u16, Vec<u8>);

/// A frame that is to come out, and what it is a copy of.
#[derive(Clone)]
struct Copy {
    frame: Vec<u8>,
    of: Leaves,
    /// The number of what it is a copy of: copies of one frame come out in any order.
    number: usize,
}

/// The other ends of all ports.
pub struct Wire {
    ends: Vec<End>,
    /// Keeps the captures' files.
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
    /// Listens and can send on all ports' other ends, in the calling thread's network namespace.
    pub fn open() -> Wire {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let ends = (0..PORTS).map(|port| {
            let name = format!("p{port}-peer");
            // Without it a veth does not take frames that XDP redirects to it.
            run("ethtool", &format!("-K {name} gro on"));
            run("ethtool", &format!("-K {name} txvlan off rxvlan off"));
            let interface = pnet_datalink::interfaces()
                .into_iter()
                .find(|found| found.name == name)
                .expect("is there");
            let sender = match pnet_datalink::channel(&interface, Config::default()) {
                Ok(Channel::Ethernet(sender, _)) => sender,
                Ok(_) => panic!("{name} is no Ethernet interface"),
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

    /// Sends a frame into a port, and waits until the port has received it. Of whoever is pinned to one processor
    /// the program has judged it by then: both happen there, in one go.
    pub fn send(&mut self, port: u16, frame: &[u8]) {
        let before = received(port);
        let sender = &mut self.ends[usize::from(port)].sender;
        sender
            .send_to(frame, None)
            .expect("goes through a packet socket")
            .expect("is sent");
        let until = Instant::now() + PATIENCE;
        while received(port) == before {
            assert!(Instant::now() < until, "p{port} never received a frame");
            std::thread::yield_now();
        }
    }

    /// These frames are to come out, of one that came in.
    pub fn expect(&mut self, port: u16, frame: &[u8], leaving: &[Leaves]) {
        let of = (port, frame.to_vec());
        self.sent += 1;
        for (port, frame) in leaving {
            self.expected[usize::from(*port)].push(Copy {
                frame: frame.clone(),
                of: of.clone(),
                number: self.sent,
            });
        }
    }

    /// Whether exactly what was expected has come out, one frame's copies after the other's; how many frames, or what
    /// is wrong.
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
                    Some(copy) => (copy.of.0, hex(&copy.of.1)),
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

/// Sorts what was seen as far as its order does not matter. What is expected is sorted so.
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

/// A capture of what an interface receives, under way.
fn capture(interface: &str, file: &std::path::Path) -> Child {
    // It does not outlive this thread, not even if the test is killed: it would keep the namespace alive.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "tcpdump"])
        .args(["-i", interface, "-Q", "in", "-U", "--immediate-mode"])
        .args(["-s", "0", "-Z", "root", "-w"])
        .arg(file)
        .stderr(Stdio::piped())
        .spawn()
        .expect("setpriv is installed");
    let stderr = child.stderr.take().expect("is piped");
    let mut lines = BufReader::new(stderr).lines();
    let ready = lines.find(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains("listening on"))
    });
    assert!(
        ready.is_some(),
        "tcpdump is not installed, or does not listen on {interface}"
    );
    // It says something more when it ends: let it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// How many frames an interface of this namespace has received.
fn received(port: u16) -> u64 {
    let all = fs::read_to_string("/proc/thread-self/net/dev").expect("is there");
    let start = format!("p{port}:");
    let line = all
        .lines()
        .find_map(|line| line.trim().strip_prefix(&start));
    let packets = line.and_then(|line| line.split_whitespace().nth(1));
    let packets = packets.and_then(|word| word.parse().ok());
    packets.expect("the kernel counts what the ports receive")
}

/// The frames of a capture, as far as it is written.
fn frames(file: &std::path::Path) -> Vec<Vec<u8>> {
    const HEADER: usize = 24;
    const RECORD: usize = 16;
    let bytes = fs::read(file).expect("tcpdump has made it");
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
