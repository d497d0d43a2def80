//! Runs `cordon`.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fake::Fake;

/// The program, with an empty environment and without a terminal.
pub fn program(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cordon"));
    command
        .env_clear()
        .env("USER", "dana")
        .env("CORDON_SOCKET", socket);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policy"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The outcome of a run.
pub struct Ran {
    /// The command line, the output, and the exit code.
    pub transcript: String,
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Splits a line into words at blanks, except within double quotes.
pub fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("has one").push(c),
        }
    }
    words
}

/// Runs `cordon` with arguments as typed in a shell.
pub fn cordon(fake: &Fake, line: &str) -> Ran {
    let output = program(&fake.socket())
        .args(split(line))
        .output()
        .expect("it runs");
    ran(line, &fake.socket(), &output)
}

/// Evaluates the output of a run. The path of the socket is replaced by `SOCKET`.
pub fn ran(line: &str, socket: &Path, output: &Output) -> Ran {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        text.replace(&*socket.to_string_lossy(), "SOCKET")
    };
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code().expect("it was not killed");
    let mut transcript = format!("$ cordon {line}\n{stdout}");
    if !stderr.is_empty() {
        transcript.push_str(&format!("--- standard error\n{stderr}"));
    }
    transcript.push_str(&format!("--- exit code {code}\n"));
    Ran {
        transcript,
        code,
        stdout,
        stderr,
    }
}
