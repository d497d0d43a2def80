//! Errors of the data plane.

use std::io;
use std::path::PathBuf;

/// Why an operation of the data plane failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pin directory cannot be used.
    #[error(
        "{path}: {source} (is a bpf file system mounted there? `mount -t bpf bpf /sys/fs/bpf`)"
    )]
    Pins {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pinned program has another ABI. It stays in force.
    #[error(
        "the program in force has ABI {found}, this one {ours}: the old one stays in force; \
         to replace it, with traffic stopped, remove {path} and start again"
    )]
    Abi {
        /// The ABI of the pinned program.
        found: u64,
        /// The ABI of this program.
        ours: u64,
        /// The pin directory.
        path: PathBuf,
    },
    /// The program could not be loaded.
    #[error("the XDP program was not loaded: {0}")]
    Load(#[from] aya::EbpfError),
    /// The kernel refused a program.
    #[error("program {name}: {source}")]
    Program {
        /// Its name.
        name: &'static str,
        /// Why.
        source: aya::programs::ProgramError,
    },
    /// A map could not be used.
    #[error("map {name}: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        source: aya::maps::MapError,
    },
    /// A system call on a map failed.
    #[error("map {name}: {source}")]
    Batch {
        /// Its name.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The network interface does not exist.
    #[error("{nic}: no such network interface; `ip -br link` lists them")]
    NoNic {
        /// Its name.
        nic: String,
    },
    /// A setting of a network interface could not be read or changed.
    #[error("{nic}: {what}: {source}")]
    Nic {
        /// Its name.
        nic: String,
        /// The operation.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A network interface cannot be a port in its present state.
    #[error("{nic} cannot be a port: {why}. {remedy}")]
    Unfit {
        /// Its name.
        nic: String,
        /// Why.
        why: String,
        /// What the operator can do about it.
        remedy: String,
    },
    /// A link to a network interface could not be made, replaced or pinned.
    #[error("{nic}: {what}: {why}")]
    Link {
        /// The interface.
        nic: String,
        /// The operation.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A port number out of range.
    #[error("port number {0} is out of range")]
    Port(u16),
    /// The generation does not fit the tables.
    #[error("{count} {what} do not fit: at most {limit}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// Their number.
        count: usize,
        /// The most that fit.
        limit: usize,
    },
    /// The program was loaded without [`Options::trace`](crate::Options::trace).
    #[error("the program was loaded without tracing, so that it records no outcome of a frame")]
    Untraced,
    /// The kernel does not offer a grace period.
    #[error("membarrier: {0}: cannot tell when the last packet under the old posture has left")]
    Barrier(io::Error),
}
