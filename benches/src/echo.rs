//! A UDP echo server.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

/// Sends back every datagram, until `stopped` is set. The socket needs a read timeout.
///
/// # Errors
/// None at present: a socket error counts as a lost datagram.
pub fn serve(server: &UdpSocket, stopped: &AtomicBool) -> Result<()> {
    let mut message = [0; 64];
    while !stopped.load(Ordering::Relaxed) {
        if let Ok((length, from)) = server.recv_from(&mut message) {
            // The client counts a datagram that cannot be sent as lost.
            let _ = server.send_to(&message[..length], from);
        }
    }
    Ok(())
}
