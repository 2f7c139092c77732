//! What an expression gives, and what may not stand together.

use std::fmt;

use super::ast::{AggregateOp, Binary, BinaryOp, Card, Expr, ExprKind, Function, Grouping, Span, ValueType};
use super::parse::SyntaxFault;
use ValueType::{Matrix, Scalar, String, Vector};

/// Stands for a function that is not known, after its fault was told. No expression with it leaves the parser.
pub(super) static UNKNOWN: Function =
    Function { name: "", args: &[], optional: 0, variadic: true, gives: Vector, experimental: false };

impl Expr {
    /// What its evaluation gives.
    pub fn value_type(&self) -> ValueType {
        known_type(self).unwrap_or(Vector)
    }
}

/// None behind a fault: then nothing more is said about types.
fn known_type(expr: &Expr) -> Option<ValueType> {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) => Some(Scalar),
        ExprKind::String(_) => Some(String),
        ExprKind::Vector(_) | ExprKind::Aggregate { .. } => Some(Vector),
        ExprKind::Matrix { .. } | ExprKind::Subquery { .. } => Some(Matrix),
        ExprKind::Call { function, .. } => (!std::ptr::eq(*function, &UNKNOWN)).then_some(function.gives),
        ExprKind::Negate(expr) | ExprKind::Plus(expr) | ExprKind::Paren(expr) => known_type(expr),
        ExprKind::Binary(binary) => match (known_type(&binary.lhs)?, known_type(&binary.rhs)?) {
            (Scalar, Scalar) => Some(Scalar),
            _ => Some(Vector),
        },
    }
}

impl fmt::Display for ValueType {
    /// As in a sentence: `an instant vector`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scalar => "a scalar",
            String => "a string",
            Vector => "an instant vector",
            Matrix => "a range vector",
        })
    }
}

/// What would make `found` fit where `wanted` is expected.
fn help(wanted: ValueType, found: ValueType) -> &'static str {
    match (wanted, found) {
        (Matrix, Vector) => "; give it a range, for example [5m]",
        (Vector, Matrix) => "; take a value from the range, for example by rate() or avg_over_time()",
        (Vector, Scalar) => "; vector() makes one of a scalar",
        (Scalar, Vector) => "; scalar() makes one of a vector with one element",
        _ => "",
    }
}

/// A fault where `expr` gives something else than `wanted`.
pub(super) fn expect(expr: &Expr, wanted: ValueType, of: &str) -> Option<SyntaxFault> {
    let found = known_type(expr).filter(|found| *found != wanted)?;
    Some(SyntaxFault::new(expr.span, format!("{of} is {wanted}, not {found}{}", help(wanted, found))))
}

/// A fault where `expr` is neither scalar nor instant vector.
pub(super) fn expect_arithmetic(expr: &Expr, of: &str) -> Option<SyntaxFault> {
    let found = known_type(expr).filter(|found| !matches!(found, Scalar | Vector))?;
    let message = format!("{of} is a scalar or an instant vector, not {found}{}", help(Vector, found));
    Some(SyntaxFault::new(expr.span, message))
}

/// Whether it surely gives an instant vector, or is behind a fault.
pub(super) fn may_be_vector(expr: &Expr) -> bool {
    known_type(expr).is_none_or(|found| found == Vector)
}

/// Whether it surely gives no instant vector.
pub(super) fn is_no_vector(expr: &Expr) -> Option<ValueType> {
    known_type(expr).filter(|found| *found != Vector)
}

pub(super) fn call(function: &Function, args: &[Expr], name: Span) -> Vec<SyntaxFault> {
    let (least, most) = function.count();
    if args.len() < least || most.is_some_and(|most| args.len() > most) {
        let wanted = match (least, most) {
            (least, None) => format!("at least {}", arguments(least)),
            (least, Some(most)) if least == most => arguments(most),
            (least, Some(most)) => format!("{least} or {}", arguments(most)),
        };
        return vec![SyntaxFault::new(name, format!("'{}' takes {wanted}, not {}", function.name, args.len()))];
    }
    let places = args.iter().enumerate();
    let faults = places.filter_map(|(place, arg)| {
        let of = match args.len() {
            1 => format!("the argument of '{}'", function.name),
            _ => format!("argument {} of '{}'", place + 1, function.name),
        };
        expect(arg, function.arg(place)?, &of)
    });
    faults.collect()
}

fn arguments(count: usize) -> std::string::String {
    match count {
        0 => "no argument".to_owned(),
        1 => "1 argument".to_owned(),
        count => format!("{count} arguments"),
    }
}

pub(super) fn aggregate(op: AggregateOp, param: Option<&Expr>, expr: &Expr) -> Vec<SyntaxFault> {
    let of = |what: &str| format!("{what} of '{}'", op.as_str());
    let wanted = if op == AggregateOp::CountValues { String } else { Scalar };
    let param = param.and_then(|param| expect(param, wanted, &of("the parameter")));
    param.into_iter().chain(expect(expr, Vector, &of("the argument"))).collect()
}

pub(super) fn binary(binary: &Binary) -> Vec<SyntaxFault> {
    let mut faults = Vec::new();
    let op = binary.op;
    let of = format!("each side of '{}'", op.as_str());
    faults.extend(expect_arithmetic(&binary.lhs, &of));
    faults.extend(expect_arithmetic(&binary.rhs, &of));
    let mut wrong = |message: std::string::String| faults.push(SyntaxFault::new(binary.op_span, message));
    if binary.return_bool && !op.is_comparison() {
        wrong(format!("'bool' belongs to comparisons only, not to '{}'", op.as_str()));
    }
    let sides = (known_type(&binary.lhs), known_type(&binary.rhs));
    if sides == (Some(Scalar), Some(Scalar)) && op.is_comparison() && !binary.return_bool {
        wrong(format!("a comparison of scalars needs 'bool': write {} bool", op.as_str()));
    }
    let has_scalar = sides.0 == Some(Scalar) || sides.1 == Some(Scalar);
    if op.is_set() && has_scalar {
        wrong(format!("'{}' works on instant vectors, not on scalars; vector() makes one of a scalar", op.as_str()));
    }
    if op.is_set() && binary.matching.card != Card::OneToOne {
        wrong(format!("'{}' takes no group_left or group_right: it matches many to many", op.as_str()));
    }
    let (Grouping::Only(named) | Grouping::Except(named)) = &binary.matching.grouping;
    if has_scalar && !op.is_set() && !named.is_empty() {
        wrong("labels are matched between instant vectors only; one side is a scalar".to_owned());
    }
    if let Grouping::Only(on) = &binary.matching.grouping
        && let Some(twice) = binary.matching.include.iter().find(|label| on.contains(label))
    {
        wrong(format!("the label '{twice}' stands in on (…) and in the grouping at once"));
    }
    faults
}

impl BinaryOp {
    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}
