//! Somebody who listens at many ports.

use std::io;
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cordon_lab::{Error, Node, Result};

/// How soon a server notices that it is over.
const PAUSE: Duration = Duration::from_millis(50);

/// Listens for as long as it is not dropped.
pub struct Listening {
    over: Arc<AtomicBool>,
    echoes: Vec<JoinHandle<()>>,
    _connections: Vec<TcpListener>,
}

impl Listening {
    /// Takes TCP connections at some ports, and sends back datagrams at others, of either version of IP.
    ///
    /// # Errors
    /// [`Error::Io`] if a port is taken.
    pub fn at(node: &Node, tcp: &[u16], udp: &[u16]) -> Result<Listening> {
        let bind = || -> io::Result<(Vec<TcpListener>, Vec<UdpSocket>)> {
            let any = Ipv6Addr::UNSPECIFIED;
            let connections = tcp.iter().map(|port| TcpListener::bind((any, *port)));
            let datagrams = udp.iter().map(|port| -> io::Result<UdpSocket> {
                let socket = UdpSocket::bind((any, *port))?;
                socket.set_read_timeout(Some(PAUSE))?;
                Ok(socket)
            });
            Ok((
                connections.collect::<io::Result<_>>()?,
                datagrams.collect::<io::Result<_>>()?,
            ))
        };
        let (connections, datagrams) = node.run(bind)?.map_err(|source| Error::Io {
            what: format!("listening in {}", node.name()),
            source,
        })?;
        let over = Arc::new(AtomicBool::new(false));
        let echo = |socket: UdpSocket| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                let mut message = [0; 2048];
                while !over.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = socket.recv_from(&mut message) {
                        // An empty answer is one, too.
                        let _ = socket.send_to(&message[..length], from);
                    }
                }
            })
        };
        Ok(Listening {
            echoes: datagrams.into_iter().map(echo).collect(),
            over,
            _connections: connections,
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for echo in self.echoes.drain(..) {
            let _ = echo.join();
        }
    }
}
