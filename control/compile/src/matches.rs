//! Which rules match a pair of classes, as a number: two pairs that the same rules match have the same.
//!
//! Of millions of pairs each is asked for again and again, rule after rule; so a number says a list that there was before
//! and one more, and no list is ever written down.

use foldhash::{HashMap, HashMapExt as _};

/// The number of no match.
pub(crate) const NONE: u32 = 0;

/// Lists of matches, by number.
#[derive(Debug)]
pub(crate) struct Matches {
    /// By a list and one more match: the list with it.
    longer: HashMap<(u32, u32), u32>,
    /// By list: the one without its last, and the last.
    shorter: Vec<(u32, u32)>,
}

impl Default for Matches {
    fn default() -> Matches {
        Matches {
            longer: HashMap::new(),
            shorter: vec![(NONE, 0)],
        }
    }
}

impl Matches {
    /// A list with one more match. Matches come in ascending order.
    pub fn and(&mut self, list: u32, one: u32) -> u32 {
        *self.longer.entry((list, one)).or_insert_with(|| {
            self.shorter.push((list, one));
            self.shorter.len() as u32 - 1
        })
    }

    /// The matches of a list, the last one first.
    pub fn all(&self, list: u32) -> impl Iterator<Item = u32> {
        let before = move |list: u32| (list != NONE).then_some(list);
        std::iter::successors(before(list), move |at| before(self.shorter[*at as usize].0))
            .map(|at| self.shorter[at as usize].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_matches_are_the_same_number() {
        let mut matches = Matches::default();
        let lists: [&[u32]; 6] = [&[0], &[0, 1], &[1], &[0, 2], &[0, 1, 2], &[]];
        let mut number = |list: &[u32]| list.iter().fold(NONE, |at, one| matches.and(at, *one));
        let numbers = lists.map(&mut number);
        assert_eq!(lists.map(&mut number), numbers);
        for (at, list) in numbers.iter().zip(lists) {
            assert_eq!(numbers.iter().filter(|other| *other == at).count(), 1);
            let mut all: Vec<u32> = matches.all(*at).collect();
            all.reverse();
            assert_eq!(all, list);
        }
    }
}
