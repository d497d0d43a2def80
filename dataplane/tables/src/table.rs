//! A copy-on-write hash table: copies share their common entries, so that changing one device of 100,000 costs one entry.

use std::borrow::Borrow;
use std::collections::hash_map::IntoIter;
use std::fmt;
use std::hash::Hash;
use std::ops::Index;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

/// A hash table of plain records. Keys come from the policy: no sender of packets can choose colliding ones.
#[derive(Clone)]
pub struct Table<K, V> {
    /// The entries that copies share.
    base: Arc<HashMap<K, V>>,
    /// Entries of this copy that differ from `base`; `None` hides an entry of `base`.
    delta: HashMap<K, Option<V>>,
    len: usize,
}

impl<K: Copy + Eq + Hash, V: Copy> Table<K, V> {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        // Most tables have no delta: one look-up is enough.
        if !self.delta.is_empty()
            && let Some(changed) = self.delta.get(key)
        {
            return changed.as_ref();
        }
        self.base.get(key)
    }

    /// Reserves room for `more` entries, if no other copy shares the table.
    pub fn reserve(&mut self, more: usize) {
        if let Some(base) = Arc::get_mut(&mut self.base) {
            base.reserve(more);
        }
    }

    /// Sets the value of a key. Returns the previous value.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = match self.exclusive() {
            Some(base) => base.insert(key, value),
            None => {
                let before = self.get(&key).copied();
                self.delta.insert(key, Some(value));
                before
            }
        };
        self.len += usize::from(before.is_none());
        before
    }

    /// Removes a key. Returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let before = match self.exclusive() {
            Some(base) => base.remove(key),
            None => {
                let before = self.get(key).copied();
                match self.base.contains_key(key) {
                    true => self.delta.insert(*key, None),
                    false => self.delta.remove(key),
                };
                before
            }
        };
        self.len -= usize::from(before.is_some());
        before
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let unchanged =
            |(key, _): &(&K, &V)| self.delta.is_empty() || !self.delta.contains_key(*key);
        let delta = self.delta.iter();
        let changed = delta.filter_map(|(key, value)| Some((key, value.as_ref()?)));
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

    /// All values, mutable. This copies the entries that the table shares.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.merge();
        Arc::make_mut(&mut self.base).values_mut()
    }

    /// The number of entries that differ from the shared ones.
    pub fn differing(&self) -> usize {
        self.delta.len()
    }

    /// The entries, if no other copy shares them and there is no delta.
    fn exclusive(&mut self) -> Option<&mut HashMap<K, V>> {
        match self.delta.is_empty() {
            true => Arc::get_mut(&mut self.base),
            false => None,
        }
    }

    /// Merges the delta into entries that no other copy shares.
    fn merge(&mut self) {
        let base = Arc::make_mut(&mut self.base);
        for (key, value) in self.delta.drain() {
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
            delta: HashMap::new(),
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
            delta: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V: Copy> IntoIterator for Table<K, V> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    fn into_iter(mut self) -> IntoIter<K, V> {
        self.merge();
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

    /// A table and a model of it; every change is made to both.
    #[derive(Clone, Default)]
    struct Modelled(Table<u8, u32>, HashMap<u8, u32>);

    impl Modelled {
        fn change(&mut self, key: u8, value: Option<u32>) {
            let previous = match value {
                Some(value) => (self.0.insert(key, value), self.1.insert(key, value)),
                None => (self.0.remove(&key), self.1.remove(&key)),
            };
            assert_eq!(previous.0, previous.1, "{key}");
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
    fn changing_one_copy_leaves_the_others_alone() {
        let mut first = Modelled::default();
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
