//! A stretch of one block's columns, packed; it changes no more. Memory and block files hold the same bytes.

use super::is_gap;
use super::packed::{Values, pack_times, pack_values, unpack_times};

/// Packed columns: for each slot (an instance of the block, by a number of the block's own) and each metric one, over one
/// column of times.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Rising.
    pub slots: Box<[u32]>,
    pub metrics: usize,
    pub count: usize,
    /// Times of the first and the last row.
    pub from: i64,
    pub until: i64,
    times: Box<[u8]>,
    /// Where each column ends in `columns`; slot by slot, metric by metric.
    ends: Box<[u32]>,
    columns: Box<[u8]>,
}

/// Rows to be packed: `values` holds `slots × metrics` of them for each of the rising `times`.
pub struct Rows<'a> {
    pub slots: &'a [u32],
    pub metrics: usize,
    pub times: &'a [i64],
    pub values: &'a [f64],
}

/// A chunk as a block file holds it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StoredChunk {
    /// Which of the file's shapes it has.
    #[prost(uint32, tag = "1")]
    pub shape: u32,
    #[prost(uint32, tag = "2")]
    pub count: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub times: Vec<u8>,
    /// Bytes of each column, in order.
    #[prost(uint32, repeated, tag = "4")]
    pub lengths: Vec<u32>,
    #[prost(bytes = "vec", tag = "5")]
    pub columns: Vec<u8>,
}

impl StoredChunk {
    /// The time of its last row.
    pub fn until(&self) -> i64 {
        unpack_times(&self.times, self.count as usize).last().copied().unwrap_or(i64::MIN)
    }
}

impl Chunk {
    /// Packs rows; `None` where there are none.
    pub fn pack(rows: &Rows<'_>) -> Option<Self> {
        let (from, until) = (*rows.times.first()?, *rows.times.last()?);
        let width = rows.slots.len() * rows.metrics;
        let mut order: Vec<(u32, usize)> = rows.slots.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let (mut times, mut columns, mut ends) = (Vec::new(), Vec::new(), Vec::with_capacity(width));
        pack_times(rows.times, &mut times);
        for (_, place) in &order {
            for metric in 0..rows.metrics {
                let column = rows.values.iter().skip(place * rows.metrics + metric).step_by(width.max(1));
                pack_values(column.copied(), &mut columns);
                ends.push(u32::try_from(columns.len()).expect("the head is cut long before 4 GB"));
            }
        }
        Some(Self {
            slots: order.into_iter().map(|(slot, _)| slot).collect(),
            metrics: rows.metrics,
            count: rows.times.len(),
            from,
            until,
            times: times.into(),
            ends: ends.into(),
            columns: columns.into(),
        })
    }

    pub fn times(&self) -> Vec<i64> {
        unpack_times(&self.times, self.count)
    }

    /// The times and values of one column within `(after, until]`, gaps left out.
    pub fn points(&self, times: &[i64], slot: u32, metric: usize) -> impl Iterator<Item = (i64, f64)> {
        let bytes = self.column(slot, metric).unwrap_or_default();
        times.iter().copied().zip(Values::new(bytes, self.count)).filter(|(_, value)| !is_gap(*value))
    }

    fn column(&self, slot: u32, metric: usize) -> Option<&[u8]> {
        let place = self.slots.binary_search(&slot).ok()? * self.metrics + metric;
        let from = if place == 0 { 0 } else { *self.ends.get(place - 1)? as usize };
        self.columns.get(from..*self.ends.get(place)? as usize)
    }

    /// Samples in it, gaps counted.
    pub fn samples(&self) -> usize {
        self.count * self.slots.len() * self.metrics
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.times.len() + self.columns.len() + 4 * (self.ends.len() + self.slots.len())
    }

    pub fn stored(&self, shape: u32) -> StoredChunk {
        let before = std::iter::once(&0).chain(self.ends.iter());
        StoredChunk {
            shape,
            count: u32::try_from(self.count).unwrap_or(u32::MAX),
            times: self.times.to_vec(),
            lengths: self.ends.iter().zip(before).map(|(end, before)| end - before).collect(),
            columns: self.columns.to_vec(),
        }
    }

    /// A chunk as a file held it; `slots` are those of its shape's instances, in their order.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn restore(stored: StoredChunk, slots: &[u32], metrics: usize) -> Result<Self, String> {
        let times = unpack_times(&stored.times, stored.count as usize);
        let (Some(from), Some(until)) = (times.first().copied(), times.last().copied()) else {
            return Err("a chunk without rows".to_owned());
        };
        if times.len() != stored.count as usize || !times.is_sorted_by(|a, b| a < b) {
            return Err(format!("a chunk of {} rows with {} rising times", stored.count, times.len()));
        }
        let due = slots.len() * metrics;
        if stored.lengths.len() != due {
            return Err(format!("a chunk of {} columns, its shape has {due}", stored.lengths.len()));
        }
        let mut rest = stored.columns.as_slice();
        let mut of_slot: Vec<(u32, Vec<&[u8]>)> = Vec::with_capacity(slots.len());
        for (place, slot) in slots.iter().enumerate() {
            let mut columns = Vec::with_capacity(metrics);
            for length in &stored.lengths[place * metrics..(place + 1) * metrics] {
                let (column, behind) = rest.split_at_checked(*length as usize).ok_or("a chunk that ends too early")?;
                columns.push(column);
                rest = behind;
            }
            of_slot.push((*slot, columns));
        }
        of_slot.sort();
        if of_slot.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err("a chunk that has an instance twice".to_owned());
        }
        let (mut ends, mut columns) = (Vec::with_capacity(due), Vec::with_capacity(stored.columns.len()));
        for column in of_slot.iter().flat_map(|(_, columns)| columns) {
            columns.extend_from_slice(column);
            ends.push(columns.len() as u32);
        }
        Ok(Self {
            slots: of_slot.iter().map(|(slot, _)| *slot).collect(),
            metrics,
            count: times.len(),
            from,
            until,
            times: stored.times.into(),
            ends: ends.into(),
            columns: columns.into(),
        })
    }
}
