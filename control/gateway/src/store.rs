//! What survives: the last good policy, the posture, the orders.
//!
//! Every file is written beside its name, synced, renamed, and its directory synced: after a power cut there is
//! the old one or the new one.
//!
//! ```text
//! state.json          which policy, which quarantines: what counts
//! policy/<hash>.json  the sources of a policy
//! orders.jsonl        every order, one a line, in order of sequence
//! kernel.json         what the kernel's tables were filled with; of no use after a reboot
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cordon_protocol::{Order, Sources};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::state::{InKernel, State, VERSION};

/// Why something could not be read back or made durable.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not say what it should.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another version of the daemon wrote it.
    #[error("{} is of version {found}, and this cordond reads {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Another daemon has it.
    #[error("another cordond uses {}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

impl StoreError {
    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            StoreError::Io { path, source }
                if source.raw_os_error() == Some(Errno::ENOSPC as i32) =>
            {
                format!("the disk is full: make room (df -h {0})", path.display())
            }
            StoreError::Io { path, .. } => format!(
                "look at the disk and the permissions of {}",
                path.parent().unwrap_or(path).display()
            ),
            StoreError::Damaged { path, .. } => format!(
                "look at the disk; `cordon apply DIR` writes the policy anew, and {} is kept beside as .damaged",
                path.display()
            ),
            StoreError::Version { .. } => {
                "what is in force stays in force: install the version that wrote it, or a later one"
                    .to_owned()
            }
            StoreError::InUse { .. } => {
                "one gateway has one daemon: stop the other (systemctl status cordond)".to_owned()
            }
        }
    }
}

/// What the engine wants of whatever keeps its state.
pub trait Store: Send + Sync {
    /// What was in force; none if nothing was ever written down.
    fn state(&self) -> Result<Option<State>, StoreError>;

    /// Writes a state down so that [`Store::commit_state`] needs no more room.
    fn prepare_state(&self, state: &State) -> Result<(), StoreError>;

    /// Makes what was prepared the state that a reboot finds.
    fn commit_state(&self) -> Result<(), StoreError>;

    /// Keeps a state that cannot be read for people to look at, under another name as well.
    fn set_state_aside(&self) -> Result<(), StoreError>;

    /// The sources of a policy.
    fn sources(&self, hash: &str) -> Result<Sources, StoreError>;

    /// Makes the sources of a policy durable; returns their hash.
    fn add_sources(&self, sources: &Sources) -> Result<String, StoreError>;

    /// Forgets every policy that is not named.
    fn keep_only(&self, hashes: &[&str]);

    /// Adds an order to the list.
    fn add_order(&self, order: &Order) -> Result<(), StoreError>;

    /// The orders, oldest first.
    fn orders(&self) -> Result<Vec<Order>, StoreError>;

    /// What is known of the kernel's tables; nothing if it cannot be read.
    fn kernel(&self) -> InKernel;

    /// Writes down what is known of the kernel's tables. Not durable: it is of no use after a reboot. If it
    /// cannot be written, nothing is known.
    fn set_kernel(&self, kernel: &InKernel);

    /// Makes a state durable.
    fn set_state(&self, state: &State) -> Result<(), StoreError> {
        self.prepare_state(state)?;
        self.commit_state()
    }
}

/// A directory on a disk.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    /// Held for as long as the daemon runs.
    _lock: Flock<File>,
}

