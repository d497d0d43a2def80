//! A simulated gateway with fixed answers. It writes HTTP byte by byte, to send incomplete and malformed answers too.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

/// The time on the gateway's clock, from which `cordon` computes ages.
pub const DATE: &str = "Sun, 01 Mar 2026 03:20:00 GMT";

/// The answer to a call.
#[derive(Clone)]
pub enum Reply {
    /// A status and a JSON document.
    Json(u16, String),
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// These lines, on a connection that stays open.
    Stream(Vec<String>),
    /// No byte, on a connection that stays open.
    NoAnswer,
}

/// The gateway.
pub struct Fake {
    directory: TempDir,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Fake {
    /// A gateway that knows these calls, such as `GET /v1/status`, and answers any other with a failure.
    pub fn new(replies: &[(&str, Reply)]) -> Fake {
        let directory = TempDir::new().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("socket")).expect("a socket");
        let calls = Arc::<Mutex<Vec<(String, String)>>>::default();
        let replies: Vec<(String, Reply)> = replies
            .iter()
            .map(|(call, reply)| ((*call).to_owned(), reply.clone()))
            .collect();
        let (log, replies) = (Arc::clone(&calls), Arc::new(replies));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, replies) = (Arc::clone(&log), Arc::clone(&replies));
                std::thread::spawn(move || serve(&stream.expect("a connection"), &log, &replies));
            }
        });
        Fake { directory, calls }
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// The calls that it received so far.
    pub fn calls(&self) -> Vec<String> {
        self.calls
            .lock()
            .expect("a lock")
            .iter()
            .map(|(call, _)| call.clone())
            .collect()
    }

    /// The body of the first such call.
    pub fn body(&self, call: &str) -> serde_json::Value {
        let calls = self.calls.lock().expect("a lock");
        let (_, body) = calls
            .iter()
            .find(|(received, _)| received == call)
            .expect("the call was made");
        serde_json::from_str(body).expect("the body is JSON")
    }
}

fn serve(mut stream: &UnixStream, log: &Mutex<Vec<(String, String)>>, replies: &[(String, Reply)]) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).expect("a line") == 0 {
            return; // The caller only checked that the socket accepts connections.
        }
        match line.trim() {
            "" => break,
            line => head.push(line.to_lowercase()),
        }
    }
    let call = head[0]
        .trim_end_matches(" http/1.1")
        .replacen("get ", "GET ", 1)
        .replacen("post ", "POST ", 1);
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    reader.read_exact(&mut body).expect("a body");
    log.lock()
        .expect("a lock")
        .push((call.clone(), String::from_utf8(body).expect("text")));

    let known = replies
        .iter()
        .find(|(known, _)| *known == call)
        .map(|(_, reply)| reply.clone());
    let unknown = Reply::Json(
        404,
        format!(r#"{{"code":"not-found","message":"unexpected call: {call}"}}"#),
    );
    // An error means that the caller closed the connection first. The test decides whether that is right.
    let _ = match known.unwrap_or(unknown) {
        Reply::Json(status, body) => write!(
            stream,
            "HTTP/1.1 {status} X\r\nDate: {DATE}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        Reply::Bytes(bytes) => stream.write_all(&bytes),
        Reply::Stream(lines) => {
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nDate: {DATE}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            for line in lines {
                // Each line comes in two chunks, as a network may split it. An empty chunk would end the stream.
                let line = format!("{line}\n");
                let halves = line.split_at(line.len() / 2);
                for half in [halves.0, halves.1].iter().filter(|half| !half.is_empty()) {
                    let _ = write!(stream, "{:x}\r\n{half}\r\n", half.len());
                }
            }
            keep_open(stream)
        }
        Reply::NoAnswer => keep_open(stream),
    };
}

/// Keeps a connection open until the caller closes it.
fn keep_open(mut stream: &UnixStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.read(&mut [0]).map(|_| ())
}
