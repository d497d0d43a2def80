//! Waiting until every packet that could have seen the old tables has left.

use crate::error::Error;

const MEMBARRIER_CMD_GLOBAL: libc::c_long = 1;

/// Returns after an RCU grace period: an XDP program runs inside one read-side section, and what it
/// redirected is handed to the NIC before that section ends.
///
/// `MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu()` (Linux 4.3); on a single processor it returns at once, and
/// is right to: no packet is being judged while this thread runs.
///
/// # Errors
/// [`Error::Barrier`] where the kernel does not offer it (`nohz_full`).
pub fn wait() -> Result<(), Error> {
    // SAFETY: takes no pointer.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 {
        Err(Error::Barrier(std::io::Error::last_os_error()))
    } else {
        Ok(())
    }
}
