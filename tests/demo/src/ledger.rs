//! What was promised, and what came of it.

use std::io;

use crate::tell::Tell;

/// Every promise of the story so far.
#[derive(Default)]
pub struct Ledger {
    promises: Vec<Promise>,
}

struct Promise {
    what: String,
    figure: String,
    kept: bool,
    headline: bool,
}

impl Ledger {
    /// Notes a promise down, and tells of it.
    pub fn promise(
        &mut self,
        tell: &Tell,
        kept: bool,
        what: &str,
        figure: impl Into<String>,
    ) -> io::Result<()> {
        self.note(tell, kept, what, figure.into(), false)
    }

    /// The same, with a place in the summary.
    pub fn headline(
        &mut self,
        tell: &Tell,
        kept: bool,
        what: &str,
        figure: impl Into<String>,
    ) -> io::Result<()> {
        self.note(tell, kept, what, figure.into(), true)
    }

    fn note(
        &mut self,
        tell: &Tell,
        kept: bool,
        what: &str,
        figure: String,
        headline: bool,
    ) -> io::Result<()> {
        tell.check(kept, what, &figure)?;
        self.promises.push(Promise {
            what: what.to_owned(),
            figure,
            kept,
            headline,
        });
        Ok(())
    }

    /// The summary: the headlines, and all that was broken. Answers whether all were kept.
    pub fn tell(&self, tell: &Tell, moral: &str) -> io::Result<bool> {
        tell.act("Measured in this run")?;
        for promise in &self.promises {
            if promise.headline || !promise.kept {
                tell.check(promise.kept, &promise.what, &promise.figure)?;
            }
        }
        let total = self.promises.len();
        let broken = self.promises.iter().filter(|one| !one.kept).count();
        match broken {
            0 => tell.verdict(true, &format!("All {total} promises were kept: {moral}."))?,
            _ => tell.verdict(
                false,
                &format!("NOT AS PROMISED: {broken} of {total}, marked ✗ above."),
            )?,
        }
        Ok(broken == 0)
    }
}
