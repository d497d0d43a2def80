//! The bpf file system, in which programs and maps are pinned.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::step::Steps;

const MOUNT_POINT: &str = "/sys/fs/bpf";

pub fn is_missing() -> bool {
    !is_mounted(&fs::read_to_string("/proc/mounts").unwrap_or_default())
}

fn is_mounted(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(MOUNT_POINT) && fields.next() == Some("bpf")
    })
}

pub fn mount(steps: &Steps) -> Result<()> {
    steps.run(
        &format!("mounting a bpf file system at {MOUNT_POINT}"),
        Command::new("mount").args(["-t", "bpf", "bpf", MOUNT_POINT]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bpf_file_system_at_the_mount_point_counts() {
        assert!(is_mounted(
            "sysfs /sys sysfs rw 0 0\nbpf /sys/fs/bpf bpf rw,mode=700 0 0\n"
        ));
        assert!(!is_mounted("sysfs /sys sysfs rw 0 0\n"));
        assert!(!is_mounted("bpf /run/bpf bpf rw 0 0\n"));
    }
}
