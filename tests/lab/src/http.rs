//! GET requests to the daemon.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Sends a GET request to a Unix socket. Returns status code and body.
pub fn get_unix(socket: &Path, path: &str, timeout: Duration) -> io::Result<(u16, String)> {
    let socket = UnixStream::connect(socket)?;
    socket.set_read_timeout(Some(timeout))?;
    get(socket, path)
}

/// Sends a GET request to a port of the calling thread's network namespace. Returns status code and body.
pub fn get_local(port: u16, path: &str, timeout: Duration) -> io::Result<(u16, String)> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(timeout))?;
    get(socket, path)
}

/// Sends a GET request by HTTP/1.0: the answer ends with the connection.
fn get(mut socket: impl Read + Write, path: &str) -> io::Result<(u16, String)> {
    write!(socket, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    match code {
        Some(code) => Ok((code, body.to_owned())),
        None => Err(io::Error::other(format!("no HTTP answer: {head:?}"))),
    }
}
