//! A gateway that answers what it was told to. It speaks HTTP byte by byte, because half an answer, silence and
//! nonsense are answers too.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

/// The clock of the gateway: ages are measured by it.
pub const DATE: &str = "Sun, 01 Mar 2026 03:20:00 GMT";

/// What a call is answered with.
#[derive(Clone)]
pub enum Reply {
    /// A status and a JSON document.
    Json(u16, String),
    /// These bytes, and the connection is closed.
    Bytes(Vec<u8>),
    /// These lines, and the connection stays open.
    Stream(Vec<String>),
    /// Nothing, while the connection stays open.
    Silence,
}

/// The gateway.
pub struct Fake {
    directory: TempDir,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Fake {
    /// One that knows some calls, such as `GET /v1/status`; any other is answered with a failure.
    pub fn new(replies: &[(&str, Reply)]) -> Fake {
        let directory = TempDir::new().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("socket")).expect("a socket");
        let heard = Arc::<Mutex<Vec<(String, String)>>>::default();
        let replies: Vec<(String, Reply)> = replies
            .iter()
            .map(|(call, reply)| ((*call).to_owned(), reply.clone()))
            .collect();
        let (told, replies) = (Arc::clone(&heard), Arc::new(replies));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (told, replies) = (Arc::clone(&told), Arc::clone(&replies));
                std::thread::spawn(move || serve(&stream.expect("a connection"), &told, &replies));
            }
        });
        Fake { directory, heard }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// The calls that it heard so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard
            .lock()
            .expect("a lock")
            .iter()
            .map(|(call, _)| call.clone())
            .collect()
    }

    /// The body of a call that it heard.
    pub fn body(&self, call: &str) -> serde_json::Value {
        let heard = self.heard.lock().expect("a lock");
        let (_, body) = heard
            .iter()
            .find(|(heard, _)| heard == call)
            .expect("the call was made");
        serde_json::from_str(body).expect("the body is JSON")
    }
}

fn serve(
    mut stream: &UnixStream,
    told: &Mutex<Vec<(String, String)>>,
    replies: &[(String, Reply)],
) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).expect("a line") == 0 {
            return; // Somebody looked whether anybody listens.
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
    told.lock()
        .expect("a lock")
        .push((call.clone(), String::from_utf8(body).expect("text")));

    let known = replies
        .iter()
        .find(|(known, _)| *known == call)
        .map(|(_, reply)| reply.clone());
    let unknown = Reply::Json(
        404,
        format!(r#"{{"code":"not-found","message":"not played: {call}"}}"#),
    );
    // The caller may be gone before it is answered; it is its own test that says whether it may.
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
                // Lines are cut wherever it pleases the network. A chunk of nothing would be the end.
                let line = format!("{line}\n");
                let halves = line.split_at(line.len() / 2);
                for half in [halves.0, halves.1].iter().filter(|half| !half.is_empty()) {
                    let _ = write!(stream, "{:x}\r\n{half}\r\n", half.len());
                }
            }
            hold(stream)
        }
        Reply::Silence => hold(stream),
    };
}

/// Keeps a connection open until the caller closes it.
fn hold(mut stream: &UnixStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.read(&mut [0]).map(|_| ())
}
