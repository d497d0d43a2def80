//! The programs that make a lab.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// Where Open vSwitch keeps the schema of its database.
pub const OVS_SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Tools, and the Debian package of each.
const TOOLS: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("ovsdb-tool", "openvswitch-common"),
    ("ovsdb-server", "openvswitch-switch"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("ovs-vsctl", "openvswitch-switch"),
    ("ovs-ofctl", "openvswitch-common"),
];

/// Says everything that is missing, at once.
pub fn check() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let mut missing = Vec::new();
    let mut packages = Vec::new();
    let mut lack = |what: &str, package: &'static str| {
        missing.push(what.to_owned());
        if !packages.contains(&package) {
            packages.push(package);
        }
    };
    for (tool, package) in TOOLS {
        if !on_path(tool) {
            lack(tool, package);
        }
    }
    if !Path::new(OVS_SCHEMA).exists() {
        lack(OVS_SCHEMA, "openvswitch-switch");
    }
    let mut remedy = format!("apt-get install {}", packages.join(" "));
    if !Path::new("/dev/net/tun").exists() {
        missing.push("/dev/net/tun".to_owned());
        remedy = match packages.is_empty() {
            true => "modprobe tun".to_owned(),
            false => format!("{remedy}, then modprobe tun"),
        };
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::Missing { missing, remedy })
    }
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

/// Runs a command to its end and answers what it wrote.
pub fn run(command: &mut Command) -> Result<String> {
    run_with(command, "")
}

/// The same, with something to read on its standard input.
pub fn run_with(command: &mut Command, input: &str) -> Result<String> {
    let line = line(command);
    let cannot = |source| Error::Io {
        what: format!("running `{line}`"),
        source,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends without reading it all says why by itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(cannot)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Command {
        command: line,
        said: match complaint.is_empty() {
            true => output.status.to_string(),
            false => complaint,
        },
    })
}

/// Many `ip` commands in one process; in a network namespace, if one is named.
pub fn ip_batch(namespace: Option<&str>, commands: &[String]) -> Result<()> {
    if commands.is_empty() {
        return Ok(());
    }
    let mut ip = Command::new("ip");
    if let Some(namespace) = namespace {
        ip.args(["-n", namespace]);
    }
    ip.args(["-batch", "-"]);
    match run_with(&mut ip, &(commands.join("\n") + "\n")) {
        Ok(_) => Ok(()),
        Err(Error::Command { command, said }) => Err(Error::Command {
            command: match failed_line(&said).and_then(|line| commands.get(line - 1)) {
                Some(culprit) => format!("{command}: {culprit}"),
                None => command,
            },
            said,
        }),
        Err(error) => Err(error),
    }
}

/// `ip` ends with `Command failed -:LINE`.
fn failed_line(said: &str) -> Option<usize> {
    let (_, line) = said.rsplit_once("Command failed -:")?;
    line.trim().parse().ok().filter(|line| *line > 0)
}

/// A command as one would type it.
pub fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
