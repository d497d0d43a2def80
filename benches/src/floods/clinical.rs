//! What goes on at the bedside meanwhile: devices that ask their servers something every other millisecond.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::hosts::Hosts;
use crate::processor;
use crate::rtt;
use crate::traffic::Device;

/// How often each device asks.
const EVERY: Duration = Duration::from_millis(2);
const PAYLOAD: usize = 40;

/// When something was asked, and how long it took to be answered; if it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// When.
    pub at: Instant,
    /// Until the answer was there.
    pub took: Option<Duration>,
}

/// Flows under way, in threads that go ahead of the flood's.
pub struct Clinical<'scope> {
    asking: Vec<ScopedJoinHandle<'scope, Result<Vec<Asked>>>>,
    answering: Vec<ScopedJoinHandle<'scope, Result<()>>>,
}

impl<'scope> Clinical<'scope> {
    /// Starts them, one of each device, all on one processor, until `over`.
    ///
    /// # Errors
    /// If a socket cannot be opened.
    pub fn start(
        scope: &'scope Scope<'scope, '_>,
        hosts: &Hosts,
        devices: &[Device],
        processor: usize,
        over: &'scope [AtomicBool; 2],
    ) -> Result<Clinical<'scope>> {
        let [asked, answered] = over;
        let mut clinical = Clinical {
            asking: Vec::new(),
            answering: Vec::new(),
        };
        for device in devices {
            let (client, server) = (hosts.client(*device)?, hosts.server(*device)?);
            clinical.answering.push(
                scope.spawn(move || processor::on(processor, || rtt::answer(&server, answered))),
            );
            clinical
                .asking
                .push(scope.spawn(move || processor::on(processor, || ask(&client, asked))));
        }
        Ok(clinical)
    }

    /// Ends them, the servers last.
    ///
    /// # Errors
    /// If a socket failed.
    pub fn stop(self, over: &[AtomicBool; 2]) -> Result<Vec<Asked>> {
        let [asked, answered] = over;
        asked.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for thread in self.asking {
            all.extend(joined(thread)?);
        }
        answered.store(true, Ordering::Relaxed);
        for thread in self.answering {
            joined(thread)?;
        }
        Ok(all)
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn ask(client: &UdpSocket, over: &AtomicBool) -> Result<Vec<Asked>> {
    let mut asked: Vec<Asked> = Vec::new();
    let start = Instant::now();
    for turn in 0u32.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let due = start + EVERY * turn;
        // An answer that comes late is looked for as long as there is time.
        loop {
            let now = Instant::now();
            if now >= due {
                break;
            }
            if asked
                .iter()
                .rev()
                .take(100)
                .all(|asked| asked.took.is_some())
            {
                thread::sleep(due - now);
            } else {
                listen(client, due - now, &mut asked)?;
            }
        }
        let mut message = [0; PAYLOAD];
        message[..8].copy_from_slice(&(asked.len() as u64).to_ne_bytes());
        asked.push(Asked {
            at: Instant::now(),
            took: None,
        });
        // What cannot be sent is lost as well.
        let _ = client.send(&message);
    }
    let end = Instant::now() + Duration::from_millis(300);
    while asked.iter().any(|asked| asked.took.is_none()) && Instant::now() < end {
        listen(client, Duration::from_millis(50), &mut asked)?;
    }
    Ok(asked)
}

/// Takes an answer, if one comes in time.
fn listen(client: &UdpSocket, within: Duration, asked: &mut [Asked]) -> Result<()> {
    client.set_read_timeout(Some(within.max(Duration::from_micros(1))))?;
    let mut message = [0; PAYLOAD];
    let Ok(length) = client.recv(&mut message) else {
        return Ok(());
    };
    let now = Instant::now();
    let number = message[..length].first_chunk().copied();
    let number = number.map_or(usize::MAX, |number| u64::from_ne_bytes(number) as usize);
    if let Some(asked) = asked.get_mut(number) {
        asked.took.get_or_insert(now - asked.at);
    }
    Ok(())
}
