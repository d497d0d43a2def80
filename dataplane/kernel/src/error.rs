//! What can go wrong between the daemon and the kernel.

use std::io;
use std::path::PathBuf;

/// Why the data plane could not do as asked.
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
    /// What is pinned belongs to a program of another ABI. It stays in force.
    #[error(
        "the program in force speaks ABI {found}, this one {ours}: the old one stays in force; \
         to replace it, with traffic stopped, remove {path} and start again"
    )]
    Abi {
        /// The ABI of what is pinned.
        found: u64,
        /// The ABI of this program.
        ours: u64,
        /// Where it is pinned.
        path: PathBuf,
    },
    /// The program could not be loaded.
    #[error("the XDP program was not loaded: {0}")]
    Load(#[from] aya::EbpfError),
    /// A program is refused by the kernel.
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
    /// There is no such network interface.
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
        /// What was attempted.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A network interface cannot be a port as it is.
    #[error("{nic} cannot be a port: {why}. {remedy}")]
    Unfit {
        /// Its name.
        nic: String,
        /// What is wrong.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// A link to a network interface could not be made, replaced or pinned.
    #[error("{nic}: {what}: {why}")]
    Link {
        /// The interface.
        nic: String,
        /// What was attempted.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// A port number out of range.
    #[error("port number {0} is out of range")]
    Port(u16),
    /// The image does not fit the tables.
    #[error("{count} {what} do not fit: at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The program was not loaded to trace.
    #[error("the program was not loaded to trace, so that it does not tell what became of a frame")]
    Untraced,
    /// The kernel does not say when old packets are through.
    #[error("membarrier: {0}: cannot tell when the last packet under the old posture has left")]
    Barrier(io::Error),
}
