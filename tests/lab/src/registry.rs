//! The labs that exist, their owners, and their removal.
//!
//! A lab has a directory `/run/cordon-lab/cordon-PID-N`, and the names of its namespaces begin with `cordon-PID-N-`.
//! Everything else of a lab can be found from these two. So the next lab can remove one whose process was killed.

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

/// A lab's name and directory. Dropping it removes everything with that name.
pub struct Identity {
    name: String,
    directory: PathBuf,
    kept: bool,
}

impl Identity {
    /// Reserves a name that no other lab has.
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

    /// The name of a node's namespace.
    pub fn namespace(&self, node: &str) -> String {
        format!("{}-{node}", self.name)
    }

    /// Keeps the lab after drop. Returns the path of a script that removes it.
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
            eprintln!("lab {} could not be removed completely: {error}", self.name);
        }
    }
}

/// Removes the labs of processes that have ended, except those that were kept. Returns their names.
///
/// # Errors
/// [`Error::Command`] or [`Error::Io`] if something cannot be removed.
pub fn sweep() -> Result<Vec<String>> {
    let mut names: Vec<String> = names_in(ROOT);
    // Also finds labs whose directory is missing.
    names.extend(names_in(NAMESPACES).iter().filter_map(|name| lab_of(name)));
    names.sort();
    names.dedup();
    names.retain(|name| !in_use(name));
    for name in &names {
        remove(name)?;
    }
    Ok(names)
}

/// The kept labs that still exist.
pub fn kept() -> Vec<String> {
    let mut names = names_in(ROOT);
    names.retain(|name| Path::new(ROOT).join(name).join(KEPT).exists());
    names
}

/// Removes a lab by name: its processes, its namespaces, what it mounted, its directory.
///
/// # Errors
/// [`Error::Command`] or [`Error::Io`] if a part cannot be removed; the rest is removed nevertheless.
pub fn remove(name: &str) -> Result<()> {
    let Some(name) = lab_of(name) else {
        return Err(Error::Name {
            name: name.to_owned(),
            why: "labs are called cordon-PID-N",
        });
    };
    end_processes(&namespaces_of(&name));
    // Another process may be removing the same namespaces: list them again and retry.
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

/// The lab that a directory or namespace belongs to, by its name.
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
    let from_name = name.split('-').nth(1);
    let Some(pid) = words
        .next()
        .or(from_name)
        .and_then(|pid| pid.parse::<u32>().ok())
    else {
        return false;
    };
    match (started(pid), words.next()) {
        // The process ID may have been reused: compare the start times.
        (Some(now), Some(then)) => now == then,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Start time of a process in clock ticks since boot; none if there is no such process.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The process name, in parentheses, may contain any character. The start time is the 20th field after it.
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

/// Kills the processes in these namespaces, and waits until they have ended.
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
            // This fails for a zombie, which is not counted.
            fs::metadata(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|metadata| inodes.contains(&metadata.ino()))
        })
        .map(|pid| Pid::from_raw(pid as i32))
        .collect()
}

/// Mount points in a directory, innermost first.
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

/// A shell script that removes a lab.
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
    fn the_lab_of_a_name_is_recognised() {
        assert_eq!(lab_of("cordon-12-3-ct-1").as_deref(), Some("cordon-12-3"));
        assert_eq!(lab_of("cordon-12-3").as_deref(), Some("cordon-12-3"));
        for other in ["cordon-test-1", "cordon-12", "cordon--1", "other-1-2"] {
            assert_eq!(lab_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_lab_is_in_use_while_its_process_runs() {
        let pid = std::process::id();
        let now = started(pid).expect("this process has a start");
        assert!(now.parse::<u64>().is_ok(), "{now}");
        assert!(in_use(&format!("cordon-{pid}-0")));
        // Above the kernel's maximum process ID.
        assert!(!in_use("cordon-4194305-1"));
    }
}
