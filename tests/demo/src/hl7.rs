//! HL7 version 2 over MLLP: a sender of results and an interface engine.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cordon_lab::Host;

/// Frame delimiters of MLLP.
const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

const CONNECT: Duration = Duration::from_secs(5);
/// How long a sender waits for an acknowledgement: longer than the quarantine of the demo.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An interface engine that accepts well-formed messages. Runs until it is killed.
pub fn engine(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .with_context(|| format!("cannot listen at port {port}"))?;
    for connection in listener.incoming().flatten() {
        std::thread::spawn(move || {
            // It ends when the sender closes the connection.
            let _ = acknowledge(connection);
        });
    }
    Ok(())
}

fn acknowledge(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    while let Some(message) = read(&mut reader)? {
        let header: Vec<&str> = message
            .split('\r')
            .next()
            .unwrap_or("")
            .split('|')
            .collect();
        let control = header.get(9).copied().unwrap_or("");
        // Application accept; application reject for anything but a message of version 2.
        let code = match header.first() == Some(&"MSH") && !control.is_empty() {
            true => "AA",
            false => "AR",
        };
        write(
            &mut connection,
            &format!(
                "MSH|^~\\&|ENGINE|ECHN|CENTRAL-1|MMH|20230803091500||ACK^R01|A{control}|P|2.5\rMSA|{code}|{control}\r"
            ),
        )?;
    }
    Ok(())
}

/// The next message; none at the end of the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut block = Vec::new();
    if reader.read_until(END[0], &mut block)? == 0 {
        return Ok(None);
    }
    let mut last = [0];
    reader.read_exact(&mut last)?;
    match block.as_slice() {
        [START, message @ .., end] if *end == END[0] && last[0] == END[1] => {
            Ok(Some(String::from_utf8_lossy(message).into_owned()))
        }
        _ => Err(io::Error::other("not an MLLP frame")),
    }
}

fn write(connection: &mut impl Write, message: &str) -> io::Result<()> {
    let mut block = vec![START];
    block.extend(message.as_bytes());
    block.extend(END);
    connection.write_all(&block)
}

fn result(number: u64) -> String {
    let rate = 60 + number % 40;
    format!(
        "MSH|^~\\&|CENTRAL-1|MMH|ENGINE|ECHN|20230803091500||ORU^R01|{number}|P|2.5\r\
         PID|1||4711^^^MMH||Demo^Patient\r\
         OBR|1|||VITALS\r\
         OBX|1|NM|8867-4^Heart rate^LN||{rate}|/min|||||F\r"
    )
}

/// A connection that sends results, each after the previous one was accepted.
pub struct Results {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    accepted: AtomicU64,
    stop: AtomicBool,
    waits: Mutex<Vec<Duration>>,
}

/// Counts and times of the results.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Messages sent.
    pub sent: u64,
    /// Messages that the engine accepted (`AA`).
    pub accepted: u64,
    /// Median time to the acknowledgement.
    pub median: Duration,
    /// Longest time to an acknowledgement.
    pub slowest: Duration,
    /// Why it ended early.
    pub error: Option<String>,
}

impl Results {
    /// Starts to send, with a pause of `every` between messages, until it is stopped or `limit` are sent.
    pub fn start(from: &Host, to: SocketAddr, every: Duration, limit: u64) -> Results {
        let shared = Arc::new(Shared::default());
        let (of_sender, from) = (Arc::clone(&shared), from.clone());
        let work = move || match from.run(|| send(&of_sender, to, every, limit)) {
            Ok(outcome) => outcome,
            Err(error) => Err(io::Error::other(error)),
        };
        Results {
            shared,
            thread: Some(std::thread::spawn(work)),
        }
    }

    /// Messages accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Stops after the next acknowledgement, and returns the outcome.
    pub fn stop(mut self) -> Outcome {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until all messages are sent, and returns the outcome.
    pub fn finish(&mut self) -> Outcome {
        let ended = self.thread.take().map(JoinHandle::join);
        let error = match ended {
            Some(Ok(Err(error))) => Some(error.to_string()),
            Some(Err(_)) => Some("the sender panicked".to_owned()),
            Some(Ok(Ok(()))) | None => None,
        };
        let waits = self.shared.waits.lock();
        let mut waits = waits.unwrap_or_else(PoisonError::into_inner).clone();
        waits.sort();
        Outcome {
            sent: self.shared.sent.load(Ordering::Relaxed),
            accepted: self.accepted(),
            median: waits.get(waits.len() / 2).copied().unwrap_or_default(),
            slowest: waits.last().copied().unwrap_or_default(),
            error,
        }
    }
}

fn send(shared: &Shared, to: SocketAddr, every: Duration, limit: u64) -> io::Result<()> {
    let mut connection = TcpStream::connect_timeout(&to, CONNECT)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(connection.try_clone()?);
    for number in 1..=limit {
        let began = Instant::now();
        write(&mut connection, &result(number))?;
        shared.sent.fetch_add(1, Ordering::Relaxed);
        let answer = read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if !answer.contains(&format!("\rMSA|AA|{number}\r")) {
            return Err(io::Error::other(format!("not accepted: {answer:?}")));
        }
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let waits = shared.waits.lock();
        waits
            .unwrap_or_else(PoisonError::into_inner)
            .push(began.elapsed());
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(every);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_framed_and_read_back() {
        let mut wire = Vec::new();
        write(&mut wire, &result(7)).expect("writes");
        assert_eq!(wire.first(), Some(&0x0b));
        assert!(wire.ends_with(&[b'\r', 0x1c, 0x0d]));
        let mut reader = wire.as_slice();
        assert_eq!(read(&mut reader).expect("reads"), Some(result(7)));
        assert_eq!(read(&mut reader).expect("ends"), None);
        assert!(read(&mut b"MSH|\x1c\x0d".as_slice()).is_err());
    }

    #[test]
    fn the_engine_rejects_malformed_messages() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("has one");
        std::thread::spawn(move || acknowledge(listener.accept().expect("accepts").0));
        let mut connection = TcpStream::connect(address).expect("connects");
        let mut reader = BufReader::new(connection.try_clone().expect("clones"));
        for (message, code) in [(result(12), "MSA|AA|12"), ("ZZZ|".to_owned(), "MSA|AR|")] {
            write(&mut connection, &message).expect("writes");
            let answer = read(&mut reader).expect("reads").expect("answers");
            assert!(answer.contains(code), "{answer}");
        }
    }
}
