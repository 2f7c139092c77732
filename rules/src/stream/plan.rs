//! What an expression is compiled to: elements have places instead of labels.

use std::hash::{Hash, Hasher};

use super::ends::OfEnds;
use super::recent::TableShape;
use crate::promql::ast::{AggregateOp, BinaryOp};
use crate::promql::eval::parts::OfWindow;

/// The plans of all rules for hosts of one shape. No label is in it, so that hosts alike share it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Plans {
    /// By the rule's place; why it is not compiled where it is not.
    pub rules: Vec<Result<Vector, String>>,
    /// Block behind block; those of the past are the last.
    pub tables: Vec<TableShape>,
    /// Where each slot is.
    pub slots: Box<[Place]>,
}

/// A column of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    pub table: u32,
    pub cell: u32,
}

/// Gives one value or none for each of its elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Vector {
    /// The newest point of each slot.
    Newest {
        slots: Box<[u32]>,
    },
    /// When each slot's newest point was read, in seconds.
    ReadAt {
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
        function: Named<fn(f64) -> f64>,
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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pairs {
    pub op: BinaryOp,
    pub return_bool: bool,
    pub many: Vector,
    pub one: Vector,
    /// The "many" side stands right.
    pub many_right: bool,
    pub pairs: Box<[(u32, u32)]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OverRange {
    /// Of all its points, and where it may be of its ends alone.
    Plain(Named<(OfWindow, Option<OfEnds>)>),
    /// `predict_linear(…, seconds)`.
    Predicted(Scalar),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// The bits of a number.
    Number(u64),
    Time,
    Negated(Box<Self>),
    Operation(BinaryOp, Box<(Self, Self)>),
}

/// A function of the language: the name says which.
#[derive(Clone, Copy, Debug)]
pub struct Named<F> {
    pub name: &'static str,
    pub function: F,
}

impl<F> PartialEq for Named<F> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<F> Eq for Named<F> {}

impl<F> Hash for Named<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
