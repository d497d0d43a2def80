//! Installs Debian packages without starting or enabling their services.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::step::Steps;

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Keeps packages from starting their services while it exists (invoke-rc.d(8)). A Prometheus or an Open vSwitch of the
/// system would occupy the ports and bridges that the lab needs.
struct ServiceBlock {
    ours: bool,
}

impl ServiceBlock {
    fn new() -> Result<ServiceBlock> {
        // An administrator's own policy is kept. Containers usually have one that forbids every start.
        if Path::new(POLICY).exists() {
            return Ok(ServiceBlock { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
        fs::set_permissions(POLICY, PermissionsExt::from_mode(0o755)).context(POLICY)?;
        Ok(ServiceBlock { ours: true })
    }
}

impl Drop for ServiceBlock {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("remove {POLICY} yourself, or no package will start its service: {error}");
        }
    }
}

pub fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args([
        "--quiet",
        "--option=Acquire::Retries=3",
        "--option=DPkg::Lock::Timeout=120",
    ]);
    command
}

/// A failure is only reported: the list that cannot be read may be of no importance, and if it is, installing fails.
pub fn update(steps: &Steps) {
    if let Err(error) = steps.run("updating the package lists", apt_get().arg("update")) {
        eprintln!("{error:#}\nContinuing with the package lists as they are.");
    }
}

pub fn install(steps: &Steps, packages: &[&str], services: &[&str]) -> Result<()> {
    let guard = ServiceBlock::new()?;
    steps.run(
        &format!("installing {}", packages.join(" ")),
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )?;
    drop(guard);
    // Otherwise they would start at the next boot. Without systemd, no service starts by itself.
    if !services.is_empty() && Path::new("/usr/bin/systemctl").exists() {
        steps.run(
            &format!("disabling {}", services.join(" ")),
            Command::new("systemctl")
                .args(["--root=/", "disable"])
                .args(services),
        )?;
    }
    Ok(())
}
