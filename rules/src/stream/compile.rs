//! Expressions to plans, for the series of one host.
//!
//! Labels are made here as the plain evaluator makes them, for every element that could ever be. Where all of them at once
//! are without a conflict, no part of them has one.

use std::collections::{BTreeMap, BTreeSet};

use super::ends::of_ends;
use super::plan::{Named, OverRange, Pairs, Place, Plans, Scalar, Set, Vector};
use super::recent::TableShape;
use super::{RANGE_MAX, bare};
use crate::promql::ast::{
    AggregateOp, Binary, BinaryOp, Card, Expr, ExprKind, Grouping, ValueType, VectorSelector, When,
};
use crate::promql::eval::parts;
use crate::promql::labels::{Labels, NAME};

/// A plan with the labels of its elements.
pub struct Compiled {
    pub vector: Vector,
    /// Of each element, in order.
    pub labels: Vec<Labels>,
}

/// Where each series is that a rule reads.
pub type Placed = Vec<(Labels, Place)>;

pub struct Compiler {
    /// All series by name and labels; the columns' and those of the past.
    series: BTreeMap<String, BTreeMap<Labels, Known>>,
    /// Series that two columns have.
    twice: BTreeSet<Labels>,
    slots: Vec<Slot>,
}

/// A series.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Block and place in its rows; none: of the past.
    column: Option<(u32, u32)>,
    /// Once it is asked for.
    slot: Option<u32>,
}

/// A series that a rule reads.
#[derive(Clone, Copy, Debug)]
struct Slot {
    column: Option<(u32, u32)>,
    /// The longest range that is asked of it, ms; 0: none.
    range: i64,
}

type Refused<T> = Result<T, String>;

