//! What to measure, and for how long.

use anyhow::{Result, bail};

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each case is measured.
    pub rounds: usize,
    /// The duration of a measurement.
    pub seconds: f64,
    /// The names of the cases to measure, in full or their first parts; all cases if it is empty.
    pub only: Vec<String>,
    /// The processor of sender, gateway and sink.
    pub sender: usize,
}

impl Plan {
    /// Whether the case of this name is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| begins(name, only))
    }

    /// Checks that every case that is asked for is among `names`, the names of all cases.
    ///
    /// # Errors
    /// If one is not.
    pub fn check(&self, names: &[String]) -> Result<()> {
        for only in &self.only {
            if !names.iter().any(|name| begins(name, only)) {
                bail!(
                    "there is no case {only}; the cases are: {}",
                    names.join(", ")
                );
            }
        }
        Ok(())
    }
}

/// Whether a name begins with these parts.
fn begins(name: &str, parts: &str) -> bool {
    let rest = name.strip_prefix(parts);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
