//! Waiting until every packet that could have seen the old tables has left.

use std::fs;
use std::sync::{Mutex, PoisonError};

use crate::error::Error;

const MEMBARRIER_CMD_GLOBAL: libc::c_long = 1;

/// While this is 1, the kernel shortens grace periods by interrupting processors instead of waiting for them.
const EXPEDITED: &str = "/sys/kernel/rcu_expedited";

/// Returns after an RCU grace period: an XDP program runs inside one read-side section, and the frames it
/// redirected are handed to the NIC before that section ends.
///
/// `MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu()` (Linux 4.3). On a single processor it returns at once, which is
/// correct: no packet is being judged while this thread runs.
///
/// # Errors
/// [`Error::Barrier`] if the kernel does not support it (`nohz_full`).
pub fn wait() -> Result<(), Error> {
    let _expedited = Expedited::new();
    // SAFETY: takes no pointer.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 {
        Err(Error::Barrier(std::io::Error::last_os_error()))
    } else {
        Ok(())
    }
}

/// Keeps grace periods expedited until it is dropped. An operator waits for the order to be in force; on a starved machine
/// an ordinary grace period takes seconds, and every inner map that is put into a slot costs one. If the kernel refuses,
/// grace periods have their ordinary length.
pub struct Expedited(());

/// The number of `Expedited` values alive, and whether this process set [`EXPEDITED`]. One thread may be writing tables
/// while another waits for a posture: the first to finish must not slow down the other.
static USERS: Mutex<(usize, bool)> = Mutex::new((0, false));

impl Expedited {
    pub fn new() -> Expedited {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        if users.0 == 0 {
            let is_off = fs::read_to_string(EXPEDITED).is_ok_and(|set| set.trim() == "0");
            users.1 = is_off && fs::write(EXPEDITED, "1").is_ok();
        }
        users.0 += 1;
        Expedited(())
    }
}

impl Drop for Expedited {
    fn drop(&mut self) {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        users.0 -= 1;
        if users.0 == 0 && users.1 {
            // If this fails, the setting stays: other processes are interrupted more often, and nothing else.
            let _ = fs::write(EXPEDITED, "0");
        }
    }
}
