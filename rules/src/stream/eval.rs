//! Plans at an instant.

use super::plan::{OverRange, Pairs, Place, Scalar, Set, Vector};
use super::recent::Table;
use crate::promql::ast::{AggregateOp, BinaryOp};
use crate::promql::eval::parts::{self, Window};
use crate::promql::series::Point;

/// One evaluation.
pub struct Machine<'a> {
    pub tables: &'a [Table],
    pub slots: &'a [Place],
    pub at: i64,
    pub lookback: i64,
    pub pool: &'a mut Pool,
}

/// Buffers to use again.
#[derive(Debug, Default)]
pub struct Pool {
    values: Vec<Vec<Option<f64>>>,
    points: Vec<Point>,
}

impl Machine<'_> {
    /// One value or none an element; none at all where a part is asked that is not compiled.
    pub fn vector(&mut self, vector: &Vector) -> Option<Vec<Option<f64>>> {
        match vector {
            Vector::Newest { slots } => {
                let mut values = self.buffer();
                values.extend(slots.iter().map(|slot| self.newest(*slot).map(|point| point.value)));
                Some(values)
            }
            Vector::ReadAt { slots } => {
                let mut values = self.buffer();
                values.extend(slots.iter().map(|slot| self.newest(*slot).map(|point| point.at as f64 / 1000.0)));
                Some(values)
            }
            Vector::Window { slots, range, function } => Some(self.windows(slots, *range, function)),
            Vector::Mapped { inner, function } => {
                let mut values = self.vector(inner)?;
                values.iter_mut().flatten().for_each(|value| *value = (function.function)(*value));
                Some(values)
            }
            Vector::WithScalar { op, return_bool, scalar_left, scalar, inner } => {
                let number = self.scalar(scalar);
                let mut values = self.vector(inner)?;
                for slot in &mut values {
                    *slot = slot.and_then(|value| {
                        let (lhs, rhs) = if *scalar_left { (number, value) } else { (value, number) };
                        parts::apply(*op, lhs, rhs, *return_bool, value)
                    });
                }
                Some(values)
            }
            Vector::Pairs(pairs) => self.pairs(pairs),
            Vector::Set(set) => self.set(set),
            Vector::Reduced { op, inner, groups } => {
                let values = self.vector(inner)?;
                let mut reduced = self.buffer();
                reduced.extend(groups.iter().map(|group| reduce(*op, &values, group)));
                self.done(values);
                Some(reduced)
            }
        }
    }

    /// The newest point, unless it is as old as the lookback or ends the series.
    fn newest(&self, slot: u32) -> Option<Point> {
        let place = self.slots[slot as usize];
        self.tables[place.table as usize].newest(place.cell, self.at.saturating_sub(self.lookback))
    }

    fn windows(&mut self, slots: &[u32], range: i64, function: &OverRange) -> Vec<Option<f64>> {
        let mut values = self.buffer();
        let from = self.at.saturating_sub(range);
        let ahead = match function {
            OverRange::Plain(_) => 0.0,
            OverRange::Predicted(ahead) => self.scalar(ahead),
        };
        // Where a window begins is looked for once a table.
        let mut begun: Option<(u32, usize)> = None;
        for slot in slots {
            let place = self.slots[*slot as usize];
            let table = &self.tables[place.table as usize];
            let known = begun.filter(|(table, _)| *table == place.table).map(|(_, first)| first);
            let first = known.unwrap_or_else(|| table.first_after(from));
            begun = Some((place.table, first));
            values.push(self.window(table, place.cell, first, from, (function, ahead)));
        }
        values
    }

    fn window(
        &mut self,
        table: &Table,
        cell: u32,
        first: usize,
        from: i64,
        (function, ahead): (&OverRange, f64),
    ) -> Option<f64> {
        if let OverRange::Plain(named) = function
            && let Some(of_ends) = named.function.1
            && let Some(ends) = table.ends(cell, first)
            && let Some(value) = of_ends(&ends, from, self.at)
        {
            return value;
        }
        table.points(cell, first, &mut self.pool.points);
        let window = Window { points: &self.pool.points, from, to: self.at, at: self.at };
        match function {
            _ if window.points.is_empty() => None,
            OverRange::Plain(named) => (named.function.0)(&window),
            OverRange::Predicted(_) => parts::predict(&window, ahead),
        }
    }

    fn pairs(&mut self, pairs: &Pairs) -> Option<Vec<Option<f64>>> {
        let many = self.vector(&pairs.many)?;
        let Some(one) = self.vector(&pairs.one) else {
            self.done(many);
            return None;
        };
        let mut values = self.buffer();
        values.extend(pairs.pairs.iter().map(|(of_many, of_one)| {
            let (many, one) = (many[*of_many as usize]?, one[*of_one as usize]?);
            let (lhs, rhs) = if pairs.many_right { (one, many) } else { (many, one) };
            parts::apply(pairs.op, lhs, rhs, pairs.return_bool, lhs)
        }));
        self.done(many);
        self.done(one);
        Some(values)
    }

    fn set(&mut self, set: &Set) -> Option<Vec<Option<f64>>> {
        let mut lhs = self.vector(&set.lhs)?;
        if set.op != BinaryOp::Or && lhs.iter().all(Option::is_none) {
            return Some(lhs);
        }
        let Some(mut rhs) = set.rhs.as_ref().and_then(|rhs| self.vector(rhs)) else {
            self.done(lhs);
            return None;
        };
        let mut present = self.buffer();
        present.resize(set.count, None);
        let (asked, asked_groups) =
            if set.op == BinaryOp::Or { (&lhs, &set.lhs_groups) } else { (&rhs, &set.rhs_groups) };
        for (value, group) in asked.iter().zip(asked_groups) {
            if value.is_some() {
                present[*group as usize] = Some(1.0);
            }
        }
        let wanted = set.op == BinaryOp::And;
        let (filtered, groups) =
            if set.op == BinaryOp::Or { (&mut rhs, &set.rhs_groups) } else { (&mut lhs, &set.lhs_groups) };
        for (value, group) in filtered.iter_mut().zip(groups) {
            if present[*group as usize].is_some() != wanted {
                *value = None;
            }
        }
        if set.op == BinaryOp::Or {
            lhs.extend_from_slice(&rhs);
        }
        self.done(present);
        self.done(rhs);
        Some(lhs)
    }

    fn scalar(&self, scalar: &Scalar) -> f64 {
        match scalar {
            Scalar::Number(bits) => f64::from_bits(*bits),
            Scalar::Time => self.at as f64 / 1000.0,
            Scalar::Negated(inner) => -self.scalar(inner),
            Scalar::Operation(op, sides) => {
                let (lhs, rhs) = (self.scalar(&sides.0), self.scalar(&sides.1));
                parts::apply(*op, lhs, rhs, true, lhs).unwrap_or(f64::NAN)
            }
        }
    }

    fn buffer(&mut self) -> Vec<Option<f64>> {
        self.pool.values.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn done(&mut self, mut values: Vec<Option<f64>>) {
        values.clear();
        self.pool.values.push(values);
    }
}

fn reduce(op: AggregateOp, values: &[Option<f64>], group: &[u32]) -> Option<f64> {
    let present = group.iter().filter_map(|place| values[*place as usize]);
    present.clone().next()?;
    Some(parts::reduced(op, present))
}
