//! Which labs there are, whose they are, and how they go away.
//!
//! A lab is known by a directory `/run/cordon-lab/cordon-PID-N`; its namespaces begin with the same name. Whatever
//! else there is of it can be found from these two, so that a lab whose process was killed can be removed by the next.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::tools;

const ROOT: &str = "/run/cordon-lab";
const NAMESPACES: &str = "/run/netns";
const OWNER: &str = "owner";
const KEPT: &str = "kept";

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A lab's name and directory. All that bears its name goes away with it.
pub struct Identity {
    name: String,
    directory: PathBuf,
    kept: bool,
}

impl Identity {
    /// A name that no other lab has.
    pub fn new() -> Result<Identity> {
        let pid = std::process::id();
        let name = format!("cordon-{pid}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let identity = Identity {
            directory: Path::new(ROOT).join(&name),
            name,
            kept: false,
        };
        let failed = || Error::io(format!("making {}", identity.directory.display()));
        fs::create_dir_all(&identity.directory).map_err(failed())?;
        let owner = format!("{pid} {}\n", started(pid).unwrap_or_default());
        fs::write(identity.directory.join(OWNER), owner).map_err(failed())?;
        Ok(identity)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the namespace of a node is called.
    pub fn namespace(&self, node: &str) -> String {
        format!("{}-{node}", self.name)
    }

    /// Leaves everything as it is, with a script that removes it.
    pub fn keep(&mut self) -> Result<PathBuf> {
        let script = self.directory.join("down");
        let failed = || Error::io(format!("keeping {}", self.directory.display()));
        fs::write(&script, down(&self.name, &self.directory)).map_err(failed())?;
        fs::write(self.directory.join(KEPT), "").map_err(failed())?;
        self.kept = true;
        Ok(script)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = remove(&self.name) {
            eprintln!("lab {} is not gone entirely: {error}", self.name);
        }
    }
}

/// Removes what processes that are gone have left, and says what that was. Labs that were kept stay.
///
/// # Errors
/// [`Error::Command`] or [`Error::Io`] if something cannot be removed.
pub fn sweep() -> Result<Vec<String>> {
    let mut names: Vec<String> = names_in(ROOT);
    // Should someone have emptied the directory of a running system.
    names.extend(names_in(NAMESPACES).iter().filter_map(|name| lab_of(name)));
    names.sort();
    names.dedup();
    names.retain(|name| !in_use(name));
    for name in &names {
        remove(name)?;
    }
    Ok(names)
}

/// The labs that were kept and are still there.
pub fn kept() -> Vec<String> {
    let mut names = names_in(ROOT);
    names.retain(|name| Path::new(ROOT).join(name).join(KEPT).exists());
    names
}

/// Removes a lab by name: its processes, its namespaces, what it mounted, its directory.
///
/// # Errors
/// [`Error::Command`] or [`Error::Io`] if something cannot be removed; the rest has been.
pub fn remove(name: &str) -> Result<()> {
    let Some(name) = lab_of(name) else {
        return Err(Error::Name {
            name: name.to_owned(),
            why: "labs are called cordon-PID-N",
        });
    };
    end_processes(&namespaces_of(&name));
    // Another process may be sweeping the same, and be the first at any of them: what is left then is looked at again.
    let mut deleted = Ok(());
    for _ in 0..50 {
        let deletions: Vec<String> = namespaces_of(&name)
            .iter()
            .map(|namespace| format!("netns del {namespace}"))
            .collect();
        if deletions.is_empty() {
            deleted = Ok(());
            break;
        }
        deleted = tools::ip_batch(None, &deletions);
        if deleted.is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let directory = Path::new(ROOT).join(&name);
    for mount in mounts_under(&directory) {
        let _ = umount2(&mount, MntFlags::MNT_DETACH);
    }
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(format!("removing {}", directory.display()))(
                error,
            ));
        }
        _ => {}
    }
    deleted
}

/// The lab that something with this name belongs to.
fn lab_of(name: &str) -> Option<String> {
    let mut parts = name.strip_prefix("cordon-")?.splitn(3, '-');
    let pid: u32 = parts.next()?.parse().ok()?;
    let number: u32 = parts.next()?.parse().ok()?;
    Some(format!("cordon-{pid}-{number}"))
}

fn in_use(name: &str) -> bool {
    let directory = Path::new(ROOT).join(name);
    if directory.join(KEPT).exists() {
        return true;
    }
    let owner = fs::read_to_string(directory.join(OWNER)).unwrap_or_default();
    let mut words = owner.split_whitespace();
    let named = name.split('-').nth(1);
    let Some(pid) = words
        .next()
        .or(named)
        .and_then(|pid| pid.parse::<u32>().ok())
    else {
        return false;
    };
    match (started(pid), words.next()) {
        // Another process may have got the number of one that is gone.
        (Some(now), Some(then)) => now == then,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// When a process started, in ticks since the machine did; none if it is not there.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything; the start is the 20th field after it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

fn names_in(directory: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| lab_of(name).is_some())
        .collect()
}

pub fn namespaces_of(lab: &str) -> Vec<String> {
    let mut names = names_in(NAMESPACES);
    names.retain(|name| lab_of(name).as_deref() == Some(lab));
    names
}

/// Kills whatever runs in these namespaces, and waits until it is gone.
fn end_processes(namespaces: &[String]) {
    let inodes: HashSet<u64> = namespaces
        .iter()
        .filter_map(|namespace| fs::metadata(Path::new(NAMESPACES).join(namespace)).ok())
        .map(|metadata| metadata.ino())
        .collect();
    let start = Instant::now();
    loop {
        let running = processes_in(&inodes);
        if running.is_empty() || start.elapsed() > Duration::from_secs(5) {
            return;
        }
        for pid in running {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn processes_in(inodes: &HashSet<u64>) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = std::process::id();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            // Cannot be followed for a process that has ended and only waits to be reaped.
            fs::metadata(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|metadata| inodes.contains(&metadata.ino()))
        })
        .map(|pid| Pid::from_raw(pid as i32))
        .collect()
}

/// The innermost first.
fn mounts_under(directory: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .filter(|point| point.starts_with(directory))
        .collect();
    points.reverse();
    points
}

/// What removes a lab by hand.
fn down(name: &str, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "#!/bin/sh\n\
         # Removes the lab {name}.\n\
         for namespace in $(ls {NAMESPACES} | grep '^{name}-'); do\n\
         \x20   ip netns pids \"$namespace\" | xargs -r kill -9\n\
         \x20   ip netns del \"$namespace\"\n\
         done\n\
         grep -o ' {directory}/[^ ]*' /proc/self/mountinfo | sort -r | xargs -r umount -l\n\
         rm -rf '{directory}'\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_lab() {
        assert_eq!(lab_of("cordon-12-3-ct-1").as_deref(), Some("cordon-12-3"));
        assert_eq!(lab_of("cordon-12-3").as_deref(), Some("cordon-12-3"));
        for other in ["cordon-test-1", "cordon-12", "cordon--1", "other-1-2"] {
            assert_eq!(lab_of(other), None, "{other}");
        }
    }

    #[test]
    fn this_process_is_alive_and_another_with_its_number_is_not() {
        let pid = std::process::id();
        let now = started(pid).expect("this process has a start");
        assert!(now.parse::<u64>().is_ok(), "{now}");
        assert!(in_use(&format!("cordon-{pid}-0")));
        // Above the kernel's greatest process ID.
        assert!(!in_use("cordon-4194305-1"));
    }
}
