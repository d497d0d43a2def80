//! The bpf file system, where programs and maps are pinned.

use std::path::Path;
use std::{fs, io};

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

/// The conventional mount point. systemd mounts it; a small image may not.
const MOUNT_POINT: &str = "/sys/fs/bpf";

/// Creates the directory `pins`. If it is below the conventional mount point, mounts the bpf file system there first
/// unless it is mounted. A service manager may have prepared `pins` alone.
pub fn prepare(pins: &Path) -> io::Result<()> {
    if pins.is_dir() && is_bpf(pins)? {
        return Ok(());
    }
    if pins.starts_with(MOUNT_POINT) && !is_bpf(Path::new(MOUNT_POINT))? {
        mount(
            Some("bpf"),
            MOUNT_POINT,
            Some("bpf"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
            Some("mode=0700"),
        )?;
    }
    fs::create_dir_all(pins)?;
    if is_bpf(pins)? {
        Ok(())
    } else {
        Err(io::Error::other("is not on a bpf file system"))
    }
}

fn is_bpf(path: &Path) -> io::Result<bool> {
    Ok(statfs(path)?.filesystem_type() == BPF_FS_MAGIC)
}
