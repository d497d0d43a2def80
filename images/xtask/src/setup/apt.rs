//! Installing Debian's packages, without anything starting to run by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::step::Steps;

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Says no to every package that wants to start its service (invoke-rc.d(8)): a Prometheus or an Open vSwitch
/// that nobody asked for would hold ports and bridges that the lab brings up itself.
struct NothingStarts {
    ours: bool,
}

impl NothingStarts {
    fn new() -> Result<NothingStarts> {
        // An administrator's own policy is kept. Containers have one that says no already.
        if Path::new(POLICY).exists() {
            return Ok(NothingStarts { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
        fs::set_permissions(POLICY, PermissionsExt::from_mode(0o755)).context(POLICY)?;
        Ok(NothingStarts { ours: true })
    }
}

impl Drop for NothingStarts {
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

/// A list that cannot be read need not be one that is needed: installing will tell.
pub fn update(steps: &Steps) {
    if let Err(error) = steps.run("reading the package lists", apt_get().arg("update")) {
        eprintln!("{error:#}\nGoing on with the lists as they are.");
    }
}

pub fn install(steps: &Steps, packages: &[&str], services: &[&str]) -> Result<()> {
    let guard = NothingStarts::new()?;
    steps.run(
        &format!("installing {}", packages.join(" ")),
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )?;
    drop(guard);
    // Or they would start at the next boot. Without systemd there is nothing that would start them.
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
