//! ICMP echo from the calling thread's network namespace.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

const INTERVAL: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(1);

/// Sends `count` requests and returns how many were answered.
pub fn ping(to: IpAddr, count: u16) -> io::Result<u16> {
    // Ping sockets: the kernel fills in identifier and checksum, and delivers only replies to our requests.
    let (family, protocol, request, reply) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8, 0),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let socket: OwnedFd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, protocol)?;
    // The standard library's type works for any datagram socket.
    let socket = UdpSocket::from(socket);
    let to = SocketAddr::new(to, 0);
    let mut answered = vec![false; usize::from(count)];
    let send = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let message = [
            request, 0, 0, 0, 0, 0, high, low, b'c', b'o', b'r', b'd', b'o', b'n',
        ];
        // Without a route or a neighbour, sending fails. It counts as a request without reply.
        socket.send_to(&message, to).is_ok()
    };
    let mut until = Instant::now();
    for number in 0..=count {
        if number < count {
            send(number);
            until += INTERVAL;
        } else {
            until = Instant::now() + TIMEOUT;
        }
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if number == count && answered.iter().all(|answered| *answered) {
                break;
            }
            // A timeout of zero is not allowed.
            socket.set_read_timeout(Some(left.max(Duration::from_micros(100))))?;
            let mut message = [0; 64];
            let Ok(length) = socket.recv(&mut message) else {
                continue;
            };
            if length >= 8 && message[0] == reply {
                let number = usize::from(u16::from_be_bytes([message[6], message[7]]));
                if let Some(answered) = answered.get_mut(number) {
                    *answered = true;
                }
            }
        }
    }
    Ok(answered.iter().filter(|answered| **answered).count() as u16)
}
