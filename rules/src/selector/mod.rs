//! The one selector syntax: `{kind="unit_failed", unit=~"nginx.*"}`.
//!
//! As in Prometheus: a missing label equals the empty string; regular expressions are anchored at both ends, `.` takes a
//! newline too, and `\d`, `\w`, `\s` mean ASCII as in RE2. Strings are quoted by `"`, `'` (with Go's escapes) or
//! backticks (raw). Values are bound into a selector with `$name`, never pasted; see [`crate::model::Condition`].

mod compiled;
mod condition;
mod lex;
mod parse;
mod pattern;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::promql::labels::NAME;
use crate::quote::quoted;

pub use compiled::Compiled;
pub(crate) use compiled::anchored_cached;
pub(crate) use lex::{Spanned, Token, is_label_name};
pub(crate) use parse::{Bindings, Reader, matchers};
pub use pattern::{anchored, unanchored};

/// Label matchers that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    pub matchers: Vec<Matcher>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    pub label: String,
    pub op: MatchOp,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchOp {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "=~")]
    Matches,
    #[serde(rename = "!~")]
    NotMatches,
}

/// Why a text is no selector, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectorError {
    /// Bytes from the start of the text.
    pub at: usize,
    /// Bytes that the fault covers, at least 1.
    pub length: usize,
    /// What was found and what would help; without the place.
    pub message: String,
}

impl SelectorError {
    pub(crate) fn new(at: usize, length: usize, message: impl Into<String>) -> Self {
        Self { at, length: length.max(1), message: message.into() }
    }
}

impl Selector {
    /// Every series of one metric.
    pub fn of_metric(name: &str) -> Self {
        let matcher = Matcher { label: NAME.to_owned(), op: MatchOp::Equal, value: name.to_owned() };
        Self { matchers: vec![matcher] }
    }

    /// The metric that is named, if one is.
    pub fn metric(&self) -> Option<&str> {
        let named = self.matchers.iter().find(|matcher| matcher.label == NAME && matcher.op == MatchOp::Equal);
        named.map(|matcher| matcher.value.as_str())
    }

    /// Reads `{label op "value", …}`. Every regular expression of it is known to compile.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text)
    }

    /// Reads a selector with an optional metric name before it: `up{instance="web-1"}`, `up`, `{instance="web-1"}`.
    pub fn parse_with_metric(text: &str) -> Result<(Option<String>, Self), SelectorError> {
        parse::selector_with_metric(text)
    }

    /// Whether all matchers hold for `labels`.
    ///
    /// Regular expressions come from a small cache of the thread; who matches often keeps a [`Compiled`]. A selector that
    /// was not made by parsing and holds a broken regular expression matches nothing.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches_by(|label| labels.get(label).map(String::as_str))
    }

    /// As [`Selector::matches`], with the labels of whoever keeps them in another shape.
    pub fn matches_by<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        let holds = |matcher: &Matcher| compiled::matches_cached(matcher, value_of(&matcher.label).unwrap_or(""));
        self.matchers.iter().all(holds)
    }

    /// Whether it takes everything: no matcher of it refuses the empty string, as in `{}` or `{unit=~".*"}`.
    pub fn takes_everything(&self) -> bool {
        self.matches(&BTreeMap::new())
    }
}

impl MatchOp {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }

    /// Whether the value is a regular expression.
    pub fn is_pattern(self) -> bool {
        matches!(self, Self::Matches | Self::NotMatches)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (place, matcher) in self.matchers.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            matcher.fmt(f)?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op.as_str();
        if lex::is_label_name(&self.label) {
            write!(f, "{}{op}{}", self.label, quoted(&self.value))
        } else {
            write!(f, "{}{op}{}", quoted(&self.label), quoted(&self.value))
        }
    }
}

#[cfg(test)]
mod tests;
