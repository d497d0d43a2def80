//! A disk that loses power: a file system in a file. What its owner has not synced is not in the file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cordon_lab::{Error, Gateway, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::steps::{forget, wait_until};

const SIZE: u64 = 16 << 20;

/// A disk, with the gateway's state on it.
pub struct Disk {
    directory: PathBuf,
    losses: u32,
}

impl Disk {
    /// Puts the state of a gateway that does not run yet on a disk of its own. It goes away with the lab.
    ///
    /// # Errors
    /// If there are no loop devices, or no ext4.
    pub fn under(gateway: &Gateway, directory: &Path) -> Result<Disk> {
        let disk = Disk {
            directory: directory.to_owned(),
            losses: 0,
        };
        let create = || -> std::io::Result<()> {
            fs::create_dir_all(gateway.state())?;
            fs::File::create(disk.image())?.set_len(SIZE)
        };
        create().map_err(|source| Error::Io {
            what: format!("creating {}", disk.image().display()),
            source,
        })?;
        // With nothing left to be done in the background.
        let options = [
            "-q",
            "-b",
            "1024",
            "-E",
            "lazy_itable_init=0,lazy_journal_init=0",
        ];
        run(Command::new("mkfs.ext4").args(options).arg(disk.image()))?;
        disk.mount(&gateway.state())?;
        Ok(disk)
    }

    /// What would be on the disk if the power went now: mounted somewhere, for a look.
    ///
    /// # Errors
    /// If it cannot be copied or mounted.
    pub fn look<T>(&self, look: impl FnOnce(&Path) -> T) -> Result<T> {
        let (image, at) = (self.directory.join("look.img"), self.directory.join("look"));
        let copy = || -> std::io::Result<()> {
            fs::create_dir_all(&at)?;
            fs::copy(self.image(), &image).map(drop)
        };
        copy().map_err(|source| Error::Io {
            what: format!("copying {}", self.image().display()),
            source,
        })?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &at]))?;
        let seen = look(&at);
        run(Command::new("umount").arg(&at))?;
        Ok(seen)
    }

    /// The power goes, and comes back a moment later: to the millisecond when this is called. The daemon is as it was
    /// after a boot when this returns: not running.
    ///
    /// # Errors
    /// If something cannot be done.
    pub fn lose_power(&mut self, gateway: &Gateway) -> Result<()> {
        // While the daemon stands still, nothing is written, and the copy is of one moment.
        let pid = gateway.pid()?;
        kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).map_err(|error| Error::Io {
            what: "stopping the daemon".to_owned(),
            source: error.into(),
        })?;
        wait_until("the daemon stands still", || Ok(stands_still(pid)))?;
        let before = self.image();
        self.losses += 1;
        fs::copy(&before, self.image()).map_err(|source| Error::Io {
            what: format!("copying {}", before.display()),
            source,
        })?;
        gateway.kill()?;
        forget(gateway)?;
        run(Command::new("umount").arg(gateway.state()))?;
        let _ = fs::remove_file(before);
        self.mount(&gateway.state())
    }

    fn image(&self) -> PathBuf {
        self.directory.join(format!("disk-{}.img", self.losses))
    }

    /// Without the favours that ext4 does to programs that do not sync, and without a timer that syncs for them.
    fn mount(&self, at: &Path) -> Result<()> {
        let options = "loop,noauto_da_alloc,data=writeback,commit=1000";
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "ext4", "-o", options])
            .arg(self.image())
            .arg(at);
        run(&mut mount)
    }
}

fn stands_still(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let mut states = tasks.map(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The name, in parentheses, may contain anything.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        state.unwrap_or('T')
    });
    states.all(|state| state == 'T')
}

fn run(command: &mut Command) -> Result<()> {
    let line = format!("{command:?}");
    let output = command.output().map_err(|source| Error::Io {
        what: line.clone(),
        source,
    })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Command {
            command: line,
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
    }
}