impl Compiler {
    pub fn new<'a>(blocks: &[Vec<Option<Labels>>], past: impl Iterator<Item = &'a Labels>) -> Self {
        let mut series: BTreeMap<String, BTreeMap<Labels, Known>> = BTreeMap::new();
        let mut twice = BTreeSet::new();
        let name = |labels: &Labels| labels.get(NAME).unwrap_or_default().to_owned();
        for (block, columns) in (0..).zip(blocks) {
            for (place, labels) in (0..).zip(columns).filter_map(|(place, labels)| Some((place, labels.as_ref()?))) {
                let known = Known { column: Some((block, place)), slot: None };
                if series.entry(name(labels)).or_default().insert(labels.clone(), known).is_some() {
                    twice.insert(labels.clone());
                }
            }
        }
        for labels in past {
            series.entry(name(labels)).or_default().entry(labels.clone()).or_default();
        }
        Self { series, twice, slots: Vec::new() }
    }

    /// # Errors
    /// Why it is not compiled.
    pub fn rule(&mut self, expr: &Expr) -> Refused<Compiled> {
        if expr.value_type() != ValueType::Vector {
            return Err("it gives no vector".to_owned());
        }
        self.vector(expr)
    }

    /// The plans of all `rules`, and where each series is.
    pub fn finish(self, rules: Vec<Refused<Vector>>) -> (Plans, Placed) {
        let (tables, slots) = tables(&self.slots);
        let all = self.series.into_values().flatten();
        let placed = all.filter_map(|(labels, known)| Some((labels, slots[known.slot? as usize])));
        let placed = placed.collect();
        (Plans { rules, tables, slots: slots.into() }, placed)
    }

    fn vector(&mut self, expr: &Expr) -> Refused<Compiled> {
        match &expr.kind {
            ExprKind::Plus(inner) | ExprKind::Paren(inner) => self.vector(inner),
            ExprKind::Vector(selector) => {
                let (slots, labels) = self.select(selector)?;
                Ok(Compiled { vector: Vector::Newest { slots }, labels })
            }
            ExprKind::Negate(inner) => self.mapped(inner, Named { name: "-", function: |value| -value }),
            ExprKind::Call { function, args } => self.call(function.name, args),
            ExprKind::Aggregate { op, param: None, expr: inner, grouping } => self.reduced(*op, inner, grouping),
            ExprKind::Aggregate { op, .. } => Err(format!("'{}' is not compiled", op.as_str())),
            ExprKind::Binary(binary) => self.binary(binary),
            ExprKind::Subquery { .. } => Err("subqueries are not compiled".to_owned()),
            _ => Err("it is not compiled".to_owned()),
        }
    }

    /// The series in the order of their labels.
    fn select(&mut self, selector: &VectorSelector) -> Refused<(Box<[u32]>, Vec<Labels>)> {
        if selector.when != When::default() {
            return Err("'offset' and '@' are not compiled".to_owned());
        }
        let matchers = &selector.matchers;
        let Some(name) = matchers.metric() else { return Err(format!("{selector} names no metric")) };
        let (mut slots, mut found) = (Vec::new(), Vec::new());
        for (labels, known) in self.series.get_mut(name).into_iter().flatten() {
            if matchers.matches_by(|label| labels.get(label)) {
                if self.twice.contains(labels) {
                    return Err(format!("two columns are {labels}"));
                }
                let column = known.column;
                slots.push(*known.slot.get_or_insert_with(|| {
                    self.slots.push(Slot { column, range: 0 });
                    (self.slots.len() - 1) as u32
                }));
                found.push(labels.clone());
            }
        }
        Ok((slots.into(), found))
    }

    fn mapped(&mut self, inner: &Expr, function: Named<fn(f64) -> f64>) -> Refused<Compiled> {
        let inner = self.vector(inner)?;
        let labels = nameless(inner.labels)?;
        Ok(Compiled { vector: Vector::Mapped { inner: inner.vector.into(), function }, labels })
    }

    fn call(&mut self, name: &'static str, args: &[Expr]) -> Refused<Compiled> {
        if let (Some(function), [inner]) = (parts::of_number(name), args) {
            return self.mapped(inner, Named { name, function });
        }
        if let (Some(function), [range]) = (parts::of_window(name), args) {
            return self.windows(name, range, OverRange::Plain(Named { name, function: (function, of_ends(name)) }));
        }
        if let ("timestamp", [inner]) = (name, args)
            && let ExprKind::Vector(selector) = &bare(inner).kind
        {
            let (slots, labels) = self.select(selector)?;
            return Ok(Compiled { vector: Vector::ReadAt { slots }, labels: nameless(labels)? });
        }
        match (name, args) {
            ("predict_linear", [range, ahead]) => self.windows(name, range, OverRange::Predicted(scalar(ahead)?)),
            _ => Err(format!("{name}() is not compiled")),
        }
    }

    fn windows(&mut self, name: &str, range: &Expr, function: OverRange) -> Refused<Compiled> {
        let ExprKind::Matrix { selector, range } = &bare(range).kind else {
            return Err("subqueries are not compiled".to_owned());
        };
        if *range > RANGE_MAX {
            return Err(format!("ranges longer than {} are not compiled", crate::duration::format(RANGE_MAX)));
        }
        let (slots, labels) = self.select(selector)?;
        for slot in &slots {
            let asked = &mut self.slots[*slot as usize].range;
            *asked = (*range).max(*asked);
        }
        let labels = if matches!(name, "last_over_time" | "first_over_time") { labels } else { nameless(labels)? };
        Ok(Compiled { vector: Vector::Window { slots, range: *range, function }, labels })
    }

    fn reduced(&mut self, op: AggregateOp, inner: &Expr, grouping: &Grouping) -> Refused<Compiled> {
        let inner = self.vector(inner)?;
        let mut groups: BTreeMap<Vec<(&str, &str)>, Vec<u32>> = BTreeMap::new();
        for (place, labels) in (0..).zip(&inner.labels) {
            groups.entry(parts::signature(grouping, labels)).or_default().push(place);
        }
        let labels = groups.keys().map(|signature| Labels::new(signature.iter().copied())).collect();
        let groups = groups.into_values().map(Vec::into).collect();
        Ok(Compiled { vector: Vector::Reduced { op, inner: inner.vector.into(), groups }, labels })
    }

    fn binary(&mut self, binary: &Binary) -> Refused<Compiled> {
        let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        if binary.op.is_set() {
            return self.set(binary);
        }
        if is_scalar(&binary.lhs) || is_scalar(&binary.rhs) {
            let scalar_left = is_scalar(&binary.lhs);
            let (number, vector) = if scalar_left { (&binary.lhs, &binary.rhs) } else { (&binary.rhs, &binary.lhs) };
            let (scalar, inner) = (scalar(number)?, self.vector(vector)?);
            let labels = if binary.drops_name() { nameless(inner.labels)? } else { inner.labels };
            let (op, return_bool, inner) = (binary.op, binary.return_bool, inner.vector.into());
            return Ok(Compiled { vector: Vector::WithScalar { op, return_bool, scalar_left, scalar, inner }, labels });
        }
        let (lhs, rhs) = (self.vector(&binary.lhs)?, self.vector(&binary.rhs)?);
        pairs(binary, lhs, rhs)
    }

    fn set(&mut self, binary: &Binary) -> Refused<Compiled> {
        let lhs = self.vector(&binary.lhs)?;
        let rhs = match self.vector(&binary.rhs) {
            Ok(rhs) => Some(rhs),
            Err(_) if binary.op != BinaryOp::Or && never_fails(&binary.rhs) => None,
            Err(why) => return Err(why),
        };
        let grouping = &binary.matching.grouping;
        let mut known: BTreeMap<Vec<(&str, &str)>, u32> = BTreeMap::new();
        let mut group = |labels| {
            let next = known.len() as u32;
            *known.entry(parts::signature(grouping, labels)).or_insert(next)
        };
        let lhs_groups = lhs.labels.iter().map(&mut group).collect();
        let rhs_groups = rhs.iter().flat_map(|rhs| &rhs.labels).map(&mut group).collect();
        let count = known.len();
        let (rhs, rhs_labels) = rhs.map_or((None, Vec::new()), |rhs| (Some(rhs.vector), rhs.labels));
        let mut labels = lhs.labels;
        if binary.op == BinaryOp::Or {
            labels.extend(rhs_labels);
        }
        let set = Set { op: binary.op, lhs: lhs.vector, rhs, lhs_groups, rhs_groups, count };
        Ok(Compiled { vector: Vector::Set(Box::new(set)), labels })
    }
}

