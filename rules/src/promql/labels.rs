//! A series' labels.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::quote::quoted;
use crate::selector::is_label_name;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// Labels in order of their names, none empty (an empty label is a missing one). Cheap to clone; those made of others
/// share their texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Pair]>);

/// A label's name and its value.
pub type Pair = (Arc<str>, Arc<str>);

impl Labels {
    /// Sorts; of a name that comes twice the last stands; empty values are left out.
    pub fn new<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let all: BTreeMap<String, String> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let present = all.into_iter().filter(|(_, value)| !value.is_empty());
        Self(present.map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// As [`Self::new`], of texts that stay shared with what gave them.
    pub fn layered(pairs: impl IntoIterator<Item = Pair>) -> Self {
        let mut all: Vec<Pair> = pairs.into_iter().collect();
        // Stable, and the last first: of those with one name the first is kept.
        all.reverse();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|(later, _), (earlier, _)| later == earlier);
        Self(all.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.place(name).ok().map(|place| &*self.0[place].1)
    }

    /// Where it is, or where it would be.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Names and values, by name, with their texts shared.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> + '_ {
        self.0.iter().cloned()
    }

    /// The same labels with texts that `shared` gives, which must read alike: many series need few texts.
    #[must_use]
    pub fn sharing(&self, mut shared: impl FnMut(&str) -> Arc<str>) -> Self {
        Self(self.0.iter().map(|(name, value)| (shared(name), shared(value))).collect())
    }

    /// Those for which `keep` holds.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// With `name` set to `value`, or without it where `value` is empty.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let (before, after) = match self.place(name) {
            Ok(place) => (&self.0[..place], &self.0[place + 1..]),
            Err(place) => self.0.split_at(place),
        };
        let set = (!value.is_empty()).then(|| (name.into(), value.into()));
        Self(before.iter().cloned().chain(set).chain(after.iter().cloned()).collect())
    }

    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// As a selector of just this series: `up{instance="web-1"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.get(NAME).unwrap_or("");
        let shown = |label: &str| if is_label_name(label) { label.to_owned() } else { quoted(label) };
        let others = self.iter().filter(|(label, _)| *label != NAME);
        let pairs: Vec<String> = others.map(|(label, value)| format!("{}={}", shown(label), quoted(value))).collect();
        match (name.is_empty(), pairs.is_empty()) {
            (false, true) => f.write_str(name),
            _ => write!(f, "{name}{{{}}}", pairs.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_none_is_empty() {
        let labels = Labels::new([("b", "2"), (NAME, "up"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.to_string(), "up{a=\"1\", b=\"3\"}");
        assert_eq!((labels.get("b"), labels.get("c")), (Some("3"), None));
        assert_eq!(labels.with("aa", "x").to_string(), "up{a=\"1\", aa=\"x\", b=\"3\"}");
        assert_eq!(labels.with("a", "\"").to_string(), "up{a=\"\\\"\", b=\"3\"}");
        assert_eq!(labels.with("b", "").with(NAME, ""), Labels::new([("a", "1")]));
        assert_eq!(labels.filtered(|name| name == NAME).to_string(), "up");
        assert_eq!(Labels::default().to_string(), "{}");
        let layers = [("b", "2"), (NAME, "up"), ("a", "1"), ("c", ""), ("b", "3"), ("a", "")];
        let shared = layers.map(|(name, value)| (Arc::from(name), Arc::from(value)));
        assert_eq!(Labels::layered(shared), Labels::new(layers));
        assert_eq!(Labels::new(layers).to_string(), "up{b=\"3\"}");
        assert_eq!(Labels::layered(labels.pairs()), labels);
    }
}
