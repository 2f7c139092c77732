//! `by`, `without`, `on`, `ignoring`: which labels make elements belong together.

use crate::promql::ast::Grouping;
use crate::promql::labels::{Labels, NAME};

/// The labels that count, by name. A missing label is an empty one, so it needs no place.
pub(crate) type Signature<'a> = Vec<(&'a str, &'a str)>;

impl Grouping {
    /// Whether the label is one of those that count. The metric's name never is unless it is asked for.
    pub(super) fn counts(&self, label: &str) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|name| name == label),
            Self::Except(names) => label != NAME && !names.iter().any(|name| name == label),
        }
    }

    pub(super) fn signature<'a>(&self, labels: &'a Labels) -> Signature<'a> {
        labels.iter().filter(|(name, _)| self.counts(name)).collect()
    }
}

/// Labels that say what a metric measures; they go where a value means something else than before.
pub(super) fn is_metadata(label: &str) -> bool {
    matches!(label, NAME | "__type__" | "__unit__")
}

pub(crate) fn nameless(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| is_metadata(name)) {
        labels.filtered(|name| !is_metadata(name))
    } else {
        labels.clone()
    }
}
