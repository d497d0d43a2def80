//! Results: tables for people, records for machines, and aims.

use std::fmt::Write as _;

use serde::Serialize;

/// One result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// For example `mpps.cordon.1k.10`.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The unit.
    pub unit: &'static str,
}

/// A result, rounded to three decimals.
pub fn record(name: String, value: f64, unit: &'static str) -> Record {
    let value = (value * 1000.0).round() / 1000.0;
    Record { name, value, unit }
}

/// A bound that a result should meet.
#[derive(Clone, Debug)]
pub struct Aim {
    what: String,
    reached: f64,
    bound: f64,
    least: bool,
}

/// An aim with a lower bound.
pub fn at_least(what: String, reached: f64, bound: f64) -> Aim {
    Aim {
        what,
        reached,
        bound,
        least: true,
    }
}

/// An aim with an upper bound.
pub fn at_most(what: String, reached: f64, bound: f64) -> Aim {
    Aim {
        what,
        reached,
        bound,
        least: false,
    }
}

/// The results of one part of the benchmark.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// A table for people.
    pub table: String,
    /// Records for machines.
    pub records: Vec<Record>,
    /// Aims.
    pub aims: Vec<Aim>,
    /// The number of measurements that do not add up.
    pub wrong: usize,
}

impl Findings {
    /// Adds the results of another part.
    pub fn add(&mut self, other: Findings) {
        self.table.push_str(&other.table);
        self.records.extend(other.records);
        self.aims.extend(other.aims);
        self.wrong += other.wrong;
    }
}

/// Lists the aims and whether they were met, a line each.
pub fn aims(aims: &[Aim]) -> String {
    let mut text = String::new();
    if !aims.is_empty() {
        text.push_str("\nAims\n");
    }
    for Aim {
        what,
        reached,
        bound,
        least,
    } in aims
    {
        let (met, word) = match least {
            true => (reached >= bound, "at least"),
            false => (reached <= bound, "at most"),
        };
        let mark = if met { '✓' } else { '✗' };
        let _ = writeln!(text, "  {mark} {what}: {reached:.2} ({word} {bound:.2})");
    }
    text
}

/// The median, if there are values.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// The smallest and the largest value.
pub fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        assert_eq!(median([4.0, 1.0, 2.0, 9.0].into_iter()), Some(3.0));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn aims_have_lower_or_upper_bounds() {
        let text = aims(&[
            at_most("added".to_owned(), 3.0, 20.0),
            at_least("ratio".to_owned(), 3.0, 4.0),
        ]);
        assert!(text.contains("✓ added: 3.00 (at most 20.00)"), "{text}");
        assert!(text.contains("✗ ratio: 3.00 (at least 4.00)"), "{text}");
    }
}
