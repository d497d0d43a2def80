//! Simulates power loss: a file system in an image file, which holds only what has been synced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cordon_lab::{Error, Gateway, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::steps::{simulate_reboot, wait_until};

const SIZE: u64 = 16 << 20;

/// A disk that holds the gateway's state.
pub struct Disk {
    directory: PathBuf,
    losses: u32,
}

impl Disk {
    /// Mounts a disk at the state directory of a gateway that does not run yet. It is removed with the lab.
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
        // Without initialisation in the background.
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

    /// Mounts a copy of the disk, as it would be after a power loss now, and passes its path to `look`.
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

    /// Simulates a power loss and a boot. The disk keeps what was synced before the call. The daemon does not run
    /// afterwards.
    ///
    /// # Errors
    /// If a step fails.
    pub fn lose_power(&mut self, gateway: &Gateway) -> Result<()> {
        // A stopped daemon writes nothing, so the copy is consistent.
        let pid = gateway.pid()?;
        kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).map_err(|error| Error::Io {
            what: "stopping the daemon".to_owned(),
            source: error.into(),
        })?;
        wait_until("the daemon is stopped", || Ok(is_stopped(pid)))?;
        let before = self.image();
        self.losses += 1;
        fs::copy(&before, self.image()).map_err(|source| Error::Io {
            what: format!("copying {}", before.display()),
            source,
        })?;
        gateway.kill()?;
        simulate_reboot(gateway)?;
        run(Command::new("umount").arg(gateway.state()))?;
        let _ = fs::remove_file(before);
        self.mount(&gateway.state())
    }

    fn image(&self) -> PathBuf {
        self.directory.join(format!("disk-{}.img", self.losses))
    }

    /// Mounts without ext4's heuristics for programs that do not sync, and without its periodic commit.
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

fn is_stopped(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let mut states = tasks.map(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The state follows the command name, which is in parentheses and may contain any character.
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
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
    }
}