/// Slots of one block that are asked for the same range are a table; one of the past is a table by itself.
fn tables(slots: &[Slot]) -> (Vec<TableShape>, Vec<Place>) {
    let mut members: BTreeMap<(bool, u32, i64), Vec<(u32, usize)>> = BTreeMap::new();
    for (number, slot) in slots.iter().enumerate() {
        let (key, column) = match slot.column {
            Some((block, column)) => ((false, block, slot.range), column),
            None => ((true, number as u32, slot.range), 0),
        };
        members.entry(key).or_default().push((column, number));
    }
    let mut places = vec![Place::default(); slots.len()];
    let mut tables = Vec::with_capacity(members.len());
    for (table, ((is_past, block, range), mut columns)) in (0..).zip(members) {
        columns.sort_unstable();
        for (cell, (_, number)) in (0..).zip(&columns) {
            places[*number] = Place { table, cell };
        }
        let columns = columns.into_iter().map(|(column, _)| column).collect();
        tables.push(TableShape { block: (!is_past).then_some(block), range, columns });
    }
    (tables, places)
}

/// # Errors
/// Two elements could match the same one, or come to the same labels.
fn pairs(binary: &Binary, lhs: Compiled, rhs: Compiled) -> Refused<Compiled> {
    let many_right = binary.matching.card == Card::OneToMany;
    let (many, one) = if many_right { (rhs, lhs) } else { (lhs, rhs) };
    let signature = |labels| parts::signature(&binary.matching.grouping, labels);
    let mut partners: BTreeMap<Vec<(&str, &str)>, (u32, &Labels)> = BTreeMap::new();
    for (place, labels) in (0..).zip(&one.labels) {
        if partners.insert(signature(labels), (place, labels)).is_some() {
            return Err(format!("two series of one side of '{}' match the same", binary.op.as_str()));
        }
    }
    let (mut pairs, mut labels, mut taken) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (place, of_many) in (0..).zip(&many.labels) {
        let Some((partner, of_one)) = partners.get(&signature(of_many)) else { continue };
        if binary.matching.card == Card::OneToOne && !taken.insert(*partner) {
            return Err(format!("two series match the same one of '{}'", binary.op.as_str()));
        }
        pairs.push((place, *partner));
        labels.push(parts::matched_labels(binary, of_many, of_one));
    }
    unique(&labels)?;
    let (op, return_bool, pairs) = (binary.op, binary.return_bool, pairs.into());
    let pairs = Pairs { op, return_bool, many: many.vector, one: one.vector, many_right, pairs };
    Ok(Compiled { vector: Vector::Pairs(Box::new(pairs)), labels })
}

