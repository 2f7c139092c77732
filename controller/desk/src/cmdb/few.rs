//! A map for a few entries, of which the CMDB holds very many.
//!
//! A `BTreeMap` keeps room for eleven entries from the first one on: 826 bytes for the attributes of an item that has four,
//! 450 for the one section that names it. This one keeps what it has, in order of the names, and looks by halves.

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::shared::Text;

/// Values by name. Serialized as a map; equal and ordered as a `BTreeMap` of the same entries.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Few<V>(Box<[(Text, V)]>);

impl<V> Few<V> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }

    pub fn get(&self, name: &str) -> Option<&V> {
        self.place(name).ok().map(|place| &self.0[place].1)
    }

    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// The value that the name had.
    pub fn insert(&mut self, name: Text, value: V) -> Option<V> {
        match self.place(&name) {
            Ok(place) => Some(std::mem::replace(&mut self.0[place].1, value)),
            Err(place) => {
                let mut entries = std::mem::take(&mut self.0).into_vec();
                entries.reserve_exact(1);
                entries.insert(place, (name, value));
                self.0 = entries.into_boxed_slice();
                None
            }
        }
    }

    /// The value that the name had.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let place = self.place(name).ok()?;
        let mut entries = std::mem::take(&mut self.0).into_vec();
        let (_, value) = entries.remove(place);
        self.0 = entries.into_boxed_slice();
        Some(value)
    }

    pub fn clear(&mut self) {
        self.0 = Box::default();
    }

    /// In order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &V)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl<V> Default for Few<V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<V: std::fmt::Debug> std::fmt::Debug for Few<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<V> Extend<(Text, V)> for Few<V> {
    fn extend<T: IntoIterator<Item = (Text, V)>>(&mut self, entries: T) {
        for (name, value) in entries {
            self.insert(name, value);
        }
    }
}

/// Of entries with one name the last counts.
impl<V> FromIterator<(Text, V)> for Few<V> {
    fn from_iter<T: IntoIterator<Item = (Text, V)>>(entries: T) -> Self {
        let mut entries: Vec<(Text, V)> = entries.into_iter().collect();
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            let mut few = Self::default();
            few.extend(entries);
            return few;
        }
        entries.shrink_to_fit();
        Self(entries.into_boxed_slice())
    }
}

impl<V: Serialize> Serialize for Few<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        self.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Few<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Few<V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("values by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Few<V>, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0).min(16));
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries.into_iter().collect())
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u32),
        Remove(u8),
        Clear,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..12_u8, any::<u32>()).prop_map(|(name, value)| Step::Insert(name, value)),
            4 => (0..12_u8).prop_map(Step::Remove),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_map_that_it_stands_for(steps in proptest::collection::vec(step(), 0..40)) {
            let (mut few, mut map) = (Few::default(), BTreeMap::new());
            let name = |number: u8| Text::from(format!("attribute_{number}").as_str());
            for step in steps {
                match step {
                    Step::Insert(at, value) => prop_assert_eq!(few.insert(name(at), value), map.insert(name(at), value)),
                    Step::Remove(at) => prop_assert_eq!(few.remove(&name(at)), map.remove(&name(at))),
                    Step::Clear => {
                        few.clear();
                        map.clear();
                    }
                }
                prop_assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
            }
            prop_assert!(few.iter().eq(map.iter().map(|(name, value)| (&**name, value))) && few.keys().eq(map.keys().map(|name| &**name)));
            for at in 0..12 {
                prop_assert_eq!(few.get(&name(at)), map.get(&name(at)));
                prop_assert_eq!(few.contains_key(&name(at)), map.contains_key(&name(at)));
            }
            let text = serde_json::to_string(&few).expect("a map");
            prop_assert_eq!(&text, &serde_json::to_string(&map).expect("a map"));
            prop_assert_eq!(serde_json::from_str::<Few<u32>>(&text).expect("a map"), few.clone());
            prop_assert_eq!(map.into_iter().rev().collect::<Few<u32>>(), few);
        }
    }
}
