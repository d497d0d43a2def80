//! Builds the Debian packages: programs, manual pages, list of dependencies, then debhelper.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::setup::{self, Purpose, Tool};
use crate::step::Steps;
use crate::workspace::Workspace;

/// What stands in the programs in place of the folders of this machine.
const SOURCE: &str = "/usr/src/cordon";
/// The packages, and the crate of each.
const PACKAGES: [(&str, &str); 2] = [
    ("cordon-gateway", "control/gateway"),
    ("cordon-cli", "control/cli"),
];

pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let twice = match arguments {
        [] => false,
        [one] if one == "--twice" => true,
        _ => bail!("it takes --twice or nothing"),
    };
    setup::run(workspace, Purpose::Run)?;
    setup::tools(workspace, &TOOLS)?;
    let folder = workspace.target.join("package");
    let steps = Steps::new(folder.join("package.log"))?;
    let made = build(workspace, &steps, &folder, "first")?;
    if twice {
        let again = build(workspace, &steps, &folder, "second")?;
        for (one, other) in made.iter().zip(&again) {
            ensure!(
                fs::read(one)? == fs::read(other)?,
                "{} and {} differ: diffoscope shows where",
                one.display(),
                other.display()
            );
        }
        println!("package: built twice, and the same bytes");
    }
    steps.run(
        "lintian",
        Command::new("lintian")
            .args(["--fail-on", "error,warning", "--info", "--allow-root"])
            .args(&made),
    )?;
    println!("package: lintian has nothing to say. Install with apt-get install:");
    for path in &made {
        let size = fs::metadata(path)?.len() as f64 / f64::from(1 << 20);
        println!("  {} ({size:.1} MiB)", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Beside what every task needs.
const TOOLS: [Tool; 4] = [
    Tool::package("dh", "debhelper"),
    Tool::package("lintian", "lintian"),
    Tool::cargo("cargo-auditable", "0.7.7"),
    Tool::cargo("cargo-cyclonedx", "0.5.9"),
];

/// Builds all, in folders of this name. Returns the packages, sorted.
fn build(workspace: &Workspace, steps: &Steps, folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let programs = programs(workspace, steps, &folder.join(format!("{name}-target")))?;
    let out = folder.join(name);
    let tree = out.join("tree");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    for sub in ["bin", "sbom", "doc/examples", "etc/policy", "completions"] {
        fs::create_dir_all(tree.join(sub))?;
    }
    for program in ["cordond", "cordon"] {
        fs::copy(programs.join(program), tree.join("bin").join(program))?;
    }
    steps.run(
        "writing manual pages and completions",
        Command::new(programs.join("cordon-pages")).arg(tree.join("pages")),
    )?;
    // bash looks for a file of the command's name.
    fs::rename(
        tree.join("pages/cordon.bash"),
        tree.join("completions/cordon"),
    )?;
    dependencies(workspace, steps, &out, &tree.join("sbom"))?;
    let sources = workspace.root.join("images/package");
    copy(&sources.join("debian"), &tree.join("debian"))?;
    copy(&sources.join("policy"), &tree.join("etc/policy"))?;
    fs::copy(sources.join("gateway.toml"), tree.join("etc/gateway.toml"))?;
    copy(
        &workspace.root.join("control/policy/examples"),
        &tree.join("doc/examples"),
    )?;
    let units = workspace.root.join("images/units");
    for (from, to) in [
        ("cordond.service", "cordon-gateway.cordond.service"),
        ("sysusers.d/cordon.conf", "cordon-gateway.sysusers"),
        ("tmpfiles.d/cordon.conf", "cordon-gateway.tmpfiles"),
    ] {
        fs::copy(units.join(from), tree.join("debian").join(to)).context(from)?;
    }
    steps.run(
        "debhelper",
        Command::new("dpkg-buildpackage")
            .args(["--build=binary", "--unsigned-source", "--unsigned-changes"])
            // The programs keep line tables: a backtrace names its lines. There is no package of symbols.
            .env("DEB_BUILD_OPTIONS", "noautodbgsym")
            .current_dir(&tree),
    )?;
    let mut made: Vec<PathBuf> = fs::read_dir(&out)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .collect();
    made.sort();
    ensure!(
        made.len() == PACKAGES.len(),
        "{} lacks a package",
        out.display()
    );
    Ok(made)
}

/// Builds the programs for release, with the list of their dependencies inside. Returns their folder.
fn programs(workspace: &Workspace, steps: &Steps, target: &Path) -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    let flags = [
        (&*workspace.root, SOURCE),
        (&*home, "/usr/src/crates"),
        (target, "/usr/src/target"),
    ]
    .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let mut command = workspace.cargo();
    command
        .args([
            "auditable",
            "build",
            "--locked",
            "--release",
            "--target-dir",
        ])
        .arg(target)
        .args([
            "-p",
            "cordon-gateway",
            "-p",
            "cordon-cli",
            "-p",
            "cordon-pages",
        ])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        // C compilers put it in place of the time: mimalloc has `__TIME__` in its source.
        .env("SOURCE_DATE_EPOCH", changed(workspace)?);
    steps.run("building the programs (some minutes)", &mut command)?;
    Ok(target.join("release"))
}

/// The time of the last entry in the changelog, in seconds since 1970.
fn changed(workspace: &Workspace) -> Result<String> {
    let output = Command::new("dpkg-parsechangelog")
        .arg("--file")
        .arg(workspace.root.join("images/package/debian/changelog"))
        .arg("--show-field=Timestamp")
        .output()
        .context("dpkg-parsechangelog")?;
    ensure!(output.status.success(), "the changelog cannot be read");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Writes the list of dependencies of each package, as CycloneDX. The tool writes beside the manifests, so it gets copies.
fn dependencies(workspace: &Workspace, steps: &Steps, out: &Path, to: &Path) -> Result<()> {
    let copied = out.join("source");
    let files = Command::new("git")
        .args(["ls-files", "-z", "--", "*.toml", "*.lock", "*.rs"])
        .current_dir(&workspace.root)
        .output()
        .context("git")?;
    for file in String::from_utf8(files.stdout)?.split_terminator('\0') {
        let copy = copied.join(file);
        fs::create_dir_all(copy.parent().context("has a folder")?)?;
        fs::copy(workspace.root.join(file), &copy).context(file.to_owned())?;
    }
    steps.run(
        "listing the dependencies",
        workspace
            .cargo()
            .args(["cyclonedx", "--format", "json", "--spec-version", "1.5"])
            .args(["--target", "x86_64-unknown-linux-gnu"])
            // Without it, the time of the build would be in the file.
            .env("SOURCE_DATE_EPOCH", changed(workspace)?)
            .current_dir(&copied),
    )?;
    for (package, crate_folder) in PACKAGES {
        let name = format!("{package}.cdx.json");
        let made = copied.join(crate_folder).join(&name);
        let text = fs::read_to_string(&made).with_context(|| made.display().to_string())?;
        let text = text.replace(&*copied.to_string_lossy(), SOURCE);
        fs::write(to.join(name), text)?;
    }
    Ok(())
}

/// Copies a folder with all in it. Files get the rights 0644, or 0755 if their owner may run them.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
            continue;
        }
        fs::copy(entry.path(), &target)?;
        let runs = entry.metadata()?.permissions().mode() & 0o100 != 0;
        let mode = if runs { 0o755 } else { 0o644 };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
