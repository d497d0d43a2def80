//! The bpf file system, where programs and maps are pinned.

use std::path::Path;
use std::{fs, io};

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

/// Where it is mounted by convention; systemd does so by itself, a small image may not.
const USUAL: &str = "/sys/fs/bpf";

/// Makes the directory `pins`, and mounts the bpf file system at its usual place first if `pins` is there and nobody has.
pub fn prepare(pins: &Path) -> io::Result<()> {
    if pins.starts_with(USUAL) && !is_bpf(Path::new(USUAL))? {
        mount(
            Some("bpf"),
            USUAL,
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
