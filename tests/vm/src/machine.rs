//! A virtual machine with nothing but a kernel, a root file system in memory and a serial console.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Number of last console lines in an error message.
const TAIL: usize = 40;

/// A QEMU process. Killed on drop.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots, and returns the lines of the console when the machine has turned itself off.
///
/// # Errors
/// QEMU cannot be run; or the machine is still on after `timeout`. The message has the end of the console.
pub fn boot(kernel: &Path, initramfs: &Path, timeout: Duration) -> Result<Vec<String>> {
    let started = Instant::now();
    let child = Command::new("qemu-system-x86_64")
        // Emulation, because nested virtualisation is not always available.
        .args(["-accel", "tcg", "-smp", "2", "-m", "1024"])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-serial",
            "stdio",
        ])
        // A kernel panic ends the machine: the kernel reboots, and QEMU ends at a reboot.
        .args(["-no-reboot", "-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run qemu-system-x86_64: `cargo xtask setup` installs it")?;
    let mut machine = Machine(child);
    let output = machine.0.stdout.take().context("stdout is piped")?;
    let lines = read(output);
    let mut console = Vec::new();
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        match lines.recv_timeout(left) {
            Ok(line) => console.push(line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => bail!(
                "the machine is still on after {} s. The end of its console:\n{}",
                timeout.as_secs(),
                tail(&console)
            ),
        }
    }
    if console.is_empty() {
        let mut errors_text = String::new();
        if let Some(mut errors) = machine.0.stderr.take() {
            std::io::Read::read_to_string(&mut errors, &mut errors_text)?;
        }
        bail!("the machine printed nothing. Errors of QEMU: {errors_text}");
    }
    Ok(console)
}

fn read(output: ChildStdout) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if send.send(text).is_err() {
                break;
            }
        }
    });
    lines
}

/// The last lines of a console, for error messages.
pub fn tail(console: &[String]) -> String {
    console[console.len().saturating_sub(TAIL)..].join("\n")
}
