//! One daemon per directory.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::{StoreError, io_at};

/// How long to wait for the lock: a killed daemon with much memory takes time to exit.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// Locks a directory until the returned guard is dropped.
///
/// # Errors
/// [`StoreError::InUse`]; [`StoreError::Io`].
pub fn lock(directory: &Path) -> Result<Flock<File>, StoreError> {
    let mut file = File::open(directory).map_err(io_at(directory))?;
    let since = Instant::now();
    loop {
        let path = directory.to_owned();
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((again, Errno::EWOULDBLOCK)) if since.elapsed() < LOCK_TIMEOUT => file = again,
            Err((_, Errno::EWOULDBLOCK)) => return Err(StoreError::InUse { path }),
            Err((_, errno)) => {
                let source = errno.into();
                return Err(StoreError::Io { path, source });
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
