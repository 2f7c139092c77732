//! The newest point of each slot, and the points of those that are asked for a range.

use crate::promql::series::Point;

#[derive(Debug, Default)]
pub struct Recent {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    newest: Point,
    /// The longest range that is asked of it, ms; 0: none.
    range: i64,
    /// In rising order of time; those before `start` have fallen out of the range.
    points: Vec<Point>,
    start: usize,
}

impl Recent {
    /// A new slot of which no range is asked.
    pub fn add(&mut self) -> u32 {
        let none = Point { at: i64::MIN, value: 0.0 };
        self.slots.push(Slot { newest: none, range: 0, points: Vec::new(), start: 0 });
        (self.slots.len() - 1) as u32
    }

    /// The slot's points are asked for so far back.
    pub fn widen(&mut self, slot: u32, range: i64) {
        let slot = &mut self.slots[slot as usize];
        slot.range = slot.range.max(range);
    }

    pub fn push(&mut self, slot: u32, point: Point) {
        let slot = &mut self.slots[slot as usize];
        slot.newest = point;
        if slot.range == 0 {
            return;
        }
        let before = point.at.saturating_sub(slot.range);
        while slot.points.get(slot.start).is_some_and(|oldest| oldest.at <= before) {
            slot.start += 1;
        }
        // Moved seldom: at most one point is moved for each that came.
        if slot.start > slot.points.len() / 2 {
            slot.points.drain(..slot.start);
            slot.start = 0;
        }
        if !point.is_stale() {
            slot.points.push(point);
        }
    }

    /// The newest point, unless it is as old as the lookback or ends the series.
    pub fn newest(&self, slot: u32, at: i64, lookback: i64) -> Option<f64> {
        let point = self.slots[slot as usize].newest;
        (point.at > at.saturating_sub(lookback) && !point.is_stale()).then_some(point.value)
    }

    /// The points in `(at - range, at]`, no stale markers.
    pub fn window(&self, slot: u32, at: i64, range: i64) -> &[Point] {
        let slot = &self.slots[slot as usize];
        let after = at.saturating_sub(range);
        let points = &slot.points[slot.start..];
        &points[points.partition_point(|point| point.at <= after)..]
    }
}
