//! The checks of the demo and their results.

use std::io;

use crate::narrator::Narrator;

/// All checks so far.
#[derive(Default)]
pub struct Checks {
    checks: Vec<Check>,
}

struct Check {
    name: String,
    figure: String,
    passed: bool,
    key: bool,
}

impl Checks {
    /// Records a check and prints it. `figure` is the measurement that it rests on.
    pub fn check(
        &mut self,
        narrator: &Narrator,
        passed: bool,
        name: &str,
        figure: impl Into<String>,
    ) -> io::Result<()> {
        self.record(narrator, passed, name, figure.into(), false)
    }

    /// As [`Checks::check`]; the summary repeats it.
    pub fn key_check(
        &mut self,
        narrator: &Narrator,
        passed: bool,
        name: &str,
        figure: impl Into<String>,
    ) -> io::Result<()> {
        self.record(narrator, passed, name, figure.into(), true)
    }

    fn record(
        &mut self,
        narrator: &Narrator,
        passed: bool,
        name: &str,
        figure: String,
        key: bool,
    ) -> io::Result<()> {
        narrator.check(passed, name, &figure)?;
        self.checks.push(Check {
            name: name.to_owned(),
            figure,
            passed,
            key,
        });
        Ok(())
    }

    /// Prints the key checks and those that failed. Returns whether all passed.
    pub fn summary(&self, narrator: &Narrator, conclusion: &str) -> io::Result<bool> {
        narrator.act("Measured in this run")?;
        for check in &self.checks {
            if check.key || !check.passed {
                narrator.check(check.passed, &check.name, &check.figure)?;
            }
        }
        let total = self.checks.len();
        let failed = self.checks.iter().filter(|check| !check.passed).count();
        match failed {
            0 => narrator.conclusion(true, &format!("All {total} checks passed: {conclusion}."))?,
            _ => narrator.conclusion(
                false,
                &format!("{failed} of {total} checks FAILED. They are marked ✗ above."),
            )?,
        }
        Ok(failed == 0)
    }
}
