//! The real `cordond` in its own network namespace, and a minimal HTTP client of its API.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Longer than any step takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a test in its own network and mount namespaces, with the ports `eth1` and `eth2` of the example site. Frames
/// sent into `eth1-peer` enter at `eth1`.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("the test runs as root");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("may be private");
        ip("link set lo up");
        for port in ["eth1", "eth2"] {
            ip(&format!("link add {port} type veth peer name {port}-peer"));
            // Without IPv6 addresses: the kernel's own packets would be counted.
            for end in [port, &format!("{port}-peer")] {
                ip(&format!("link set {end} addrgenmode none"));
            }
            ip(&format!("link set {port}-peer up"));
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub fn ip(command: &str) {
    let status = Command::new("ip").args(command.split(' ')).status();
    assert!(
        status.expect("iproute2 is installed").success(),
        "ip {command}"
    );
}

/// The directories of a daemon, removed with the test.
pub struct Site {
    directory: tempfile::TempDir,
    pins: PathBuf,
    /// What the daemon's command line begins with.
    launcher: Vec<String>,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.pins);
    }
}

impl Site {
    pub fn new(name: &str) -> Site {
        let directory = tempfile::tempdir().expect("makes a directory");
        let pins = format!("/sys/fs/bpf/cordond-test-{}-{name}", std::process::id()).into();
        let site = Site {
            directory,
            pins,
            launcher: Vec::new(),
        };
        fs::create_dir(site.state()).expect("makes a directory");
        let config = format!(
            "state = {:?}\npins = {:?}\n[socket]\npath = {:?}\n[metrics]\nlisten = \"127.0.0.1:9469\"\n[log]\nformat = \"json\"\n",
            site.state(),
            site.pins,
            site.socket()
        );
        fs::write(site.config(), config).expect("writes");
        site
    }

    /// Adds lines to the section of the socket, and gives the file again.
    #[allow(dead_code, reason = "each test file uses part of it")]
    pub fn configure_socket(&self, lines: &str) {
        let config = fs::read_to_string(self.config()).expect("reads");
        let config = config.replace("[metrics]", &format!("{lines}\n[metrics]"));
        fs::write(self.config(), config).expect("writes");
    }

    /// The site of a daemon that runs as this user, with these capabilities and no others, and whose bpf file system is its
    /// directory of pins alone, as `images/units/cordond.service` has it.
    #[allow(dead_code, reason = "each test file uses part of it")]
    pub fn of_user(name: &str, uid: u32, capabilities: &[&str]) -> Site {
        let mut site = Site::new(name);
        fs::create_dir_all(&site.pins).expect("makes a directory");
        let owned = [
            site.directory.path(),
            &site.state(),
            &site.config(),
            &site.pins,
        ];
        for path in owned {
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).expect("is given");
        }
        let outside = site.directory.path().join("pins");
        fs::create_dir(&outside).expect("makes a directory");
        let bind = |from: &Path, to: &Path| {
            mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("binds");
        };
        bind(&site.pins, &outside);
        let none = None::<&str>;
        mount(
            Some("tmpfs"),
            "/sys/fs/bpf",
            Some("tmpfs"),
            MsFlags::empty(),
            none,
        )
        .expect("mounts");
        fs::create_dir_all(&site.pins).expect("makes a directory");
        bind(&outside, &site.pins);
        let add: String = capabilities.iter().map(|one| format!(",+{one}")).collect();
        let [id, capabilities] = [uid.to_string(), format!("-all{add}")];
        let words = [
            "setpriv",
            "--reuid",
            &id,
            "--regid",
            &id,
            "--clear-groups",
            "--no-new-privs",
            "--inh-caps",
            &capabilities,
            "--ambient-caps",
            &capabilities,
            "--bounding-set",
            &capabilities,
        ];
        site.launcher = words.map(str::to_owned).to_vec();
        site
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn pins(&self) -> &Path {
        &self.pins
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("run/cordond.sock")
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("gateway.toml")
    }

    fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_cordond").to_owned();
        let mut words = self.launcher.iter().chain([&program]);
        let mut command = Command::new(words.next().expect("is one"));
        command
            .args(words)
            .arg("--config")
            .arg(self.config())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the daemon as a service manager does, and waits until it is ready.
    pub fn start(&self) -> Daemon {
        let notify = self.directory.path().join("notify");
        let _ = fs::remove_file(&notify);
        let manager = UnixDatagram::bind(&notify).expect("binds");
        // The daemon may be another user.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        fs::set_permissions(&notify, open).expect("is set");
        manager
            .set_read_timeout(Some(TIMEOUT))
            .expect("is a socket");
        let mut child = self
            .command()
            .env("NOTIFY_SOCKET", &notify)
            .spawn()
            .expect("starts");
        // Forwarded, so that the daemon never blocks on a full pipe.
        let mut log = child.stderr.take().expect("is piped");
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::stderr()));
        let daemon = Daemon {
            child,
            socket: self.socket(),
        };
        let mut message = [0; 64];
        let length = manager
            .recv(&mut message)
            .expect("cordond notifies readiness");
        assert_eq!(message[..length].trim_ascii(), b"READY=1");
        daemon
    }

    /// Starts a daemon that must fail to start, and returns its error output.
    pub fn refused(&self) -> String {
        let output = self.command().output().expect("starts");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("is text")
    }
}

/// A daemon, killed with the test.
pub struct Daemon {
    child: Child,
    socket: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// Ends it with a signal; returns its exit status.
    pub fn end(mut self, signal: Signal) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, signal).expect("is alive");
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("is ours") {
                assert!(status.signal().is_none() || status.signal() == Some(signal as i32));
                return status;
            }
            assert!(since.elapsed() < TIMEOUT, "cordond does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, "");
        assert_eq!(status, 200, "{body}");
        body
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, &body.to_string())
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = UnixStream::connect(&self.socket).expect("connects");
        let (status, body) = http(&mut stream, method, path, body);
        (status, serde_json::from_str(&body).expect("is JSON"))
    }

    /// Follows the events until one matches.
    pub fn event(&self, meanwhile: impl FnOnce(), matches: impl Fn(&Value) -> bool) -> Value {
        let mut stream = UnixStream::connect(&self.socket).expect("connects");
        stream.set_read_timeout(Some(TIMEOUT)).expect("is a socket");
        stream
            .write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
            .expect("writes");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stream));
        // After the head, events are streamed.
        lines
            .by_ref()
            .find(|line| line.as_ref().is_ok_and(String::is_empty));
        meanwhile();
        let events = lines.map_while(Result::ok);
        let mut events = events.filter_map(|line| serde_json::from_str(&line).ok());
        events.find(matches).expect("there is one")
    }

    /// Applies the example policy.
    pub fn apply_example(&self) -> (u16, Value) {
        let example = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../policy/examples/manchester-memorial"
        );
        let file =
            |name: &str| fs::read_to_string(Path::new(example).join(name)).expect("is there");
        let sources = json!({
            "site": file("site.yaml"), "policy": file("policy.yaml"), "devices": file("devices.csv"),
        });
        self.post("/v1/policy", &json!({"sources": sources}))
    }

    pub fn order(&self, kind: &str, posture: &str) -> (u16, Value) {
        let order = json!({"kind": kind, "scope": "site", "posture": posture, "reason": "a test"});
        self.post("/v1/orders", &order)
    }

    /// The exposition of the metrics.
    pub fn metrics(&self) -> String {
        let mut stream = TcpStream::connect("127.0.0.1:9469").expect("connects");
        let (status, body) = http(&mut stream, "GET", "/metrics", "");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The value of one metric.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.metrics();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .expect("is a number")
    }

    /// Waits until a metric has a value.
    pub fn wait_for(&self, name: &str, value: f64) {
        let since = Instant::now();
        while self.metric(name) != value {
            let now = self.metric(name);
            assert!(since.elapsed() < TIMEOUT, "{name} is {now}, not {value}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn http(stream: &mut (impl Read + Write), method: &str, path: &str, body: &str) -> (u16, String) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("has a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("has a status"), body.to_owned())
}

/// Sends frames into an interface.
pub fn send(interface: &str, frames: &[Vec<u8>]) {
    let found = pnet::datalink::interfaces()
        .into_iter()
        .find(|found| found.name == interface);
    let channel =
        pnet::datalink::channel(&found.expect("is there"), pnet::datalink::Config::default());
    let Ok(pnet::datalink::Channel::Ethernet(mut sender, _)) = channel else {
        panic!("{interface} takes no frames");
    };
    for frame in frames {
        sender
            .send_to(frame, None)
            .expect("has room")
            .expect("sends");
    }
}
