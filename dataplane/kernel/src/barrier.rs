//! Waiting until every packet that could have seen the old tables has left.

use std::fs;

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
pub struct Hurried(bool);

impl Hurried {
    pub fn new() -> Hurried {
        let takes_its_time = fs::read_to_string(EXPEDITED).is_ok_and(|set| set.trim() == "0");
        Hurried(takes_its_time && fs::write(EXPEDITED, "1").is_ok())
    }
}

impl Drop for Hurried {
    fn drop(&mut self) {
        if self.0 {
            // What stays set costs others interruptions, and nothing else.
            let _ = fs::write(EXPEDITED, "0");
        }
    }
}
