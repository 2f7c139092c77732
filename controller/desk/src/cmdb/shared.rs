//! What very many items have alike, kept once.
//!
//! The hosts of a fleet are copies of each other to nine parts in ten: the same packages in the same versions, the same
//! units. What is said of such an item is one value behind all of them, found in a [`Pool`] by what it holds.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value with many owners. Equal, ordered, shown and serialized as the value itself.
pub struct Shared<T: ?Sized>(Arc<T>);

/// A text with many owners.
pub type Text = Shared<str>;

impl<T: ?Sized> Shared<T> {
    /// Whether both are the same value in memory; equal ones need not be.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: Clone> Shared<T> {
    /// The value, to be changed: a copy of its own where others have it too.
    pub fn make_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self::from(T::default())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Borrow<T> for Shared<T> {
    fn borrow(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized + PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || *self.0 == *other.0
    }
}

impl<T: ?Sized + Eq> Eq for Shared<T> {}

impl<T: ?Sized + Ord> PartialOrd for Shared<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: ?Sized + Ord> Ord for Shared<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if self.is(other) { std::cmp::Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ?Sized + Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

/// Values kept below which nobody looks for those that lost their owners.
const SWEEP_FROM: usize = 1024;

/// The values that have owners, each once.
pub(super) struct Pool<T: ?Sized> {
    values: BTreeSet<Shared<T>>,
    /// How many there may be before those without another owner are let go.
    sweep_at: usize,
}

impl<T: ?Sized + Ord> Pool<T> {
    /// The one value for all that are equal to it.
    pub fn share(&mut self, value: &mut Shared<T>) {
        match self.values.get(value) {
            Some(known) => *value = known.clone(),
            None => self.keep(value.clone()),
        }
    }

    fn keep(&mut self, value: Shared<T>) {
        if self.values.len() >= self.sweep_at {
            self.values.retain(|value| Arc::strong_count(&value.0) > 1);
            self.sweep_at = SWEEP_FROM.max(2 * self.values.len());
        }
        self.values.insert(value);
    }
}

impl Pool<str> {
    /// The one text for all that are equal to it.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.values.get(text) {
            return known.clone();
        }
        let text = Text::from(text);
        self.keep(text.clone());
        text
    }
}

impl<T: ?Sized> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), sweep_at: self.sweep_at }
    }
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { values: BTreeSet::new(), sweep_at: SWEEP_FROM }
    }
}

impl<T: ?Sized> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_a_change_is_its_owners_alone() {
        let mut pool = Pool::<Vec<u8>>::default();
        let (mut one, mut other) = (Shared::from(vec![1, 2]), Shared::from(vec![1, 2]));
        assert!(!one.is(&other) && one == other);
        pool.share(&mut one);
        pool.share(&mut other);
        assert!(one.is(&other));
        other.make_mut().push(3);
        pool.share(&mut other);
        assert_eq!((&*one, &*other), (&vec![1, 2], &vec![1, 2, 3]));
    }

    #[test]
    fn what_nobody_has_any_more_is_let_go() {
        let mut pool = Pool::<str>::default();
        let kept = pool.text("kept");
        for number in 0..10 * SWEEP_FROM {
            pool.text(&number.to_string());
        }
        assert!(pool.values.len() <= 2 * SWEEP_FROM, "{pool:?}");
        assert!(pool.text("kept").is(&kept));
    }
}
