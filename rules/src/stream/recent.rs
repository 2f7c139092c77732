//! What a host's series were lately: the newest value of each that a rule reads, and rows of those that are asked for a range.
//!
//! Columns of one block that are asked for the same range make a *table*. Its rows lie behind each other, so that a report
//! appends to one place, and what a window begins and ends with is two rows. Of each column the row is noted in which it was
//! last out of the ordinary; a window that begins behind it is as its ends and its number of rows say.

use crate::promql::series::{Point, STALE};

/// The bits of the NaN that stands where a row has no value. Never leaves this module.
const ABSENT: u64 = 0x7ff0_0000_0000_0003;

/// Which columns of which block a table has; the same for many hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableShape {
    /// None: one series of the past that no column goes on.
    pub block: Option<u32>,
    /// The longest range that is asked of it, ms; 0: the newest values alone.
    pub range: i64,
    /// Places in the block's rows, rising.
    pub columns: Box<[u32]>,
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    /// By column.
    newest: Vec<f64>,
    /// When the newest row was read.
    at: i64,
    /// When each newest value was read; empty where all were in the newest row.
    own_at: Vec<i64>,
    /// Rows within the range, in rising order of time; those before `start` have fallen out of it.
    times: Vec<i64>,
    values: Vec<f64>,
    start: usize,
    /// Rows dropped before the first of `times`: rows are numbered from the first that ever came.
    dropped: u64,
    marks: Vec<Marks>,
}

/// Numbers of rows, by column.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    /// A window is without gap, end and fall where all its rows come behind this many.
    even: u64,
    /// … and of one and the same value where they come behind this many.
    moved: u64,
}

/// A window without gaps and falls, by its ends.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub first: Point,
    pub last: Point,
    /// Points, at least one.
    pub count: usize,
    /// All values have the same bits.
    pub unmoved: bool,
}

impl Table {
    pub fn new(shape: &TableShape) -> Self {
        let width = shape.columns.len();
        let windowed = if shape.range > 0 { width } else { 0 };
        Self {
            newest: vec![f64::from_bits(ABSENT); width],
            at: i64::MIN,
            own_at: Vec::new(),
            times: Vec::new(),
            values: Vec::new(),
            start: 0,
            dropped: 0,
            marks: vec![Marks::default(); windowed],
        }
    }

    /// With these points of each column, in rising order of time.
    pub fn filled(shape: &TableShape, columns: &[&[Point]]) -> Self {
        let mut table = Self::new(shape);
        let mut next = vec![0; columns.len()];
        loop {
            let heads = columns.iter().zip(&next).map(|(points, next)| points.get(*next));
            let Some(at) = heads.flatten().map(|point| point.at).min() else { return table };
            let row: Vec<Option<f64>> = columns
                .iter()
                .zip(&mut next)
                .map(|(points, next)| {
                    let point = points.get(*next).filter(|point| point.at == at)?;
                    *next += 1;
                    Some(point.value)
                })
                .collect();
            table.push(shape.range, at, |cell| row[cell]);
        }
    }

    /// Takes a row that is newer than all before, of a table that is asked for `range`; `value` gives that of a column.
    pub fn push(&mut self, range: i64, at: i64, value: impl Fn(usize) -> Option<f64>) {
        if range > 0 {
            self.append(range, at, &value);
        }
        let before = std::mem::replace(&mut self.at, at);
        let width = self.newest.len();
        let mut missing = 0;
        for cell in 0..width {
            match value(cell) {
                Some(value) => {
                    self.newest[cell] = value;
                    if let Some(own) = self.own_at.get_mut(cell) {
                        *own = at;
                    }
                }
                None => {
                    missing += 1;
                    if self.own_at.is_empty() {
                        self.own_at = vec![before; width];
                        self.own_at[..cell].fill(at);
                    }
                }
            }
        }
        if missing == 0 {
            self.own_at = Vec::new();
        }
    }

    fn append(&mut self, range: i64, at: i64, value: &impl Fn(usize) -> Option<f64>) {
        let width = self.newest.len();
        self.drop_before(at.saturating_sub(range), width);
        let row = self.dropped + self.times.len() as u64;
        let from = self.values.len();
        if self.values.capacity() < from + width {
            // As many more as it has by an eighth: a table is as large as its range after a while.
            self.values.reserve_exact((from / 8).max(2 * width));
        }
        self.values.extend((0..width).map(|cell| value(cell).unwrap_or(f64::from_bits(ABSENT))));
        self.times.push(at);
        let (earlier, now) = self.values.split_at(from);
        let earlier = earlier.get(from.wrapping_sub(width)..).filter(|_| self.times.len() > 1);
        for (cell, (value, marks)) in now.iter().zip(&mut self.marks).enumerate() {
            let before = earlier.map(|earlier| earlier[cell]);
            if is_no_value(*value) {
                (marks.even, marks.moved) = (row + 1, row + 1);
            } else if before.is_none_or(|before| before.to_bits() != value.to_bits()) {
                marks.moved = row;
                if before.is_some_and(|before| *value < before) {
                    marks.even = row;
                }
            }
        }
    }

    /// Rows until then have fallen out. Moved seldom: at most eight rows for each that comes.
    fn drop_before(&mut self, until: i64, width: usize) {
        while self.times.get(self.start).is_some_and(|oldest| *oldest <= until) {
            self.start += 1;
        }
        if self.start > self.times.len() / 8 {
            self.times.drain(..self.start);
            self.values.drain(..self.start * width);
            self.dropped += self.start as u64;
            self.start = 0;
        }
    }

    /// The column's newest point, if it is newer than `after` and does not end the series.
    pub fn newest(&self, cell: u32, after: i64) -> Option<Point> {
        let value = self.newest[cell as usize];
        let at = self.own_at.get(cell as usize).copied().unwrap_or(self.at);
        (at > after && !is_no_value(value)).then_some(Point { at, value })
    }

    /// The first row behind this instant, as [`Table::ends`] and [`Table::points`] take it.
    pub fn first_after(&self, after: i64) -> usize {
        self.start + self.times[self.start..].partition_point(|at| *at <= after)
    }

    /// The column's window from row `first` on; none where its ends do not say what it is.
    pub fn ends(&self, cell: u32, first: usize) -> Option<Ends> {
        let (row, marks) = (self.dropped + first as u64, self.marks[cell as usize]);
        let last = self.times.len().checked_sub(1).filter(|last| *last >= first && marks.even <= row)?;
        let point = |row| Point { at: self.times[row], value: self.value(row, cell) };
        Some(Ends { first: point(first), last: point(last), count: last - first + 1, unmoved: marks.moved <= row })
    }

    /// The column's points from row `first` on, no stale markers.
    pub fn points(&self, cell: u32, first: usize, into: &mut Vec<Point>) {
        into.clear();
        let rows = (first..self.times.len()).map(|row| Point { at: self.times[row], value: self.value(row, cell) });
        into.extend(rows.filter(|point| !is_no_value(point.value)));
    }

    fn value(&self, row: usize, cell: u32) -> f64 {
        self.values[row * self.newest.len() + cell as usize]
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let numbers = self.newest.capacity() + self.own_at.capacity() + self.times.capacity() + self.values.capacity();
        size_of::<Self>() + 8 * numbers + size_of::<Marks>() * self.marks.capacity()
    }
}

fn is_no_value(value: f64) -> bool {
    matches!(value.to_bits(), ABSENT | STALE)
}
