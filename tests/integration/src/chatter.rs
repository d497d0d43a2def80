//! What both ends send whether or not they get anything: where nothing passes, both go on trying.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use cordon_lab::{Error, Result, TCP};

use crate::hospital::Line;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(30);

/// Both ends, for as long as it is not dropped.
pub struct Chatter {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Chatter {
    /// Opens `count` flows on a line. Once a flow's first message has come, its answering end goes on by itself.
    ///
    /// # Errors
    /// [`Error::Io`] if the port is taken, or a connection of TCP cannot be made.
    pub fn start(line: &Line, count: usize, every: Duration) -> Result<Chatter> {
        let failed = |source| Error::Io {
            what: format!("opening {count} flows for {}", line.talk.name),
            source,
        };
        let mut chatter = Chatter {
            stop: Arc::default(),
            threads: Vec::new(),
        };
        if line.talk.protocol == TCP {
            let (asking, answering) = connections(line, count)?.map_err(failed)?;
            chatter.repeat(every, move || asking.iter().for_each(say));
            chatter.repeat(every, move || answering.iter().for_each(say));
        } else {
            let (clients, server) = sockets(line, count)?.map_err(failed)?;
            chatter.ask(clients, line.to.at(line.talk.port), every);
            chatter.answer(server, every);
        }
        Ok(chatter)
    }

    fn ask(&mut self, clients: Vec<UdpSocket>, to: SocketAddr, every: Duration) {
        let mut number = 0u64;
        self.repeat(every, move || {
            for client in &clients {
                let mut message = [0; 64];
                while client.recv(&mut message).is_ok() {}
                number += 1;
                // What cannot be sent is made up for by the next.
                let _ = client.send_to(&number.to_be_bytes(), to);
            }
        });
    }

    fn answer(&mut self, server: UdpSocket, every: Duration) {
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

    fn repeat(&mut self, every: Duration, mut what: impl FnMut() + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                what();
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

fn sockets(line: &Line, count: usize) -> Opened<(Vec<UdpSocket>, UdpSocket)> {
    let open = |address: SocketAddr| -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let server = line.to.run(|| open(line.to.at(line.talk.port)))?;
    let clients = line
        .from
        .run(|| -> std::io::Result<_> { (0..count).map(|_| open(line.from.at(0))).collect() })?;
    Ok(clients.and_then(|clients| Ok((clients, server?))))
}

/// Both ends of connections: the asking, the answering.
fn connections(line: &Line, count: usize) -> Opened<(Vec<TcpStream>, Vec<TcpStream>)> {
    let address = line.to.at(line.talk.port);
    let listener = match line.to.run(|| TcpListener::bind(address))? {
        Ok(listener) => listener,
        Err(error) => return Ok(Err(error)),
    };
    let (mut asking, mut answering) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let connect = || TcpStream::connect_timeout(&address, CONNECT);
        let made = line.from.run(connect)?.and_then(|asking| {
            // What is connected has been queued for the listener.
            let (answering, _) = listener.accept()?;
            for stream in [&asking, &answering] {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
            }
            Ok((asking, answering))
        });
        match made {
            Ok(ends) => {
                asking.push(ends.0);
                answering.push(ends.1);
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok((asking, answering)))
}

/// Says something on a connection, and reads what the other end says.
fn say(mut stream: &TcpStream) {
    let mut message = [0; 4096];
    while stream.read(&mut message).is_ok_and(|read| read > 0) {}
    // Where nothing passes, the buffer fills up, and what is in it is sent again and again.
    let _ = stream.write(&message[..64]);
}
