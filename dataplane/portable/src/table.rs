//! A table that is cheap to copy: copies share what they have in common, so that changing one device of a hundred
//! thousand costs one device.

use std::borrow::Borrow;
use std::collections::hash_map::IntoIter;
use std::fmt;
use std::hash::Hash;
use std::ops::Index;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

/// A hash table of plain records. Keys are a policy's: nobody outside chooses which meet.
#[derive(Clone)]
pub struct Table<K, V> {
    /// What copies share.
    base: Arc<HashMap<K, V>>,
    /// What differs from it: a value, or none where there is one in `base` and none here.
    differs: HashMap<K, Option<V>>,
    len: usize,
}

impl<K: Copy + Eq + Hash, V: Copy> Table<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        // Most tables differ from nothing.
        if !self.differs.is_empty()
            && let Some(differs) = self.differs.get(key)
        {
            return differs.as_ref();
        }
        self.base.get(key)
    }

    /// Makes room for so many more, in a table that shares nothing.
    pub fn reserve(&mut self, more: usize) {
        if let Some(base) = Arc::get_mut(&mut self.base) {
            base.reserve(more);
        }
    }

    /// Sets the value of a key; answers the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = match self.alone() {
            Some(base) => base.insert(key, value),
            None => {
                let before = self.get(&key).copied();
                self.differs.insert(key, Some(value));
                before
            }
        };
        self.len += usize::from(before.is_none());
        before
    }

    /// Removes a key; answers its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let before = match self.alone() {
            Some(base) => base.remove(key),
            None => {
                let before = self.get(key).copied();
                match self.base.contains_key(key) {
                    true => self.differs.insert(*key, None),
                    false => self.differs.remove(key),
                };
                before
            }
        };
        self.len -= usize::from(before.is_some());
        before
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let unchanged =
            |(key, _): &(&K, &V)| self.differs.is_empty() || !self.differs.contains_key(*key);
        let differs = self.differs.iter();
        let changed = differs.filter_map(|(key, value)| Some((key, value.as_ref()?)));
        self.base.iter().filter(unchanged).chain(changed)
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// All values, to be changed. The table shares nothing afterwards.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.settle();
        Arc::make_mut(&mut self.base).values_mut()
    }

    /// By how many entries it differs from what it shares with others.
    pub fn differing(&self) -> usize {
        self.differs.len()
    }

    /// The table that nobody else has a part in, if it is one.
    fn alone(&mut self) -> Option<&mut HashMap<K, V>> {
        match self.differs.is_empty() {
            true => Arc::get_mut(&mut self.base),
            false => None,
        }
    }

    /// Makes it a table of its own.
    fn settle(&mut self) {
        let base = Arc::make_mut(&mut self.base);
        for (key, value) in self.differs.drain() {
            match value {
                Some(value) => base.insert(key, value),
                None => base.remove(&key),
            };
        }
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Table<K, V> {
        Table {
            base: Arc::default(),
            differs: HashMap::new(),
            len: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, V: Copy + PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Table<K, V>) -> bool {
        self.len == other.len
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Copy + Eq + Hash, V: Copy + Eq> Eq for Table<K, V> {}

impl<K: Copy + Eq + Hash + fmt::Debug, V: Copy + fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Copy + Eq + Hash, V: Copy> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Table<K, V> {
        let base: HashMap<K, V> = entries.into_iter().collect();
        Table {
            len: base.len(),
            base: Arc::new(base),
            differs: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V: Copy> IntoIterator for Table<K, V> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    fn into_iter(mut self) -> IntoIter<K, V> {
        self.settle();
        Arc::unwrap_or_clone(self.base).into_iter()
    }
}

impl<K: Copy + Eq + Hash, V: Copy> Index<&K> for Table<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key is in the table")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table and what it should hold, changed alike.
    #[derive(Clone, Default)]
    struct Both(Table<u8, u32>, HashMap<u8, u32>);

    impl Both {
        fn change(&mut self, key: u8, value: Option<u32>) {
            let answers = match value {
                Some(value) => (self.0.insert(key, value), self.1.insert(key, value)),
                None => (self.0.remove(&key), self.1.remove(&key)),
            };
            assert_eq!(answers.0, answers.1, "{key}");
            self.check();
        }

        fn check(&self) {
            assert_eq!(self.0.len(), self.1.len());
            assert_eq!(self.0.iter().count(), self.1.len());
            for key in 0..=u8::MAX {
                assert_eq!(self.0.get(&key), self.1.get(&key), "{key}");
            }
            assert_eq!(self.0, self.1.clone().into_iter().collect());
        }
    }

    #[test]
    fn copies_go_their_own_ways() {
        let mut first = Both::default();
        for key in 0..100 {
            first.change(key, Some(u32::from(key)));
        }
        let mut second = first.clone();
        for (key, value) in [
            (5, None),
            (5, Some(1)),
            (200, Some(2)),
            (200, None),
            (7, Some(3)),
        ] {
            second.change(key, value);
            first.check();
        }
        let mut third = second.clone();
        third.change(9, None);
        first.change(9, Some(4));
        second.check();
        third.0.values_mut().for_each(|value| *value += 1);
        third.1.values_mut().for_each(|value| *value += 1);
        third.check();
        second.check();
        let all: HashMap<u8, u32> = second.0.into_iter().collect();
        assert_eq!(all, second.1);
    }
}
