//! Places of which one caller cannot take all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Root, who can do anything anyway, and as whom an operator calls in the end.
const ROOT: u32 = 0;

/// Places for callers: so many for each, so many for all of them together; root has its own.
#[derive(Clone)]
pub struct Seats {
    of_one: usize,
    of_all: usize,
    taken: Arc<Mutex<HashMap<u32, usize>>>,
}

/// A place, until it is dropped.
pub struct Seat {
    caller: u32,
    taken: Arc<Mutex<HashMap<u32, usize>>>,
}

impl Seats {
    /// Places.
    pub fn new(of_one: usize, of_all: usize) -> Seats {
        Seats {
            of_one,
            of_all,
            taken: Arc::default(),
        }
    }

    /// Takes one, if there is one for this caller.
    pub fn take(&self, caller: u32) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let others = |(who, seats): (&u32, &usize)| if *who == ROOT { 0 } else { *seats };
        let all: usize = taken.iter().map(others).sum();
        let own = taken.get(&caller).copied().unwrap_or(0);
        if own >= self.of_one || (caller != ROOT && all >= self.of_all) {
            return None;
        }
        taken.insert(caller, own + 1);
        Some(Seat {
            caller,
            taken: Arc::clone(&self.taken),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.caller) {
            Some(seats) if *seats > 1 => *seats -= 1,
            _ => {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_and_root_has_its_own() {
        let seats = Seats::new(2, 3);
        let first: Vec<Seat> = (0..2).filter_map(|_| seats.take(1000)).collect();
        assert_eq!(first.len(), 2);
        assert!(seats.take(1000).is_none(), "one has no more than two");
        let second = seats.take(1001);
        assert!(second.is_some());
        assert!(seats.take(1002).is_none(), "all have no more than three");
        let root: Vec<Seat> = (0..5).filter_map(|_| seats.take(ROOT)).collect();
        assert_eq!(root.len(), 2);
        drop((first, second));
        assert!(seats.take(1002).is_some());
        drop(root);
        assert!(seats.taken.lock().expect("is not poisoned").is_empty());
    }
}
