//! Operators: arithmetic, comparisons, and a scalar on one side. Vectors on both sides: [`super::matching`].

use super::grouping::nameless;
use super::matching::Matched;
use super::native::{self, Remarks};
use super::node::{Evaluator, relabelled, same_labelset};
use super::steps::{Steps, Vectors};
use super::{EvalError, Sample};
use crate::promql::ast::{Binary, BinaryOp, Span, ValueType};

/// What an operator makes of two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    Number(f64),
    Holds(bool),
}

impl BinaryOp {
    /// Not for set operators, which look at labels alone.
    pub(super) fn apply(self, lhs: f64, rhs: f64) -> Outcome {
        match self {
            Self::Add => Outcome::Number(lhs + rhs),
            Self::Sub => Outcome::Number(lhs - rhs),
            Self::Mul => Outcome::Number(lhs * rhs),
            Self::Div => Outcome::Number(lhs / rhs),
            // The remainder has the sign of the left side, as C's fmod.
            Self::Mod => Outcome::Number(lhs % rhs),
            Self::Pow => Outcome::Number(lhs.powf(rhs)),
            Self::Atan2 => Outcome::Number(lhs.atan2(rhs)),
            Self::Equal => Outcome::Holds(lhs == rhs),
            Self::NotEqual => Outcome::Holds(lhs != rhs),
            Self::Less => Outcome::Holds(lhs < rhs),
            Self::LessOrEqual => Outcome::Holds(lhs <= rhs),
            Self::Greater => Outcome::Holds(lhs > rhs),
            Self::GreaterOrEqual => Outcome::Holds(lhs >= rhs),
            Self::And | Self::Or | Self::Unless => Outcome::Holds(false),
        }
    }
}

impl Outcome {
    /// The resulting value; none where a comparison filters. A comparison that holds gives `kept`.
    pub fn value(self, return_bool: bool, kept: f64) -> Option<f64> {
        match self {
            Self::Number(value) => Some(value),
            Self::Holds(holds) if return_bool => Some(f64::from(u8::from(holds))),
            Self::Holds(true) => Some(kept),
            Self::Holds(false) => None,
        }
    }
}

impl Binary {
    /// Whether the result means something else than the left side did, so that the metric's name goes.
    pub(crate) fn drops_name(&self) -> bool {
        self.return_bool || !(self.op.is_comparison() || self.op.is_set())
    }
}

impl Evaluator<'_> {
    /// Two scalars. Comparisons need `bool` (the parser sees to it) and give 0 or 1.
    pub fn scalar_operation(&mut self, binary: &Binary, steps: Steps) -> Result<Vec<f64>, EvalError> {
        let lhs = self.scalars(&binary.lhs, steps)?;
        let rhs = self.scalars(&binary.rhs, steps)?;
        let both = lhs.into_iter().zip(rhs);
        Ok(both.map(|(lhs, rhs)| binary.op.apply(lhs, rhs).value(true, lhs).unwrap_or(f64::NAN)).collect())
    }

    /// A vector on one side at least.
    pub fn operation(&mut self, span: Span, binary: &Binary, steps: Steps) -> Result<Vectors, EvalError> {
        let scalar_left = binary.lhs.value_type() == ValueType::Scalar;
        if !scalar_left && binary.rhs.value_type() != ValueType::Scalar {
            return self.vector_operation(span, binary, steps);
        }
        let (scalar, vector) = if scalar_left { (&binary.lhs, &binary.rhs) } else { (&binary.rhs, &binary.lhs) };
        if binary.op.is_set() {
            return Err(EvalError::new(binary.op_span, "a set operator takes instant vectors on both sides"));
        }
        let numbers = self.scalars(scalar, steps)?;
        let vectors = self.vectors(vector, steps)?;
        let mut remarks = Remarks::default();
        let filtered = vectors.into_iter().zip(numbers).map(|(vector, number)| {
            let kept = vector.into_iter().filter_map(|sample| {
                if sample.histogram.is_some() {
                    return native::with_scalar(binary, sample, number, scalar_left, &mut remarks);
                }
                let (lhs, rhs) = if scalar_left { (number, sample.value) } else { (sample.value, number) };
                // What a comparison keeps is the vector's value, on whichever side it stands.
                let value = binary.op.apply(lhs, rhs).value(binary.return_bool, sample.value)?;
                Some(Sample { value, ..sample })
            });
            kept.collect()
        });
        let filtered = filtered.collect();
        self.tell(span, remarks);
        self.without_name(span, binary, filtered)
    }

    fn without_name(&self, span: Span, binary: &Binary, vectors: Vectors) -> Result<Vectors, EvalError> {
        if !binary.drops_name() {
            return Ok(vectors);
        }
        let bare = |sample: &Sample| Sample { labels: nameless(&sample.labels), ..sample.clone() };
        relabelled(span, vectors, bare)
    }

    fn vector_operation(&mut self, span: Span, binary: &Binary, steps: Steps) -> Result<Vectors, EvalError> {
        let lhs = self.vectors(&binary.lhs, steps)?;
        let rhs = self.vectors(&binary.rhs, steps)?;
        let both = lhs.into_iter().zip(rhs);
        let mut remarks = Remarks::default();
        let made = both.map(|(lhs, rhs)| {
            let vector = match binary.op {
                BinaryOp::And => and(binary, lhs, &rhs),
                BinaryOp::Unless => unless(binary, lhs, &rhs),
                BinaryOp::Or => or(binary, lhs, rhs),
                _ => Matched::new(binary, &lhs, &rhs)?.combined(&mut remarks)?,
            };
            self.spend(vector.len(), span)?;
            distinct(span, vector)
        });
        let made = made.collect();
        self.tell(span, remarks);
        made
    }
}

/// Refuses labels that come twice in one vector.
fn distinct(span: Span, vector: Vec<Sample>) -> Result<Vec<Sample>, EvalError> {
    let mut labels: Vec<_> = vector.iter().map(|sample| &sample.labels).collect();
    if !labels.is_sorted_by(|one, next| one < next) {
        labels.sort();
        if let Some(pair) = labels.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(same_labelset(span, pair[0]));
        }
    }
    Ok(vector)
}

fn and(binary: &Binary, mut lhs: Vec<Sample>, rhs: &[Sample]) -> Vec<Sample> {
    let present = super::matching::signatures(&binary.matching.grouping, rhs);
    lhs.retain(|sample| present.contains(&binary.matching.grouping.signature(&sample.labels)));
    lhs
}

fn unless(binary: &Binary, mut lhs: Vec<Sample>, rhs: &[Sample]) -> Vec<Sample> {
    let present = super::matching::signatures(&binary.matching.grouping, rhs);
    lhs.retain(|sample| !present.contains(&binary.matching.grouping.signature(&sample.labels)));
    lhs
}

/// All of the left, and of the right what matches nothing there. The name does not count.
fn or(binary: &Binary, mut lhs: Vec<Sample>, mut rhs: Vec<Sample>) -> Vec<Sample> {
    let present = super::matching::signatures(&binary.matching.grouping, &lhs);
    rhs.retain(|sample| !present.contains(&binary.matching.grouping.signature(&sample.labels)));
    lhs.extend(rhs);
    lhs
}
