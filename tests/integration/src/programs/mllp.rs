//! HL7 sessions over MLLP, in which either end may send messages.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use cordon_lab::{Error, Host, Result};

use crate::steps::PATIENCE;

/// Start and end of block (HL7 Transport Specification: MLLP, release 2).
const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// Both ends of a session. It has no keep-alives: only messages are sent on it.
pub struct Session {
    /// The end that opened the connection.
    pub client: TcpStream,
    /// The end that accepted it.
    pub server: TcpStream,
    sent: u32,
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn open(from: &Host, to: &Host, port: u16) -> Result<Session> {
        let at = to.at(port);
        let failed = |source| Error::Io {
            what: format!("opening a session from {} to {at}", from.name()),
            source,
        };
        let listener = to.run(|| TcpListener::bind(at))?.map_err(failed)?;
        let client = from.run(|| connect(at))?.map_err(failed)?;
        let (server, _) = listener.accept().map_err(failed)?;
        server.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Session {
            client,
            server,
            sent: 0,
        })
    }

    /// One end sends a message, and the other acknowledges it.
    ///
    /// # Errors
    /// If the message or its acknowledgement does not arrive within [`PATIENCE`].
    pub fn exchange(&mut self, sender: Sender) -> io::Result<()> {
        self.sent += 1;
        let (mut from, mut to) = match sender {
            Sender::Client => (&self.client, &self.server),
            Sender::Server => (&self.server, &self.client),
        };
        let number = self.sent;
        let message = format!("MSH|^~\\&|||||||ORU^R01|{number}|P|2.5\rOBX|1|NM|||{number}\r");
        transfer(&mut from, &mut to, &message)?;
        let acknowledged = format!("MSH|^~\\&|||||||ACK|{number}|P|2.5\rMSA|AA|{number}\r");
        transfer(&mut to, &mut from, &acknowledged)
    }

    /// The port of the client.
    pub fn port(&self) -> u16 {
        self.client.local_addr().map_or(0, |address| address.port())
    }
}

/// The end that sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The end that opened the session.
    Client,
    /// The end that accepted it.
    Server,
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn transfer(from: &mut impl Write, to: &mut impl Read, message: &str) -> io::Result<()> {
    from.write_all(&[&[START][..], message.as_bytes(), &END].concat())?;
    let mut received = Vec::new();
    let mut byte = [0];
    while !received.ends_with(&END) {
        to.read_exact(&mut byte)?;
        received.push(byte[0]);
    }
    let inner = received.strip_prefix(&[START]).unwrap_or(&received);
    match inner.strip_suffix(&END) == Some(message.as_bytes()) {
        true => Ok(()),
        false => Err(io::Error::other(format!("another message: {received:?}"))),
    }
}
