//! What an expression is compiled to: elements have places instead of labels.

use crate::promql::ast::{AggregateOp, BinaryOp};
use crate::promql::eval::parts::OfWindow;

/// Gives one value or none for each of its elements.
#[derive(Clone, Debug)]
pub enum Vector {
    /// The newest point of each slot.
    Newest {
        slots: Box<[u32]>,
    },
    /// A function of each slot's points in the range, ms.
    Window {
        slots: Box<[u32]>,
        range: i64,
        function: OverRange,
    },
    Mapped {
        inner: Box<Self>,
        function: fn(f64) -> f64,
    },
    WithScalar {
        op: BinaryOp,
        return_bool: bool,
        scalar_left: bool,
        scalar: Scalar,
        inner: Box<Self>,
    },
    /// An operator on pairs of (many, one), in the order of the "many" side.
    Pairs(Box<Pairs>),
    /// `and`, `or`, `unless` by the groups that elements belong to.
    Set(Box<Set>),
    /// A group's elements in their order.
    Reduced {
        op: AggregateOp,
        inner: Box<Self>,
        groups: Box<[Box<[u32]>]>,
    },
}

#[derive(Clone, Debug)]
pub struct Pairs {
    pub op: BinaryOp,
    pub return_bool: bool,
    pub many: Vector,
    pub one: Vector,
    /// The "many" side stands right.
    pub many_right: bool,
    pub pairs: Box<[(u32, u32)]>,
}

#[derive(Clone, Debug)]
pub struct Set {
    pub op: BinaryOp,
    pub lhs: Vector,
    /// None: not compiled, but sure not to fail.
    pub rhs: Option<Vector>,
    /// Of each element of a side, its group's number; no group is a side's alone but those of `or`.
    pub lhs_groups: Box<[u32]>,
    pub rhs_groups: Box<[u32]>,
    pub count: usize,
}

/// What is made of a window.
#[derive(Clone, Debug)]
pub enum OverRange {
    Plain(OfWindow),
    /// `predict_linear(…, seconds)`.
    Predicted(Scalar),
}

#[derive(Clone, Debug)]
pub enum Scalar {
    Number(f64),
    Time,
    Negated(Box<Self>),
    Operation(BinaryOp, Box<(Self, Self)>),
}
