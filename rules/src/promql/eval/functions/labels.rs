//! `label_replace` and `label_join`.

use std::cmp::Ordering;

use super::super::node::{Evaluator, relabelled, text};
use super::super::steps::{Steps, Vectors};
use super::super::{EvalError, Sample};
use super::unknown;
use crate::promql::ast::{Expr, Span};
use crate::selector::anchored_cached;

/// Sets `destination` to `replacement` (with `$1` of the pattern) where the pattern matches all of `source`; an empty
/// result takes the label away.
pub(super) fn replace(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    texts: &[Expr],
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let [destination, replacement, source, pattern] = texts else { return Err(unknown(span, "label_replace")) };
    let (replacement, source) = (text(replacement)?, text(source)?);
    let destination = label_name(destination)?;
    let regex = anchored_cached(text(pattern)?).map_err(|message| EvalError::new(pattern.span, message))?;
    let vectors = evaluator.vectors(arg, steps)?;
    relabelled(span, vectors, |sample| {
        let Some(found) = regex.captures(sample.labels.get(source).unwrap_or("")) else { return sample.clone() };
        let mut value = String::new();
        found.expand(replacement, &mut value);
        Sample { labels: sample.labels.with(destination, &value), ..sample.clone() }
    })
}

/// Sets `destination` to the sources' values, the separator between them.
pub(super) fn join(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    texts: &[Expr],
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let [destination, separator, sources @ ..] = texts else { return Err(unknown(span, "label_join")) };
    let destination = label_name(destination)?;
    let separator = text(separator)?;
    let sources = sources.iter().map(label_name).collect::<Result<Vec<_>, _>>()?;
    let vectors = evaluator.vectors(arg, steps)?;
    relabelled(span, vectors, |sample| {
        let values: Vec<&str> = sources.iter().map(|source| sample.labels.get(source).unwrap_or("")).collect();
        Sample { labels: sample.labels.with(destination, &values.join(separator)), ..sample.clone() }
    })
}

/// `sort_by_label`: by the values of these labels, numbers in them as numbers; then by all labels.
pub(super) fn sorted(
    evaluator: &mut Evaluator<'_>,
    arg: &Expr,
    names: &[Expr],
    steps: Steps,
    falling: bool,
) -> Result<Vectors, EvalError> {
    let names = names.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let mut vectors = evaluator.vectors(arg, steps)?;
    for vector in &mut vectors {
        vector.sort_by(|one, other| {
            let values =
                names.iter().map(|name| [&one.labels, &other.labels].map(|labels| labels.get(name).unwrap_or("")));
            let by_label = values.map(|[one, other]| natural(one, other)).find(|ordering| ordering.is_ne());
            let ordering = by_label.unwrap_or_else(|| one.labels.cmp(&other.labels));
            if falling { ordering.reverse() } else { ordering }
        });
    }
    Ok(vectors)
}

/// By digits as numbers and all else as text, part by part.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut one_rest, mut other_rest) = (one, other);
    while !one_rest.is_empty() && !other_rest.is_empty() {
        let ((one_part, one_after), (other_part, other_after)) = (first_part(one_rest), first_part(other_rest));
        let numbers = (one_part.parse::<u64>(), other_part.parse::<u64>());
        let ordering = match numbers {
            (Ok(one), Ok(other)) => one.cmp(&other),
            _ => one_part.cmp(other_part),
        };
        if ordering.is_ne() {
            return ordering;
        }
        (one_rest, other_rest) = (one_after, other_after);
    }
    one_rest.len().cmp(&other_rest.len()).then_with(|| one.cmp(other))
}

/// The digits, or the other characters, that the text begins with; and the rest.
fn first_part(text: &str) -> (&str, &str) {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(text.len()))
}

/// Any text but the empty one may be a label's name.
fn label_name(expr: &Expr) -> Result<&str, EvalError> {
    match text(expr)? {
        "" => Err(EvalError::new(expr.span, "invalid label name \"\"")),
        name => Ok(name),
    }
}
