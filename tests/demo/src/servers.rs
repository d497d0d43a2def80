//! Doors: ports that somebody answers at. A scan that finds none must have had some to find.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// Takes connections at these ports, and ends each at once. Runs until it is killed.
pub fn doors(ports: &[u16]) -> Result<()> {
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
        // None ends by itself.
        let _ = thread.join();
    }
    Ok(())
}
