//! `label_replace` and `label_join`.

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
        Sample { labels: sample.labels.with(destination, &value), value: sample.value }
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
        Sample { labels: sample.labels.with(destination, &values.join(separator)), value: sample.value }
    })
}

/// Any text but the empty one may be a label's name.
fn label_name(expr: &Expr) -> Result<&str, EvalError> {
    match text(expr)? {
        "" => Err(EvalError::new(expr.span, "invalid label name \"\"")),
        name => Ok(name),
    }
}
