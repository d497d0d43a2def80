//! Which rules match the pairs of one class, as numbers: pairs that the same rules match have the same.
//!
//! Millions of pairs are asked about rule after rule. So a list of matches is a number that says the list before it and
//! one match more, and is written out only once it is whole.

/// The number of no match.
pub(crate) const NONE: u32 = 0;

/// Lists of matches, by number.
#[derive(Debug)]
pub(crate) struct Matches {
    lists: Vec<List>,
}

#[derive(Clone, Copy, Debug)]
struct List {
    /// The list without its last.
    before: u32,
    /// Its last.
    last: u32,
    /// What was added to it most recently, and which list that made.
    longer: Option<(u32, u32)>,
}

impl Default for Matches {
    fn default() -> Matches {
        let none = List {
            before: NONE,
            last: 0,
            longer: None,
        };
        Matches { lists: vec![none] }
    }
}

impl Matches {
    /// A list with one more match. Matches are added in ascending order, each to all lists that it is to be added to before
    /// the next to any.
    pub fn and(&mut self, list: u32, one: u32) -> u32 {
        let next = self.lists.len() as u32;
        let longer = &mut self.lists[list as usize].longer;
        if let Some((last, longer)) = *longer
            && last == one
        {
            return longer;
        }
        *longer = Some((one, next));
        self.lists.push(List {
            before: list,
            last: one,
            longer: None,
        });
        next
    }

    /// How many lists there are.
    pub fn count(&self) -> usize {
        self.lists.len()
    }

    /// The matches of a list, ascending.
    pub fn whole(&self, list: u32) -> Vec<u32> {
        let mut all = Vec::new();
        let mut at = list;
        while at != NONE {
            let List { before, last, .. } = self.lists[at as usize];
            all.push(last);
            at = before;
        }
        all.reverse();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_matches_are_the_same_number() {
        let lists: [&[u32]; 7] = [&[0], &[0, 1], &[1], &[0, 2], &[0, 1, 2], &[], &[0, 2]];
        let mut matches = Matches::default();
        let mut numbers = [NONE; 7];
        for one in 0..3 {
            for (number, list) in numbers.iter_mut().zip(lists) {
                if list.contains(&one) {
                    *number = matches.and(*number, one);
                }
            }
        }
        for (number, list) in numbers.iter().zip(lists) {
            assert_eq!(matches.whole(*number), list);
            for (other, another) in numbers.iter().zip(lists) {
                assert_eq!(number == other, list == another, "{list:?}, {another:?}");
            }
        }
        // None, and those above but for one that is there twice.
        assert_eq!(matches.count(), 6);
    }
}
