//! The state directory on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use cordon_protocol::{Order, Sources};
use nix::fcntl::Flock;
use serde::Deserialize;

use super::error::{StoreError, io_at};
use super::hash::{hash_of, json};
use super::lock::lock;
use super::persistence::Store;
use crate::durable;
use crate::state::{KernelRecord, State, VERSION};

/// The state directory.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    /// Held for as long as the daemon runs.
    _lock: Flock<File>,
}

impl Directory {
    /// Opens the directory; creates it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::InUse`].
    pub fn open(root: &Path) -> Result<Directory, StoreError> {
        let policies = root.join("policy");
        // Only root may read it: the policy lists every device of the site.
        let created = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&policies);
        created.map_err(io_at(&policies))?;
        let directory = Directory {
            root: root.to_owned(),
            _lock: lock(root)?,
        };
        let orders = directory.root.join(ORDERS);
        truncate_partial_line(&orders).map_err(io_at(&orders))?;
        Ok(directory)
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The persistent state.
pub const STATE: &str = "state.json";
/// The orders, one JSON object per line.
pub const ORDERS: &str = "orders.jsonl";
/// What the kernel's tables were filled with.
pub const KERNEL: &str = "kernel.json";

impl Store for Directory {
    fn state(&self) -> Result<Option<State>, StoreError> {
        let path = self.root.join(STATE);
        match fs::read(&path) {
            Ok(bytes) => {
                let Versioned { version: found } = parse(&path, &bytes)?;
                if found != VERSION {
                    return Err(StoreError::Version { path, found });
                }
                parse(&path, &bytes).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    fn prepare_state(&self, state: &State) -> Result<(), StoreError> {
        let path = self.root.join(STATE);
        durable::prepare(&path, &json(state)).map_err(io_at(&path))
    }

    fn commit_state(&self) -> Result<(), StoreError> {
        let path = self.root.join(STATE);
        durable::commit(&path).map_err(io_at(&path))
    }

    fn set_state_aside(&self) -> Result<(), StoreError> {
        let path = self.root.join(STATE);
        let copy = self.root.join("state.json.damaged");
        let _ = fs::remove_file(&copy);
        // A hard link, so that the file keeps its first name throughout.
        match fs::hard_link(&path, &copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at(&copy)(error)),
            _ => Ok(()),
        }
    }

    fn sources(&self, hash: &str) -> Result<Sources, StoreError> {
        let path = self.root.join(policy_file(hash));
        let bytes = fs::read(&path).map_err(io_at(&path))?;
        let sources = parse(&path, &bytes)?;
        if hash_of(&sources) != hash {
            let reason = "its content does not match the hash in its name".to_owned();
            return Err(StoreError::Damaged { path, reason });
        }
        Ok(sources)
    }

    fn add_sources(&self, sources: &Sources) -> Result<String, StoreError> {
        let hash = hash_of(sources);
        let path = self.root.join(policy_file(&hash));
        durable::replace(&path, &json(sources)).map_err(io_at(&path))?;
        Ok(hash)
    }

    fn keep_only(&self, hashes: &[&str]) {
        let keep: Vec<PathBuf> = hashes
            .iter()
            .map(|hash| self.root.join(policy_file(hash)))
            .collect();
        let files = fs::read_dir(self.root.join("policy"))
            .into_iter()
            .flatten()
            .flatten();
        for file in files.filter(|file| !keep.contains(&file.path())) {
            // A file that cannot be removed does no harm.
            let _ = fs::remove_file(file.path());
        }
    }

    fn add_order(&self, order: &Order) -> Result<(), StoreError> {
        let path = self.root.join(ORDERS);
        let append = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            let length = file.metadata()?.len();
            let mut line = json(order);
            line.push(b'\n');
            let written = file.write_all(&line).and_then(|()| file.sync_all());
            if written.is_err() {
                // A partial line would damage the next one. Truncating works on a full disk.
                file.set_len(length)?;
            }
            written?;
            File::open(&self.root)?.sync_all()
        };
        append().map_err(io_at(&path))
    }

    fn orders(&self) -> Result<Vec<Order>, StoreError> {
        let path = self.root.join(ORDERS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let lines = text.lines().enumerate();
        let read = lines.map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| StoreError::Damaged {
                path: path.clone(),
                reason: format!("line {}: {error}", index + 1),
            })
        });
        read.collect()
    }

    fn kernel(&self) -> KernelRecord {
        let read = fs::read(self.root.join(KERNEL)).ok();
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn set_kernel(&self, kernel: &KernelRecord) {
        let path = self.root.join(KERNEL);
        let temporary = durable::temporary_path(&path);
        let write =
            fs::write(&temporary, json(kernel)).and_then(|()| fs::rename(&temporary, &path));
        if write.is_err() {
            // The old record is wrong now. Without a record, the next start rewrites more than necessary.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Truncates a last line that a power cut left incomplete: its order was never acknowledged.
fn truncate_partial_line(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    if end < bytes.len() {
        file.set_len(end as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Where the sources of a policy are stored, from the state directory.
pub fn policy_file(hash: &str) -> String {
    format!("policy/{hash}.json")
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
