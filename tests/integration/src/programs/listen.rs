//! TCP and UDP servers on many ports of a host.

use std::io;
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cordon_lab::{Error, Node, Result};

/// How often an echo thread checks whether to stop.
const PAUSE: Duration = Duration::from_millis(50);

/// Listens until it is dropped.
pub struct Listening {
    stopped: Arc<AtomicBool>,
    echoes: Vec<JoinHandle<()>>,
    _connections: Vec<TcpListener>,
}

impl Listening {
    /// Accepts TCP connections at `tcp` ports and echoes datagrams at `udp` ports, over IPv4 and IPv6.
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
        let stopped = Arc::new(AtomicBool::new(false));
        let echo = |socket: UdpSocket| {
            let stopped = Arc::clone(&stopped);
            thread::spawn(move || {
                let mut message = [0; 2048];
                while !stopped.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = socket.recv_from(&mut message) {
                        // Empty datagrams are echoed as well.
                        let _ = socket.send_to(&message[..length], from);
                    }
                }
            })
        };
        Ok(Listening {
            echoes: datagrams.into_iter().map(echo).collect(),
            stopped,
            _connections: connections,
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        for echo in self.echoes.drain(..) {
            let _ = echo.join();
        }
    }
}
