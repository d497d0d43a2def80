//! A stock Debian kernel for `tests/vm` to boot: downloaded and unpacked, not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::apt::apt_get;
use crate::step::Steps;
use crate::workspace::Workspace;

/// Depends on the newest stock kernel of the release: 6.1 in Debian 12.
const META_PACKAGE: &str = "linux-image-amd64";

/// Modules of that kernel that a gateway needs, below `kernel` in its modules' folder. The last two are for tc programs.
const MODULES: [&str; 3] = [
    "drivers/net/veth.ko",
    "net/sched/sch_ingress.ko",
    "net/sched/cls_bpf.ko",
];

/// Where `tests/vm` looks for the kernel.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vm/kernel")
}

pub fn is_missing(workspace: &Workspace) -> bool {
    let folder = folder(workspace);
    let modules = MODULES.iter().map(|module| file_name(module));
    modules
        .chain(["vmlinuz"])
        .any(|file| !folder.join(file).exists())
}

pub fn fetch(steps: &Steps, workspace: &Workspace) -> Result<()> {
    let folder = folder(workspace);
    let scratch = folder.with_extension("new");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    let package = image_package()?;
    steps.run(
        &format!("downloading {package} for the virtual machine"),
        // apt's download helper runs under an account that may not be allowed to write here.
        apt_get()
            .args(["--option=APT::Sandbox::User=root", "download", &package])
            .current_dir(&scratch),
    )?;
    let archive = first(&scratch, |name| name.ends_with(".deb"))?;
    let tree = scratch.join("tree");
    steps.run(
        &format!("unpacking {package}"),
        Command::new("dpkg-deb")
            .arg("--extract")
            .args([&archive, &tree]),
    )?;
    let kernel = first(&tree.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    let modules = first(&tree.join("lib/modules"), |_| true)?;
    fs::create_dir_all(&folder)?;
    for name in MODULES {
        let module = modules.join("kernel").join(name);
        if !module.exists() {
            // Later Debian releases ship compressed modules.
            steps.run(
                &format!("unpacking {}", file_name(name)),
                Command::new("xz")
                    .arg("--decompress")
                    .arg(module.with_extension("ko.xz")),
            )?;
        }
        copy(&module, &folder.join(file_name(name)))?;
    }
    copy(&kernel, &folder.join("vmlinuz"))?;
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

/// The package that the meta package depends on.
fn image_package() -> Result<String> {
    let asked = Command::new("apt-cache")
        .args(["depends", "--important", META_PACKAGE])
        .output()
        .context("cannot run apt-cache")?;
    parse_depends(&String::from_utf8_lossy(&asked.stdout)).with_context(|| {
        format!("`apt-cache depends {META_PACKAGE}` names no kernel: do the package lists include Debian's main?")
    })
}

fn parse_depends(answer: &str) -> Option<String> {
    answer
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|package| package.starts_with("linux-image-"))
        .map(str::to_owned)
}

fn first(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| wanted(&name.to_string_lossy()))
        })
        .with_context(|| format!("{} lacks an expected file", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meta_package_names_the_kernel() {
        let answer = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n";
        assert_eq!(
            parse_depends(answer).as_deref(),
            Some("linux-image-6.1.0-56-amd64")
        );
        assert_eq!(parse_depends("linux-image-amd64\n"), None);
    }
}
