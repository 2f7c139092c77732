//! A stretch of time of one block.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_rules::promql::series::Point;

use super::{Columns, Head, LateRow};
use crate::samples::chunk::Chunk;
use crate::samples::is_gap;

/// What of a block lies in a stretch of time, its times unpacked once for all columns.
pub(super) struct Window<'a> {
    after: i64,
    until: i64,
    chunks: Vec<(&'a Chunk, Vec<i64>)>,
    late: Vec<(i64, &'a LateRow)>,
    head: &'a Head,
    metrics: usize,
    places: BTreeMap<u32, usize>,
}

impl<'a> Window<'a> {
    pub fn of(columns: &'a Columns, after: i64, until: i64) -> Self {
        let overlaps = |chunk: &&Arc<Chunk>| chunk.from <= until && chunk.until > after;
        let chunks = columns.chunks.iter().filter(overlaps).map(|chunk| (chunk.as_ref(), chunk.times())).collect();
        let late = match after < until {
            true => columns.late.range(after.saturating_add(1)..=until).map(|(at, row)| (*at, row)).collect(),
            false => Vec::new(),
        };
        let places = columns.head.order.iter().copied().zip(0..).collect();
        Self { after, until, chunks, late, head: &columns.head, metrics: columns.indexed.metrics(), places }
    }

    pub fn points(&self, slot: u32, metric: usize) -> Vec<Point> {
        let mut points = Vec::new();
        let within = |at: i64| at > self.after && at <= self.until;
        for (chunk, times) in &self.chunks {
            let column = chunk.points(times, slot, metric).filter(|(at, _)| within(*at));
            points.extend(column.map(|(at, value)| Point { at, value }));
        }
        for (at, row) in &self.late {
            let place = row.slots.iter().position(|known| *known == slot);
            let value = place.map(|place| row.values[place * self.metrics + metric]);
            points.extend(value.filter(|value| !is_gap(*value)).map(|value| Point { at: *at, value }));
        }
        if let Some(place) = self.places.get(&slot) {
            let width = self.places.len() * self.metrics;
            let from = self.head.times.partition_point(|at| *at <= self.after);
            for (row, at) in self.head.times.iter().enumerate().skip(from).take_while(|(_, at)| **at <= self.until) {
                let value = self.head.values[row * width + place * self.metrics + metric];
                if !is_gap(value) {
                    points.push(Point { at: *at, value });
                }
            }
        }
        points
    }
}
