//! What it comes to: tables for people, records for machines, and whether the aims were met.

use std::fmt::Write as _;

use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// `mpps.cordon.1k.10`, say.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// A figure, to three places.
pub fn record(name: String, value: f64, unit: &'static str) -> Record {
    let value = (value * 1000.0).round() / 1000.0;
    Record { name, value, unit }
}

/// Something to reach.
#[derive(Clone, Debug)]
pub struct Aim {
    what: String,
    reached: f64,
    bound: f64,
    least: bool,
}

/// It is to be so much, or more.
pub fn at_least(what: String, reached: f64, bound: f64) -> Aim {
    Aim {
        what,
        reached,
        bound,
        least: true,
    }
}

/// It is to be so much, or less.
pub fn at_most(what: String, reached: f64, bound: f64) -> Aim {
    Aim {
        what,
        reached,
        bound,
        least: false,
    }
}

/// What one part of the benchmark found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// For people.
    pub table: String,
    /// For machines.
    pub records: Vec<Record>,
    /// What was to be reached.
    pub aims: Vec<Aim>,
    /// Measurements that cannot be believed.
    pub wrong: usize,
}

impl Findings {
    /// Adds what another part found.
    pub fn add(&mut self, other: Findings) {
        self.table.push_str(&other.table);
        self.records.extend(other.records);
        self.aims.extend(other.aims);
        self.wrong += other.wrong;
    }
}

/// Whether the aims were reached, a line each.
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

/// The one in the middle.
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

/// The least and the most.
pub fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median([4.0, 1.0, 2.0, 9.0].into_iter()), Some(3.0));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn an_aim_may_be_little() {
        let text = aims(&[
            at_most("added".to_owned(), 3.0, 20.0),
            at_least("ratio".to_owned(), 3.0, 4.0),
        ]);
        assert!(text.contains("✓ added: 3.00 (at most 20.00)"), "{text}");
        assert!(text.contains("✗ ratio: 3.00 (at least 4.00)"), "{text}");
    }
}
