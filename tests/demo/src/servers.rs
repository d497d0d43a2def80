//! Open ports. A scan that finds none proves something only if there are some to find.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// Accepts connections at these ports and closes each at once. Runs until it is killed.
pub fn accept(ports: &[u16]) -> Result<()> {
    let mut threads = Vec::new();
    for port in ports {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port))
            .with_context(|| format!("cannot listen at port {port}"))?;
        threads.push(std::thread::spawn(move || {
            for connection in listener.incoming() {
                drop(connection);
            }
        }));
    }
    for thread in threads {
        // The threads do not end.
        let _ = thread.join();
    }
    Ok(())
}
