//! Why state could not be read back or made durable.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::state::VERSION;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The content of a file is invalid.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another version of the daemon wrote it.
    #[error("{} has version {found}, and this cordond reads version {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: u32,
    },
    /// Another daemon holds the lock.
    #[error("another cordond uses {}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

impl StoreError {
    /// What an operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            StoreError::Io { path, source }
                if source.raw_os_error() == Some(Errno::ENOSPC as i32) =>
            {
                format!("the disk is full: make room (df -h {0})", path.display())
            }
            StoreError::Io { path, .. } => format!(
                "check the disk and the permissions of {}",
                path.parent().unwrap_or(path).display()
            ),
            StoreError::Damaged { path, .. } => format!(
                "check the disk; `cordon apply DIR` stores the policy again, and {} is kept with the suffix .damaged",
                path.display()
            ),
            StoreError::Version { .. } => {
                "policy and posture stay in force: install the version of cordond that wrote the file, or a later one"
                    .to_owned()
            }
            StoreError::InUse { .. } => {
                "only one daemon can run per gateway: stop the other one (systemctl status cordond)".to_owned()
            }
        }
    }
}

/// Adds the path to an I/O error.
pub fn io_at(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io {
        path: path.to_owned(),
        source,
    }
}
