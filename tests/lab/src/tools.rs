//! External programs that a lab needs, and how they are run.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// Where Open vSwitch keeps the schema of its database.
pub const OVS_SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Programs, with the Debian package of each.
const TOOLS: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("ovsdb-tool", "openvswitch-common"),
    ("ovsdb-server", "openvswitch-switch"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("ovs-vsctl", "openvswitch-switch"),
    ("ovs-ofctl", "openvswitch-common"),
];

/// Checks that the caller is root and that every program is there; the error lists all that are missing.
pub fn check() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let mut missing = Vec::new();
    let mut packages = Vec::new();
    let mut add = |what: &str, package: &'static str| {
        missing.push(what.to_owned());
        if !packages.contains(&package) {
            packages.push(package);
        }
    };
    for (tool, package) in TOOLS {
        if !on_path(tool) {
            add(tool, package);
        }
    }
    if !Path::new(OVS_SCHEMA).exists() {
        add(OVS_SCHEMA, "openvswitch-switch");
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

/// Runs a command to its end and returns its standard output.
pub fn run(command: &mut Command) -> Result<String> {
    run_with(command, "")
}

/// As [`run`], with text for its standard input.
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
        // A command that ends early closes the pipe. Its own error says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(cannot)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Command {
        command: line,
        output: match errors.is_empty() {
            true => output.status.to_string(),
            false => errors,
        },
    })
}

/// Runs many `ip` commands in one process, in a network namespace if one is given.
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
        Err(Error::Command { command, output }) => Err(Error::Command {
            command: match failed_line(&output).and_then(|line| commands.get(line - 1)) {
                Some(failed) => format!("{command}: {failed}"),
                None => command,
            },
            output,
        }),
        Err(error) => Err(error),
    }
}

/// `ip` ends with `Command failed -:LINE`.
fn failed_line(output: &str) -> Option<usize> {
    let (_, line) = output.rsplit_once("Command failed -:")?;
    line.trim().parse().ok().filter(|line| *line > 0)
}

/// A command as it would be typed in a shell.
pub fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
