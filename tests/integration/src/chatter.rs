//! Traffic that both ends send regardless of what they receive, so that both directions are tried while they are
//! blocked.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use cordon_lab::{Error, Result, TCP};

use crate::hospital::TestFlow;

/// How long a TCP connection may take to be established.
const CONNECT: Duration = Duration::from_secs(30);

/// Sends from both ends until it is dropped.
pub struct Chatter {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Chatter {
    /// Opens `count` flows. From its first message on, the server of a flow sends independently.
    ///
    /// # Errors
    /// [`Error::Io`] if the port is taken, or a TCP connection fails.
    pub fn start(flow: &TestFlow, count: usize, every: Duration) -> Result<Chatter> {
        let failed = |source| Error::Io {
            what: format!("opening {count} flows for {}", flow.spec.name),
            source,
        };
        let mut chatter = Chatter {
            stop: Arc::default(),
            threads: Vec::new(),
        };
        if flow.spec.protocol == TCP {
            let (clients, servers) = connections(flow, count)?.map_err(failed)?;
            chatter.repeat(every, move || clients.iter().for_each(exchange));
            chatter.repeat(every, move || servers.iter().for_each(exchange));
        } else {
            let (clients, server) = sockets(flow, count)?.map_err(failed)?;
            chatter.send_from_clients(clients, flow.to.at(flow.spec.port), every);
            chatter.send_from_server(server, every);
        }
        Ok(chatter)
    }

    fn send_from_clients(&mut self, clients: Vec<UdpSocket>, to: SocketAddr, every: Duration) {
        let mut number = 0u64;
        self.repeat(every, move || {
            for client in &clients {
                let mut message = [0; 64];
                while client.recv(&mut message).is_ok() {}
                number += 1;
                // A failed send does not matter: the next one follows soon.
                let _ = client.send_to(&number.to_be_bytes(), to);
            }
        });
    }

    fn send_from_server(&mut self, server: UdpSocket, every: Duration) {
        let mut peers = HashSet::new();
        let mut number = 0u64;
        self.repeat(every, move || {
            let mut message = [0; 64];
            while let Ok((_, peer)) = server.recv_from(&mut message) {
                peers.insert(peer);
            }
            for peer in &peers {
                number += 1;
                let _ = server.send_to(&number.to_be_bytes(), peer);
            }
        });
    }

    fn repeat(&mut self, every: Duration, mut action: impl FnMut() + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                action();
                std::thread::sleep(every);
            }
        }));
    }
}

impl Drop for Chatter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

type Opened<T> = Result<std::io::Result<T>>;

fn sockets(flow: &TestFlow, count: usize) -> Opened<(Vec<UdpSocket>, UdpSocket)> {
    let open = |address: SocketAddr| -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let server = flow.to.run(|| open(flow.to.at(flow.spec.port)))?;
    let clients = flow
        .from
        .run(|| -> std::io::Result<_> { (0..count).map(|_| open(flow.from.at(0))).collect() })?;
    Ok(clients.and_then(|clients| Ok((clients, server?))))
}

/// The client and server ends of `count` connections.
fn connections(flow: &TestFlow, count: usize) -> Opened<(Vec<TcpStream>, Vec<TcpStream>)> {
    let address = flow.to.at(flow.spec.port);
    let listener = match flow.to.run(|| TcpListener::bind(address))? {
        Ok(listener) => listener,
        Err(error) => return Ok(Err(error)),
    };
    let (mut clients, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let connect = || TcpStream::connect_timeout(&address, CONNECT);
        let connected = flow.from.run(connect)?.and_then(|client| {
            // A connected client is in the listener's queue.
            let (server, _) = listener.accept()?;
            for stream in [&client, &server] {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
            }
            Ok((client, server))
        });
        match connected {
            Ok(ends) => {
                clients.push(ends.0);
                servers.push(ends.1);
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok((clients, servers)))
}

/// Sends a message on a connection, and reads what has arrived.
fn exchange(mut stream: &TcpStream) {
    let mut message = [0; 4096];
    while stream.read(&mut message).is_ok_and(|read| read > 0) {}
    // While the connection is blocked, the buffer fills up and TCP retransmits.
    let _ = stream.write(&message[..64]);
}
