//! The rules that match the pairs of one class, as numbered lists: pairs that the same rules match have the same number.
//!
//! Millions of pairs are matched rule by rule. So a list is stored as its prefix and one more match, and is expanded only when
//! it is complete.

/// The number of the empty list.
pub(crate) const EMPTY: u32 = 0;

/// Lists of matches, by number.
#[derive(Debug)]
pub(crate) struct Matches {
    lists: Vec<List>,
}

#[derive(Clone, Copy, Debug)]
struct List {
    /// The list without its last match.
    prefix: u32,
    /// Its last match.
    last: u32,
    /// The match that was appended to it most recently, and the number of the resulting list.
    longer: Option<(u32, u32)>,
}

impl Default for Matches {
    fn default() -> Matches {
        let none = List {
            prefix: EMPTY,
            last: 0,
            longer: None,
        };
        Matches { lists: vec![none] }
    }
}

impl Matches {
    /// Appends a match to a list and returns the resulting list. Matches must come in ascending order: each is appended to all
    /// its lists before the next is appended to any.
    pub fn append(&mut self, list: u32, one: u32) -> u32 {
        let next = self.lists.len() as u32;
        let longer = &mut self.lists[list as usize].longer;
        if let Some((last, longer)) = *longer
            && last == one
        {
            return longer;
        }
        *longer = Some((one, next));
        self.lists.push(List {
            prefix: list,
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
    pub fn expand(&self, list: u32) -> Vec<u32> {
        let mut all = Vec::new();
        let mut at = list;
        while at != EMPTY {
            let List { prefix, last, .. } = self.lists[at as usize];
            all.push(last);
            at = prefix;
        }
        all.reverse();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_have_the_same_number() {
        let lists: [&[u32]; 7] = [&[0], &[0, 1], &[1], &[0, 2], &[0, 1, 2], &[], &[0, 2]];
        let mut matches = Matches::default();
        let mut numbers = [EMPTY; 7];
        for one in 0..3 {
            for (number, list) in numbers.iter_mut().zip(lists) {
                if list.contains(&one) {
                    *number = matches.append(*number, one);
                }
            }
        }
        for (number, list) in numbers.iter().zip(lists) {
            assert_eq!(matches.expand(*number), list);
            for (other, another) in numbers.iter().zip(lists) {
                assert_eq!(number == other, list == another, "{list:?}, {another:?}");
            }
        }
        // The empty list, and the others above without the duplicate.
        assert_eq!(matches.count(), 6);
    }
}