fn scalar(expr: &Expr) -> Refused<Scalar> {
    match &expr.kind {
        ExprKind::Number(value) | ExprKind::Duration(value) => Ok(Scalar::Number(value.to_bits())),
        ExprKind::Plus(inner) | ExprKind::Paren(inner) => scalar(inner),
        ExprKind::Negate(inner) => Ok(Scalar::Negated(Box::new(scalar(inner)?))),
        ExprKind::Binary(binary) => {
            Ok(Scalar::Operation(binary.op, Box::new((scalar(&binary.lhs)?, scalar(&binary.rhs)?))))
        }
        ExprKind::Call { function, .. } if function.name == "time" => Ok(Scalar::Time),
        ExprKind::Call { function, .. } => Err(format!("{}() is not compiled", function.name)),
        _ => Err("a scalar that is not compiled".to_owned()),
    }
}

fn nameless(labels: Vec<Labels>) -> Refused<Vec<Labels>> {
    let labels: Vec<Labels> = labels.iter().map(parts::nameless).collect();
    unique(&labels)?;
    Ok(labels)
}

fn unique(labels: &[Labels]) -> Refused<()> {
    let mut seen = BTreeSet::new();
    match labels.iter().find(|labels| !seen.insert(*labels)) {
        Some(twice) => Err(format!("two results could both be {twice}")),
        None => Ok(()),
    }
}

/// Whether the plain evaluator gives a vector of it, whatever the samples are: all its series are of one metric, so that they
/// differ without its name, and nothing is matched. Not everything of which that is true is known here.
fn never_fails(expr: &Expr) -> bool {
    let one_metric = |selector: &VectorSelector| selector.matchers.metric().is_some();
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) => true,
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => one_metric(selector),
        ExprKind::Subquery { expr, .. } | ExprKind::Paren(expr) | ExprKind::Plus(expr) | ExprKind::Negate(expr) => {
            never_fails(expr)
        }
        ExprKind::Aggregate { op, param: None, expr, .. } => *op != AggregateOp::CountValues && never_fails(expr),
        ExprKind::Aggregate { .. } | ExprKind::String(_) => false,
        ExprKind::Call { function, args } => {
            let known = parts::of_number(function.name).is_some() || parts::of_window(function.name).is_some();
            (known || matches!(function.name, "predict_linear" | "time")) && args.iter().all(never_fails)
        }
        ExprKind::Binary(binary) => {
            let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
            !binary.op.is_set()
                && (is_scalar(&binary.lhs) || is_scalar(&binary.rhs))
                && never_fails(&binary.lhs)
                && never_fails(&binary.rhs)
        }
    }
}
