//! Clinical traffic during a flood: devices that send their servers a request every two milliseconds.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::echo;
use crate::hosts::Hosts;
use crate::processor;
use crate::traffic::Device;

/// The interval between a device's requests.
const EVERY: Duration = Duration::from_millis(2);
const PAYLOAD: usize = 40;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// When it was sent.
    pub at: Instant,
    /// The time to its answer, if it was answered.
    pub took: Option<Duration>,
}

/// Running flows, in threads with priority over the flood's.
pub struct Clinical<'scope> {
    clients: Vec<ScopedJoinHandle<'scope, Result<Vec<Request>>>>,
    servers: Vec<ScopedJoinHandle<'scope, Result<()>>>,
}

impl<'scope> Clinical<'scope> {
    /// Starts a flow for each device, all on one processor. `stop` ends clients and servers.
    ///
    /// # Errors
    /// If a socket cannot be opened.
    pub fn start(
        scope: &'scope Scope<'scope, '_>,
        hosts: &Hosts,
        devices: &[Device],
        processor: usize,
        stop: &'scope [AtomicBool; 2],
    ) -> Result<Clinical<'scope>> {
        let [stop_clients, stop_servers] = stop;
        let mut clinical = Clinical {
            clients: Vec::new(),
            servers: Vec::new(),
        };
        for device in devices {
            let (client, server) = (hosts.client(*device)?, hosts.server(*device)?);
            clinical.servers.push(scope.spawn(move || {
                processor::run_on(processor, || echo::serve(&server, stop_servers))
            }));
            clinical.clients.push(scope.spawn(move || {
                processor::run_on(processor, || send_requests(&client, stop_clients))
            }));
        }
        Ok(clinical)
    }

    /// Stops the flows, the servers last.
    ///
    /// # Errors
    /// If a socket failed.
    pub fn stop(self, stop: &[AtomicBool; 2]) -> Result<Vec<Request>> {
        let [stop_clients, stop_servers] = stop;
        stop_clients.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for thread in self.clients {
            all.extend(join(thread)?);
        }
        stop_servers.store(true, Ordering::Relaxed);
        for thread in self.servers {
            join(thread)?;
        }
        Ok(all)
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn send_requests(client: &UdpSocket, stop: &AtomicBool) -> Result<Vec<Request>> {
    let mut requests: Vec<Request> = Vec::new();
    let start = Instant::now();
    for turn in 0u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let due = start + EVERY * turn;
        // Receives late answers until the next request is due.
        loop {
            let now = Instant::now();
            if now >= due {
                break;
            }
            let mut recent = requests.iter().rev().take(100);
            if recent.all(|request| request.took.is_some()) {
                thread::sleep(due - now);
            } else {
                receive(client, due - now, &mut requests)?;
            }
        }
        let mut message = [0; PAYLOAD];
        message[..8].copy_from_slice(&(requests.len() as u64).to_ne_bytes());
        requests.push(Request {
            at: Instant::now(),
            took: None,
        });
        // A failed send counts as lost.
        let _ = client.send(&message);
    }
    let end = Instant::now() + Duration::from_millis(300);
    while requests.iter().any(|request| request.took.is_none()) && Instant::now() < end {
        receive(client, Duration::from_millis(50), &mut requests)?;
    }
    Ok(requests)
}

/// Receives an answer, if one arrives in time.
fn receive(client: &UdpSocket, within: Duration, requests: &mut [Request]) -> Result<()> {
    client.set_read_timeout(Some(within.max(Duration::from_micros(1))))?;
    let mut message = [0; PAYLOAD];
    let Ok(length) = client.recv(&mut message) else {
        return Ok(());
    };
    let now = Instant::now();
    let number = message[..length].first_chunk().copied();
    let number = number.map_or(usize::MAX, |number| u64::from_ne_bytes(number) as usize);
    if let Some(request) = requests.get_mut(number) {
        request.took.get_or_insert(now - request.at);
    }
    Ok(())
}
