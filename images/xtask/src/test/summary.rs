//! Parses the output of `cargo test`.

/// The results of all test programs, added up.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub passed: usize,
    pub failed: usize,
    /// Names of tests that failed.
    pub failures: Vec<String>,
    /// Names of tests that did not run, and why.
    pub skipped: Vec<(String, String)>,
}

impl Summary {
    pub fn read(&mut self, line: &str) {
        let line = without_colours(line);
        let line = line.trim_end();
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if let Some((_, skip)) = line.split_once("SKIPPED ") {
            // Not always at the start of the line: where tests run one at a time, the harness prints the name first.
            let (name, why) = skip.split_once(": ").unwrap_or((skip, "no reason given"));
            self.skipped.push((name.to_owned(), why.to_owned()));
        } else if let Some((name, outcome)) = test_line(line) {
            if outcome == "FAILED" {
                self.failures.push(name.to_owned());
            } else if outcome.starts_with("ignored") {
                self.skipped
                    .push((name.to_owned(), "marked `ignore`".to_owned()));
            }
        }
    }
}

/// The name and the outcome in `test a::b ... ok`.
fn test_line(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.rsplit_once(" ... ")
}

/// The number before a word in `ok. 3 passed; 1 failed; ...`.
fn count(counts: &str, word: &str) -> usize {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or_default()
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            // `\x1b[32m`, and `\x1b(B` where terminfo is asked.
            let last = |c: char| c.is_ascii_alphabetic();
            for skipped in characters.by_ref() {
                if last(skipped) {
                    break;
                }
            }
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Summary {
        let mut summary = Summary::default();
        text.lines().for_each(|line| summary.read(line));
        summary
    }

    #[test]
    fn results_of_all_test_programs_are_added_up() {
        let summary = read(
            "running 2 tests\n\
             test a::passes ... ok\n\
             test a::fails ... FAILED\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.10s\n\
             test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.38s\n",
        );
        assert_eq!((summary.passed, summary.failed), (41, 1));
        assert_eq!(summary.failures, ["a::fails"]);
        assert!(summary.skipped.is_empty());
    }

    #[test]
    fn colours_are_ignored() {
        let summary = read(
            "test a ... \x1b[31mFAILED\x1b(B\x1b[m\n\
             test result: \x1b[31mFAILED\x1b(B\x1b[m. 2 passed; 1 failed; 0 ignored; finished in 0.00s\n",
        );
        assert_eq!((summary.passed, summary.failed), (2, 1));
        assert_eq!(summary.failures, ["a"]);
    }

    #[test]
    fn skipped_and_ignored_tests_are_listed() {
        let summary = read(
            "test a::one ... ignored\n\
             test src/lib.rs - example (line 3) ... ignored\n\
             SKIPPED scrapes: no prometheus\n\
             test b ... SKIPPED b: no KVM\n",
        );
        let names: Vec<_> = summary
            .skipped
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            names,
            ["a::one", "src/lib.rs - example (line 3)", "scrapes", "b"]
        );
        assert_eq!(summary.skipped[2].1, "no prometheus");
        assert_eq!(summary.passed + summary.failed, 0);
    }
}
