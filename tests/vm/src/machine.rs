//! A virtual machine with nothing but a kernel, a root file system in memory and a serial console.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// As many of the last lines as say what went wrong.
const TAIL: usize = 40;

/// Gone when dropped.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots, and answers with what the console said once the machine has turned itself off.
///
/// # Errors
/// QEMU cannot be run; the machine is still on when `patience` is over. With the end of what the console said.
pub fn boot(kernel: &Path, initramfs: &Path, patience: Duration) -> Result<Vec<String>> {
    let started = Instant::now();
    let child = Command::new("qemu-system-x86_64")
        // Emulated: nested virtualisation cannot be counted on.
        .args(["-accel", "tcg", "-smp", "2", "-m", "1024"])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-serial",
            "stdio",
        ])
        // Whatever goes wrong ends the machine: a kernel that panics reboots, which is not allowed.
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
    let output = machine.0.stdout.take().context("asked for above")?;
    let lines = read(output);
    let mut console = Vec::new();
    loop {
        let left = patience.saturating_sub(started.elapsed());
        match lines.recv_timeout(left) {
            Ok(line) => console.push(line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => bail!(
                "the machine is still on after {} s. The end of its console:\n{}",
                patience.as_secs(),
                tail(&console)
            ),
        }
    }
    if console.is_empty() {
        let mut said = String::new();
        if let Some(mut errors) = machine.0.stderr.take() {
            std::io::Read::read_to_string(&mut errors, &mut said)?;
        }
        bail!("the machine said nothing. QEMU did: {said}");
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

/// The end of a console, for whoever has to find out what went wrong.
pub fn tail(console: &[String]) -> String {
    console[console.len().saturating_sub(TAIL)..].join("\n")
}
