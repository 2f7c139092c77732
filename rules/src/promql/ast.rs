//! Expressions after parsing. Every node knows the bytes of the text that it was read from.
//!
//! Durations and instants are milliseconds.

use crate::selector::Selector;

/// Bytes `from..to` of the expression's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub from: usize,
    pub to: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

impl Expr {
    /// Hands every part to `visit`, from the outside in and from left to right, itself first.
    pub fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Self)) {
        visit(self);
        match &self.kind {
            ExprKind::Number(_)
            | ExprKind::Duration(_)
            | ExprKind::String(_)
            | ExprKind::Vector(_)
            | ExprKind::Matrix { .. } => {}
            ExprKind::Subquery { expr, .. } | ExprKind::Negate(expr) | ExprKind::Plus(expr) | ExprKind::Paren(expr) => {
                expr.walk(visit)
            }
            ExprKind::Call { args, .. } => args.iter().for_each(|arg| arg.walk(visit)),
            ExprKind::Aggregate { param, expr, .. } => {
                param.iter().for_each(|param| param.walk(visit));
                expr.walk(visit);
            }
            ExprKind::Binary(binary) => {
                binary.lhs.walk(visit);
                binary.rhs.walk(visit);
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    Number(f64),
    /// A number that was written as a duration, in seconds: `5m` is 300.
    Duration(f64),
    String(String),
    /// An instant vector: the newest point of each series within the lookback.
    Vector(VectorSelector),
    /// A range vector: the points of each series in `(t - range, t]`.
    Matrix {
        selector: VectorSelector,
        range: i64,
    },
    /// `expr[range:step]`: an expression evaluated at each multiple of `step` in `(t - range, t]`.
    Subquery {
        expr: Box<Expr>,
        range: i64,
        step: Option<i64>,
        when: When,
    },
    Call {
        function: &'static Function,
        args: Vec<Expr>,
    },
    Aggregate {
        op: AggregateOp,
        param: Option<Box<Expr>>,
        expr: Box<Expr>,
        grouping: Grouping,
    },
    Binary(Box<Binary>),
    /// `-expr`
    Negate(Box<Expr>),
    /// `+expr`, which is `expr`.
    Plus(Box<Expr>),
    Paren(Box<Expr>),
}

/// Which series, and how far from the instant of evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorSelector {
    /// All matchers; a metric name is the first of them, as `__name__="…"`.
    pub matchers: Selector,
    /// Whether the metric's name stood before the braces.
    pub is_named: bool,
    pub when: When,
}

/// `offset` and `@`, in whichever order they were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Looks back so far (negative: ahead).
    pub offset: i64,
    pub at: Option<At>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since 1970.
    Time(i64),
    Start,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    /// Where the operator stands.
    pub op_span: Span,
    pub lhs: Expr,
    pub rhs: Expr,
    /// `bool`: comparisons give 0 or 1 instead of filtering.
    pub return_bool: bool,
    pub matching: Matching,
}

/// How the vectors on the two sides are matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    pub grouping: Grouping,
    pub card: Card,
    /// The labels in `group_left(…)` or `group_right(…)`, taken from the "one" side.
    pub include: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Card {
    #[default]
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
}

/// `by (…)` or `on (…)`, `without (…)` or `ignoring (…)`; nothing written: `by ()` for an aggregation and `ignoring ()` for an
/// operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    Only(Vec<String>),
    Except(Vec<String>),
}

impl Default for Grouping {
    fn default() -> Self {
        Self::Except(Vec::new())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Unless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    /// Experimental, as is the next.
    Limitk,
    LimitRatio,
}

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Scalar,
    String,
    Vector,
    Matrix,
}

/// A function's signature. The table of all of them is the parser's; the evaluator finds the body by `name`.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    /// Types of the arguments in order.
    pub args: &'static [ValueType],
    /// So many of the last arguments may be left out; `variadic`: the last may also be repeated.
    pub optional: usize,
    pub variadic: bool,
    pub gives: ValueType,
    /// Taken only with `promql-experimental-functions`.
    pub experimental: bool,
}
