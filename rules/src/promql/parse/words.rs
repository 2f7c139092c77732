//! The words and signs of the language. Words are read in any case.

use crate::promql::ast::{AggregateOp, BinaryOp};

/// Operators with how strongly they bind, and whether they bind to the right.
///
/// Source: Prometheus's documentation, "Binary operator precedence". The sign of a number or vector binds as `*` does.
const OPERATORS: [(&str, BinaryOp, u8); 16] = [
    ("or", BinaryOp::Or, 1),
    ("and", BinaryOp::And, 2),
    ("unless", BinaryOp::Unless, 2),
    ("==", BinaryOp::Equal, 3),
    ("!=", BinaryOp::NotEqual, 3),
    ("<=", BinaryOp::LessOrEqual, 3),
    ("<", BinaryOp::Less, 3),
    (">=", BinaryOp::GreaterOrEqual, 3),
    (">", BinaryOp::Greater, 3),
    ("+", BinaryOp::Add, 4),
    ("-", BinaryOp::Sub, 4),
    ("*", BinaryOp::Mul, 5),
    ("/", BinaryOp::Div, 5),
    ("%", BinaryOp::Mod, 5),
    ("atan2", BinaryOp::Atan2, 5),
    ("^", BinaryOp::Pow, POWER),
];

/// How strongly `^` binds, which alone binds to the right.
pub(super) const POWER: u8 = 6;

const AGGREGATES: [(&str, AggregateOp); 14] = [
    ("avg", AggregateOp::Avg),
    ("bottomk", AggregateOp::Bottomk),
    ("count", AggregateOp::Count),
    ("count_values", AggregateOp::CountValues),
    ("group", AggregateOp::Group),
    ("limit_ratio", AggregateOp::LimitRatio),
    ("limitk", AggregateOp::Limitk),
    ("max", AggregateOp::Max),
    ("min", AggregateOp::Min),
    ("quantile", AggregateOp::Quantile),
    ("stddev", AggregateOp::Stddev),
    ("stdvar", AggregateOp::Stdvar),
    ("sum", AggregateOp::Sum),
    ("topk", AggregateOp::Topk),
];

/// What may follow an expression, for near words.
pub(super) const BETWEEN: [&str; 14] = [
    "and",
    "or",
    "unless",
    "atan2",
    "offset",
    "by",
    "without",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "inf",
    "nan",
];

/// Words that cannot be a metric's name without quotes.
pub(super) fn is_reserved(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    matches!(word.as_str(), "on" | "ignoring" | "group_left" | "group_right" | "atan2" | "bool" | "inf" | "nan")
}

/// Words that are numbers wherever they stand.
pub(in crate::promql) fn is_number(word: &str) -> bool {
    word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan")
}

/// Words that mean something at some place; [`super::super::display`] quotes metrics of these names.
pub(in crate::promql) fn is_word(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    BETWEEN.contains(&lower.as_str()) || aggregate(&lower).is_some() || matches!(lower.as_str(), "start" | "end")
}

pub(super) fn operator(written: &str) -> Option<(BinaryOp, u8)> {
    let lower = written.to_ascii_lowercase();
    OPERATORS.iter().find(|(known, ..)| *known == lower).map(|(_, op, power)| (*op, *power))
}

pub(super) fn aggregate(word: &str) -> Option<AggregateOp> {
    let lower = word.to_ascii_lowercase();
    AGGREGATES.iter().find(|(known, _)| *known == lower).map(|(_, op)| *op)
}

/// What may be called.
pub(super) fn called() -> impl Iterator<Item = &'static str> {
    let functions = crate::promql::functions().iter().map(|function| function.name);
    functions.chain(AGGREGATES.iter().map(|(word, _)| *word))
}

impl BinaryOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        OPERATORS.iter().find(|(_, op, _)| *op == self).map_or("", |(written, ..)| written)
    }
}

impl AggregateOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        AGGREGATES.iter().find(|(_, op)| *op == self).map_or("", |(written, _)| written)
    }

    /// Whether it takes a parameter before the vector: `topk(3, x)`.
    pub fn has_param(self) -> bool {
        matches!(
            self,
            Self::Topk | Self::Bottomk | Self::CountValues | Self::Quantile | Self::Limitk | Self::LimitRatio
        )
    }

    /// Whether it is taken only with `promql-experimental-functions`.
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}
