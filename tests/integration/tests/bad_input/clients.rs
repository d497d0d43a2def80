//! Hostile clients of the local API.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cordon_integration::hospital;
use cordon_integration::steps::{PATIENCE, posture, quarantine, release, wait_until};
use cordon_lab::Result;
use cordon_policy::Posture;

#[test]
fn hostile_api_clients_do_not_block_a_quarantine() -> Result<()> {
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
        let answer = request_answer(&gateway.socket(), request);
        let code = answer.split(' ').nth(1).unwrap_or_default();
        assert!(
            !code.starts_with('2') && !code.starts_with('5'),
            "{request:.40?}: {answer}"
        );
        assert_eq!(posture(gateway)?, Posture::Normal);
    }

    // A thousand idle or half-sent requests of another user: the order is accepted at once.
    let clients = IdleClients::connect(&gateway.socket());
    quarantine(gateway, Posture::Contain)?;
    assert_eq!(posture(gateway)?, Posture::Contain);
    drop(clients);
    release(gateway)?;

    // Many event streams of the operator's own user: the order is accepted at once.
    let listeners: Vec<_> = (0..100).map(|_| send(&gateway.socket(), LISTEN)).collect();
    quarantine(gateway, Posture::Contain)?;
    drop(listeners);
    release(gateway)?;

    // A thousand idle connections of the same user: the order is accepted once they have timed out.
    let idle: Vec<_> = (0..1000).map(|_| send(&gateway.socket(), b"")).collect();
    wait_until("the order is accepted", || {
        let output = gateway.cordon(&["quarantine", "site", "--reason", "drill"])?;
        Ok(output.success())
    })?;
    drop(idle);
    assert_eq!(posture(gateway)?, Posture::Contain);
    let log = gateway.log();
    assert!(!log.contains("panicked"), "{log}");
    gateway.stop()
}

/// A call whose answer ends only when the client disconnects.
const LISTEN: &[u8] = b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n";

/// A connection on which `request` was sent.
fn send(socket: &Path, request: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("the socket accepts connections");
    // The gateway may close the connection before it has read everything.
    let _ = stream.write_all(request);
    stream
}

/// Sends a request, ends the sending side, and returns the answer.
fn request_answer(socket: &Path, request: &[u8]) -> String {
    let mut stream = send(socket, request);
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("the timeout is set");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

/// A thousand connections of another user, on which no request or half of one is sent.
struct IdleClients(Child);

impl IdleClients {
    fn connect(socket: &Path) -> IdleClients {
        let mut program = Command::new("python3");
        program
            .args(["-c", IDLE_CLIENTS])
            .arg(socket)
            .uid(UNPRIVILEGED)
            .gid(UNPRIVILEGED);
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut ready = [0; 5];
        let stdout = child.stdout.as_mut().expect("standard output is piped");
        stdout
            .read_exact(&mut ready)
            .expect("all connections are accepted");
        assert_eq!(&ready, b"ready");
        IdleClients(child)
    }
}

impl Drop for IdleClients {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's user `nobody` and group `nogroup`.
const UNPRIVILEGED: u32 = 65534;

const IDLE_CLIENTS: &str = r#"
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
halves = [b"", b"GET /v1/sta", b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"]
streams = []
for number in range(1000):
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(sys.argv[1])
    try:
        stream.send(halves[number % 3])
    except BrokenPipeError:
        pass
    streams.append(stream)
print("ready", end="", flush=True)
sys.stdin.read()
"#;
