//! HL7 messages over MLLP: a session of two ends, either of which may speak.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use cordon_lab::{Error, Host, Result};

use crate::steps::PATIENCE;

/// Around a message on the wire (HL7, Transport Specification MLLP, release 2).
const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// A session, as both ends have it. Nothing keeps it alive but what is said.
pub struct Session {
    /// Who opened it.
    pub client: TcpStream,
    /// Who was called.
    pub server: TcpStream,
    said: u32,
}

impl Session {
    /// Opens one.
    ///
    /// # Errors
    /// If no connection can be made.
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
            said: 0,
        })
    }

    /// One end says something, and the other acknowledges it.
    ///
    /// # Errors
    /// If it does not arrive, or no acknowledgement comes back, within [`PATIENCE`].
    pub fn exchange(&mut self, speaker: Speaker) -> io::Result<()> {
        self.said += 1;
        let (mut from, mut to) = match speaker {
            Speaker::Client => (&self.client, &self.server),
            Speaker::Server => (&self.server, &self.client),
        };
        let number = self.said;
        let message = format!("MSH|^~\\&|||||||ORU^R01|{number}|P|2.5\rOBX|1|NM|||{number}\r");
        pass(&mut from, &mut to, &message)?;
        let acknowledged = format!("MSH|^~\\&|||||||ACK|{number}|P|2.5\rMSA|AA|{number}\r");
        pass(&mut to, &mut from, &acknowledged)
    }

    /// The port of the client.
    pub fn port(&self) -> u16 {
        self.client.local_addr().map_or(0, |address| address.port())
    }
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Who opened the session.
    Client,
    /// Who was called.
    Server,
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn pass(from: &mut impl Write, to: &mut impl Read, message: &str) -> io::Result<()> {
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
