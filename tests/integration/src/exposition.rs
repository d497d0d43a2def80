//! Parses the Prometheus text format.

use std::collections::BTreeMap;

/// The result of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// Help text by metric.
    pub help: BTreeMap<String, String>,
    /// Type by metric.
    pub kind: BTreeMap<String, String>,
    /// Value by series: name and labels as they are in the text.
    pub series: BTreeMap<String, f64>,
}

impl Exposition {
    /// Parses a scrape. It panics if it is malformed.
    pub fn read(text: &str) -> Exposition {
        let mut read = Exposition::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let metadata = |prefix| {
                let rest = line.strip_prefix(prefix)?;
                let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
                Some((name.to_owned(), text.to_owned()))
            };
            if let Some((name, help)) = metadata("# HELP ") {
                assert_eq!(read.help.insert(name, help), None, "twice: {line}");
            } else if let Some((name, kind)) = metadata("# TYPE ") {
                assert_eq!(read.kind.insert(name, kind), None, "twice: {line}");
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a series and its value");
                let value = value.parse().expect("a number");
                let before = read.series.insert(series.to_owned(), value);
                assert_eq!(before, None, "twice: {line}");
            }
        }
        read
    }

    /// The value of a series, if it exists.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_types_and_values_are_parsed() {
        let read = Exposition::read(
            "# HELP a_total What it is.\n# TYPE a_total counter\na_total{b=\"c d\"} 3\n# TYPE e gauge\ne 0.5\n",
        );
        assert_eq!(read.help["a_total"], "What it is.");
        assert_eq!(read.kind["e"], "gauge");
        assert_eq!(read.value("a_total{b=\"c d\"}"), Some(3.0));
        assert_eq!(read.value("a_total"), None);
    }
}
