//! A limit on concurrent calls that one caller cannot exhaust for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Root has permits of its own: it is the user of last resort for an operator.
const ROOT: u32 = 0;

/// A number of permits for each caller, and for all callers but root together.
#[derive(Clone)]
pub struct ConcurrencyLimit {
    per_caller: usize,
    total: usize,
    in_use: Arc<Mutex<HashMap<u32, usize>>>,
}

/// A permit, released when dropped.
pub struct Permit {
    caller: u32,
    in_use: Arc<Mutex<HashMap<u32, usize>>>,
}

impl ConcurrencyLimit {
    /// A limit per caller, and for all.
    pub fn new(per_caller: usize, total: usize) -> ConcurrencyLimit {
        ConcurrencyLimit {
            per_caller,
            total,
            in_use: Arc::default(),
        }
    }

    /// Takes a permit, if the limits allow.
    pub fn acquire(&self, caller: u32) -> Option<Permit> {
        let mut in_use = lock(&self.in_use);
        let others = |(uid, permits): (&u32, &usize)| if *uid == ROOT { 0 } else { *permits };
        let all: usize = in_use.iter().map(others).sum();
        let own = in_use.get(&caller).copied().unwrap_or(0);
        if own >= self.per_caller || (caller != ROOT && all >= self.total) {
            return None;
        }
        in_use.insert(caller, own + 1);
        Some(Permit {
            caller,
            in_use: Arc::clone(&self.in_use),
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_use = lock(&self.in_use);
        match in_use.get_mut(&self.caller) {
            Some(permits) if *permits > 1 => *permits -= 1,
            _ => {
                in_use.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_cannot_take_all_permits_and_root_has_its_own() {
        let permits = ConcurrencyLimit::new(2, 3);
        let first: Vec<Permit> = (0..2).filter_map(|_| permits.acquire(1000)).collect();
        assert_eq!(first.len(), 2);
        assert!(
            permits.acquire(1000).is_none(),
            "the limit per caller is two"
        );
        let second = permits.acquire(1001);
        assert!(second.is_some());
        assert!(permits.acquire(1002).is_none(), "the total limit is three");
        let root: Vec<Permit> = (0..5).filter_map(|_| permits.acquire(ROOT)).collect();
        assert_eq!(root.len(), 2);
        drop((first, second));
        assert!(permits.acquire(1002).is_some());
        drop(root);
        assert!(permits.in_use.lock().expect("is not poisoned").is_empty());
    }
}