impl Directory {
    /// Opens the directory, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::InUse`].
    pub fn open(root: &Path) -> Result<Directory, StoreError> {
        let policies = root.join("policy");
        // The policy lists every device of the site: for root alone.
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&policies);
        made.map_err(io_at(&policies))?;
        let directory = Directory {
            root: root.to_owned(),
            _lock: lock(root)?,
        };
        let orders = directory.root.join(ORDERS);
        mend(&orders).map_err(io_at(&orders))?;
        Ok(directory)
    }

    fn write_beside(&self, path: &Path, content: &[u8]) -> Result<PathBuf, StoreError> {
        let beside = beside(path);
        let write = || -> io::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(|source| {
            // So that half a file takes no room.
            let _ = fs::remove_file(&beside);
            io_at(path)(source)
        })?;
        Ok(beside)
    }

    fn move_into_place(&self, beside: &Path, path: &Path) -> Result<(), StoreError> {
        let move_it = || -> io::Result<()> {
            fs::rename(beside, path)?;
            let directory = path.parent().unwrap_or(&self.root);
            File::open(directory)?.sync_all()
        };
        move_it().map_err(io_at(path))
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

const STATE: &str = "state.json";
const ORDERS: &str = "orders.jsonl";
const KERNEL: &str = "kernel.json";

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
        self.write_beside(&self.root.join(STATE), &json(state))
            .map(drop)
    }

    fn commit_state(&self) -> Result<(), StoreError> {
        let path = self.root.join(STATE);
        self.move_into_place(&beside(&path), &path)
    }

    fn set_state_aside(&self) -> Result<(), StoreError> {
        let path = self.root.join(STATE);
        let aside = self.root.join("state.json.damaged");
        let _ = fs::remove_file(&aside);
        // A second name, so that there is no moment without the first.
        match fs::hard_link(&path, &aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at(&aside)(error)),
            _ => Ok(()),
        }
    }

    fn sources(&self, hash: &str) -> Result<Sources, StoreError> {
        let path = self.root.join(policy_file(hash));
        let bytes = fs::read(&path).map_err(io_at(&path))?;
        let sources = parse(&path, &bytes)?;
        if hash_of(&sources) != hash {
            let why = "its content does not match its name".to_owned();
            return Err(StoreError::Damaged { path, why });
        }
        Ok(sources)
    }

    fn add_sources(&self, sources: &Sources) -> Result<String, StoreError> {
        let hash = hash_of(sources);
        let path = self.root.join(policy_file(&hash));
        let beside = self.write_beside(&path, &json(sources))?;
        self.move_into_place(&beside, &path)?;
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
            // An old policy that stays does no harm.
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
                // Half a line would spoil the next. Giving room back works on a full disk.
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
                why: format!("line {}: {error}", index + 1),
            })
        });
        read.collect()
    }

    fn kernel(&self) -> InKernel {
        let read = fs::read(self.root.join(KERNEL)).ok();
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn set_kernel(&self, kernel: &InKernel) {
        let path = self.root.join(KERNEL);
        let beside = beside(&path);
        let write = fs::write(&beside, json(kernel)).and_then(|()| fs::rename(&beside, &path));
        if write.is_err() {
            // What it says is not so any more; without it, more than necessary is done at the next start.
            let _ = fs::remove_file(&path);
        }
    }
}

/// How long a daemon that was killed may take to be gone: it had much in memory.
const GOING: Duration = Duration::from_secs(3);

