//! Which connections are kept, and which calls run.
//!
//! A connection is *unfinished* until its request has been read whole. Unfinished connections cost little and take no
//! permit of a call; all together they are bounded, and the oldest one of the caller with most is closed to make room.
//! Complete requests count against the limits of their caller. Orders have limits of their own, which no other call
//! can take.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::sync::lock;

/// Unfinished connections of all callers together.
pub const MAX_UNFINISHED: usize = 256;

/// The kind of a call: each has permits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Any call but an order.
    Ordinary,
    /// An order: a quarantine or a release.
    Order,
}

/// The permits of one caller, in one lane.
struct Permits {
    /// Calls that run.
    calls: Arc<Semaphore>,
    /// Complete requests: they wait, run, or their answer is being sent.
    complete: Arc<Semaphore>,
}

impl Permits {
    fn new(calls: usize) -> Permits {
        Permits {
            calls: Arc::new(Semaphore::new(calls)),
            complete: Arc::new(Semaphore::new(calls * 5)),
        }
    }
}

/// The permits of one caller.
struct Quota {
    ordinary: Permits,
    orders: Permits,
}

struct Unfinished {
    caller: u32,
    evicted: Arc<Notify>,
}

#[derive(Default)]
struct Connections {
    /// By number, the oldest first.
    unfinished: BTreeMap<u64, Unfinished>,
    last: u64,
    quotas: HashMap<u32, Arc<Quota>>,
}

impl Connections {
    /// Closes the oldest unfinished connection of the caller that has most of them; returns this caller.
    fn evict(&mut self) -> Option<u32> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for unfinished in self.unfinished.values() {
            *counts.entry(unfinished.caller).or_default() += 1;
        }
        let (most, _) = counts
            .into_iter()
            .max_by_key(|(caller, count)| (*count, *caller))?;
        let mut all = self.unfinished.iter();
        let number = *all.find(|(_, unfinished)| unfinished.caller == most)?.0;
        self.unfinished.remove(&number)?.evicted.notify_one();
        Some(most)
    }
}

/// The connections of a server.
#[derive(Clone)]
pub struct Admissions {
    calls: usize,
    connections: Arc<Mutex<Connections>>,
}

impl Admissions {
    /// A server with this many concurrent calls of each caller.
    pub fn new(calls: usize) -> Admissions {
        Admissions {
            calls,
            connections: Arc::default(),
        }
    }

    /// Adds a connection. Returns the caller of the connection that was closed for it, if one was.
    pub fn add(&self, caller: u32) -> (Admission, Option<u32>) {
        let mut connections = lock(&self.connections);
        let evicted = match connections.unfinished.len() < MAX_UNFINISHED {
            true => None,
            false => connections.evict(),
        };
        // Removes callers without connections.
        connections
            .quotas
            .retain(|_, quota| Arc::strong_count(quota) > 1);
        let quota = connections.quotas.entry(caller).or_insert_with(|| {
            Arc::new(Quota {
                ordinary: Permits::new(self.calls),
                orders: Permits::new(self.calls),
            })
        });
        let quota = Arc::clone(quota);
        connections.last += 1;
        let number = connections.last;
        let signal = Arc::new(Notify::new());
        let unfinished = Unfinished {
            caller,
            evicted: Arc::clone(&signal),
        };
        connections.unfinished.insert(number, unfinished);
        let admission = Admission(Arc::new(Inner {
            connections: Arc::clone(&self.connections),
            number,
            quota,
            evicted: signal,
            held: Mutex::default(),
        }));
        (admission, evicted)
    }
}

/// What a connection holds.
#[derive(Default)]
struct Held {
    complete: Option<OwnedSemaphorePermit>,
    call: Option<OwnedSemaphorePermit>,
}

struct Inner {
    connections: Arc<Mutex<Connections>>,
    number: u64,
    quota: Arc<Quota>,
    evicted: Arc<Notify>,
    held: Mutex<Held>,
}

impl Inner {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        lock(&self.connections)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.connections().unfinished.remove(&self.number);
    }
}

/// The caller has too many complete requests already.
#[derive(Debug)]
pub struct TooMany;

/// The place of one connection.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

impl Admission {
    /// The request has been read whole: waits for the permit to run it.
    ///
    /// # Errors
    /// [`TooMany`] if as many requests of the caller wait or are being answered as may.
    pub async fn complete(&self, lane: Lane) -> Result<(), TooMany> {
        let permits = match lane {
            Lane::Ordinary => &self.0.quota.ordinary,
            Lane::Order => &self.0.quota.orders,
        };
        let complete = Arc::clone(&permits.complete).try_acquire_owned();
        // Later: a request that is refused stays unfinished until the refusal is sent.
        let complete = complete.map_err(|_| TooMany)?;
        self.0.connections().unfinished.remove(&self.0.number);
        lock(&self.0.held).complete = Some(complete);
        let call = Arc::clone(&permits.calls).acquire_owned().await;
        lock(&self.0.held).call = call.ok();
        Ok(())
    }

    /// The answer begins: the call no longer runs.
    pub fn answered(&self) {
        lock(&self.0.held).call = None;
    }

    /// Returns when the connection is closed to make room.
    pub async fn evicted(&self) {
        self.0.evicted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_oldest_unfinished_connection_of_the_caller_with_most_is_closed() {
        let all = Admissions::new(4);
        let one = all.add(1).0;
        let many: Vec<Admission> = (1..MAX_UNFINISHED).map(|_| all.add(2).0).collect();
        let (_three, evicted) = all.add(3);
        assert_eq!(evicted, Some(2));
        assert!(poll(many[0].evicted()).is_ready());
        assert!(poll(many[1].evicted()).is_pending());
        assert!(poll(one.evicted()).is_pending());
        drop(one);
        assert_eq!(all.add(3).1, None, "a closed connection makes room");
    }

    #[test]
    fn unfinished_requests_take_no_permit_and_orders_have_their_own() {
        let all = Admissions::new(2);
        let mut held: Vec<Admission> = (0..20).map(|_| all.add(7).0).collect();
        let new = || all.add(7).0;
        let run = |admission: &Admission, lane| {
            matches!(poll(admission.complete(lane)), Poll::Ready(Ok(())))
        };
        for _ in 0..2 {
            let ordinary = new();
            assert!(run(&ordinary, Lane::Ordinary));
            held.push(ordinary);
        }
        let third = new();
        assert!(poll(third.complete(Lane::Ordinary)).is_pending(), "two run");
        let order = new();
        assert!(run(&order, Lane::Order), "orders have permits of their own");
        held[20].answered();
        let next = new();
        assert!(run(&next, Lane::Ordinary), "an answered call runs no more");
        // Ten complete requests at most.
        held.extend([third, next]);
        for _ in 0..6 {
            let waits = new();
            assert!(poll(waits.complete(Lane::Ordinary)).is_pending());
            held.push(waits);
        }
        let refused = poll(new().complete(Lane::Ordinary));
        assert!(matches!(refused, Poll::Ready(Err(TooMany))));
        assert!(run(&new(), Lane::Order), "orders still have");
        drop((held, order));
        assert_eq!(all.add(8).1, None);
        assert_eq!(
            lock(&all.connections).quotas.len(),
            1,
            "callers are forgotten"
        );
    }
}
