//! Waiting until every packet that could have seen the old tables has left.

use std::fs;
use std::sync::{Mutex, PoisonError};

use crate::error::Error;

const MEMBARRIER_CMD_GLOBAL: libc::c_long = 1;

/// Whether grace periods are hurried along, by interrupting processors rather than waiting for them to come by.
const EXPEDITED: &str = "/sys/kernel/rcu_expedited";

/// Returns after an RCU grace period: an XDP program runs inside one read-side section, and what it
/// redirected is handed to the NIC before that section ends.
///
/// `MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu()` (Linux 4.3); on a single processor it returns at once, and
/// is right to: no packet is being judged while this thread runs.
///
/// # Errors
/// [`Error::Barrier`] where the kernel does not offer it (`nohz_full`).
pub fn wait() -> Result<(), Error> {
    let _hurried = Hurried::new();
    // SAFETY: takes no pointer.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 {
        Err(Error::Barrier(std::io::Error::last_os_error()))
    } else {
        Ok(())
    }
}

/// Has the kernel hurry for as long as this lives: whoever gave the order waits for it, and on a starved machine an
/// ordinary grace period takes seconds, and every table put into a slot costs one. Where it may not be asked to, it takes
/// its time.
pub struct Hurried(());

/// Who wants it to hurry, and whether that was asked of it here: one may be writing tables while another waits for a
/// posture, and who is done first must not slow the other down.
static WANTED: Mutex<(usize, bool)> = Mutex::new((0, false));

impl Hurried {
    pub fn new() -> Hurried {
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.0 == 0 {
            let takes_its_time = fs::read_to_string(EXPEDITED).is_ok_and(|set| set.trim() == "0");
            wanted.1 = takes_its_time && fs::write(EXPEDITED, "1").is_ok();
        }
        wanted.0 += 1;
        Hurried(())
    }
}

impl Drop for Hurried {
    fn drop(&mut self) {
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.0 -= 1;
        if wanted.0 == 0 && wanted.1 {
            // What stays set costs others interruptions, and nothing else.
            let _ = fs::write(EXPEDITED, "0");
        }
    }
}