/// Locks a directory, for as long as what it answers lives.
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
            Err((again, Errno::EWOULDBLOCK)) if since.elapsed() < GOING => file = again,
            Err((_, Errno::EWOULDBLOCK)) => return Err(StoreError::InUse { path }),
            Err((_, errno)) => {
                let source = errno.into();
                return Err(StoreError::Io { path, source });
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Cuts off a last line that a power cut left unfinished: it was never acknowledged.
fn mend(path: &Path) -> io::Result<()> {
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

fn io_at(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io {
        path: path.to_owned(),
        source,
    }
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn policy_file(hash: &str) -> String {
    format!("policy/{hash}.json")
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types: string keys, nothing that JSON cannot say")
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Damaged {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

/// SHA-256 of the sources, hexadecimal.
pub fn hash_of(sources: &Sources) -> String {
    let digest = Sha256::digest(json(sources));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use cordon_protocol::{OrderKind, Scope};

    use super::*;
    use crate::state::Slot;

    fn store() -> (tempfile::TempDir, Directory) {
        let root = tempfile::tempdir().expect("makes a directory");
        let store = Directory::open(root.path()).expect("opens");
        (root, store)
    }

    fn order(sequence: u64) -> Order {
        Order {
            sequence,
            kind: OrderKind::Quarantine,
            scope: Scope::Site,
            posture: "contain".to_owned(),
            before: "normal".to_owned(),
            reason: "a test".to_owned(),
            ticket: None,
            by: "tester".to_owned(),
            time: "2026-05-28T20:26:40.000Z".to_owned(),
            until: None,
            in_force_milliseconds: Some(1.5),
            warning: None,
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let (root, store) = store();
        assert_eq!(store.state().expect("reads"), None);
        let sources = Sources {
            site: "site: x".to_owned(),
            ..Sources::default()
        };
        let hash = store.add_sources(&sources).expect("writes");
        assert_eq!(store.sources(&hash).expect("reads"), sources);
        let state = State {
            generation: 3,
            ..State::default()
        };
        store.set_state(&state).expect("writes");
        store.add_order(&order(1)).expect("writes");
        store.add_order(&order(2)).expect("writes");
        drop(store);
        let store = Directory::open(root.path()).expect("opens");
        assert_eq!(store.state().expect("reads"), Some(state));
        assert_eq!(store.orders().expect("reads"), [order(1), order(2)]);
    }

    #[test]
    fn what_is_prepared_is_not_yet_what_counts() {
        let (_root, store) = store();
        let first = State::default();
        store.set_state(&first).expect("writes");
        let second = State {
            generation: 1,
            ..State::default()
        };
        store.prepare_state(&second).expect("writes");
        assert_eq!(store.state().expect("reads"), Some(first));
        store.commit_state().expect("moves");
        assert_eq!(store.state().expect("reads"), Some(second));
    }

    #[test]
    fn damage_is_noticed_and_told_with_its_file() {
        let (root, store) = store();
        let hash = store.add_sources(&Sources::default()).expect("writes");
        let other = json(&Sources {
            site: "other".to_owned(),
            ..Sources::default()
        });
        fs::write(root.path().join(policy_file(&hash)), other).expect("writes");
        let wrong = store.sources(&hash).expect_err("is noticed");
        assert!(matches!(wrong, StoreError::Damaged { .. }));
        let good = json(&State::default());
        for length in 0..good.len() {
            fs::write(root.path().join(STATE), &good[..length]).expect("writes");
            let wrong = store.state().expect_err("is noticed");
            assert!(
                wrong.to_string().contains("state.json is damaged"),
                "{wrong}"
            );
            assert!(!wrong.hint().is_empty());
        }
        fs::write(root.path().join(ORDERS), "{}\n").expect("writes");
        let wrong = store.orders().expect_err("is noticed");
        assert!(wrong.to_string().contains("line 1"), "{wrong}");
    }

    #[test]
    fn an_order_that_a_power_cut_left_unfinished_does_not_spoil_the_next() {
        let whole = [json(&order(1)), b"\n".to_vec()].concat();
        let half = json(&order(2));
        for length in 0..half.len() {
            let root = tempfile::tempdir().expect("makes a directory");
            let text = [&whole[..], &half[..length]].concat();
            fs::write(root.path().join(ORDERS), text).expect("writes");
            let store = Directory::open(root.path()).expect("opens");
            store.add_order(&order(2)).expect("writes");
            assert_eq!(store.orders().expect("reads"), [order(1), order(2)]);
        }
    }

    #[test]
    fn a_state_that_cannot_be_read_is_kept_under_another_name() {
        let (root, store) = store();
        store
            .set_state_aside()
            .expect("nothing to keep is no error");
        for content in ["one", "two"] {
            fs::write(root.path().join(STATE), content).expect("writes");
            store.set_state_aside().expect("keeps");
            store.set_state(&State::default()).expect("writes");
            let kept = fs::read_to_string(root.path().join("state.json.damaged"));
            assert_eq!(kept.expect("is there"), content);
            assert_eq!(store.state().expect("reads"), Some(State::default()));
        }
    }

    #[test]
    fn policies_that_nobody_goes_back_to_are_forgotten() {
        let (_root, store) = store();
        let named = |site: &str| Sources {
            site: site.to_owned(),
            ..Sources::default()
        };
        let [a, b, c] =
            ["a", "b", "c"].map(|site| store.add_sources(&named(site)).expect("writes"));
        store.keep_only(&[&a, &c]);
        assert!(store.sources(&a).is_ok() && store.sources(&c).is_ok());
        assert!(store.sources(&b).is_err());
    }

    #[test]
    fn what_is_not_known_of_the_kernel_is_not_told() {
        let (root, store) = store();
        assert_eq!(store.kernel(), InKernel::default());
        let kernel = InKernel {
            slots: [None, Some(Slot::default())],
            ..InKernel::default()
        };
        store.set_kernel(&kernel);
        assert_eq!(store.kernel(), kernel);
        // Where it cannot be written, what it said before is not so any more.
        fs::create_dir(root.path().join("kernel.new")).expect("makes a directory");
        store.set_kernel(&InKernel::default());
        assert_eq!(store.kernel(), InKernel::default());
        assert!(!root.path().join(KERNEL).exists());
    }

    #[test]
    fn the_policy_is_for_the_daemon_alone_to_read() {
        use std::os::unix::fs::MetadataExt;
        let root = tempfile::tempdir().expect("makes a directory");
        let state = root.path().join("state");
        let _store = Directory::open(&state).expect("opens");
        let mode = fs::metadata(&state).expect("is there").mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
