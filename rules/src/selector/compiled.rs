//! Selectors made ready for matching.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::Regex;

use super::{MatchOp, Matcher, Selector, SelectorError, pattern};

/// A selector with its regular expressions compiled. Keep it beside the [`Selector`], which stays plain data.
#[derive(Clone, Debug)]
pub struct Compiled {
    matchers: Vec<(String, Test)>,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    NotMatches(Regex),
}

impl Compiled {
    /// Fails only for a selector that did not come from parsing.
    pub fn new(selector: &Selector) -> Result<Self, SelectorError> {
        let matchers = selector.matchers.iter().map(|matcher| Ok((matcher.label.clone(), test(matcher)?)));
        Ok(Self { matchers: matchers.collect::<Result<_, SelectorError>>()? })
    }

    /// Whether all matchers hold; a missing label is the empty string.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches_by(|label| labels.get(label).map(String::as_str))
    }

    /// As [`Compiled::matches`], with the labels of whoever keeps them in another shape.
    pub fn matches_by<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.matchers.iter().all(|(label, test)| test.holds(value_of(label).unwrap_or("")))
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::NotEqual(unwanted) => value != unwanted,
            Self::Matches(pattern) => pattern.is_match(value),
            Self::NotMatches(pattern) => !pattern.is_match(value),
        }
    }
}

fn test(matcher: &Matcher) -> Result<Test, SelectorError> {
    let compile = || anchored_cached(&matcher.value).map_err(|message| SelectorError::new(0, 1, message));
    Ok(match matcher.op {
        MatchOp::Equal => Test::Equal(matcher.value.clone()),
        MatchOp::NotEqual => Test::NotEqual(matcher.value.clone()),
        MatchOp::Matches => Test::Matches(compile()?),
        MatchOp::NotMatches => Test::NotMatches(compile()?),
    })
}

/// Patterns kept a thread; when full, all are dropped (a generation has far fewer).
const CACHE_MAX: usize = 512;

thread_local! {
    static PATTERNS: RefCell<BTreeMap<String, Result<Regex, String>>> = const { RefCell::new(BTreeMap::new()) };
}

pub(super) fn matches_cached(matcher: &Matcher, value: &str) -> bool {
    match matcher.op {
        MatchOp::Equal => value == matcher.value,
        MatchOp::NotEqual => value != matcher.value,
        MatchOp::Matches => pattern_holds(&matcher.value, value) == Some(true),
        MatchOp::NotMatches => pattern_holds(&matcher.value, value) == Some(false),
    }
}

/// None where the pattern does not compile.
fn pattern_holds(pattern: &str, value: &str) -> Option<bool> {
    anchored_cached(pattern).ok().map(|regex| regex.is_match(value))
}

/// As [`pattern::anchored`], compiled once a thread: rules ask for the same patterns every few seconds.
pub(crate) fn anchored_cached(pattern: &str) -> Result<Regex, String> {
    PATTERNS.with_borrow_mut(|cache| {
        if let Some(compiled) = cache.get(pattern) {
            return compiled.clone();
        }
        if cache.len() >= CACHE_MAX {
            cache.clear();
        }
        let compiled = pattern::anchored(pattern);
        cache.insert(pattern.to_owned(), compiled.clone());
        compiled
    })
}
