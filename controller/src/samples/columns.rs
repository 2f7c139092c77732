//! One block's columns on one host, from layout to layout.
//!
//! The head is a plain table, row behind row as reports bring them. An instance that comes gets a column behind the others,
//! one that goes keeps its column until the head is cut; so a change of the layout costs one copy of the head at most.
//!
//! - [`packing`]: from open rows to chunks, block files and back.
//! - [`reading`]: what is asked of them.
//! - [`window`]: a stretch of time of all that a block holds.

mod packing;
mod reading;
mod window;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_protocol::layout::{Flag, Instance};
use watchkeep_rules::promql::labels::{Labels, Pair};
use watchkeep_rules::promql::series::STALE;

use super::chunk::Chunk;
use super::gap;
use super::progress::Progress;
use super::template::Indexed;

pub use reading::LiveRow;
#[cfg(test)]
pub use reading::{instance_labels, labels_of};

/// Rows of the head, and of what came late, after which it is cut without waiting for the seal: a host that catches up
/// brings thousands.
pub const ROWS: usize = 256;

/// Rows for which a head takes room at a time, at least: a minute of a host that reports every 15 s.
const ROWS_MORE: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Columns {
    pub indexed: Arc<Indexed>,
    slots: BTreeMap<u32, Slot>,
    next_slot: u32,
    /// Slots of the instances that the layout has now, in its order.
    live: Vec<u32>,
    /// Those of them that came since the newest row: there is nothing of theirs to end yet.
    fresh: Vec<u32>,
    head: Head,
    /// Rows older than the head's last, by time.
    late: BTreeMap<i64, LateRow>,
    chunks: Vec<Arc<Chunk>>,
    progress: Progress,
}

/// One instance that the block has or had.
#[derive(Debug)]
struct Slot {
    instance: Instance,
    /// Made when first asked for.
    labels: OnceCell<SlotLabels>,
}

#[derive(Debug)]
struct SlotLabels {
    /// The instance's own labels, which those of all its metrics share.
    own: Box<[Pair]>,
    /// By metric; made when first asked for.
    by_metric: Box<[OnceCell<Labels>]>,
}

#[derive(Debug, Default)]
struct Head {
    /// The slot at each place of a row.
    order: Vec<u32>,
    /// Where in a row each of the layout's instances stands; none where that is the same order.
    places: Option<Vec<u32>>,
    /// Places whose instance is gone: the next row ends them.
    going: Vec<u32>,
    times: Vec<i64>,
    values: Vec<f64>,
    /// The newest row, while no other came since it was cut off: its time, and its values in the order of `order`.
    before: Option<(i64, Vec<f64>)>,
}

#[derive(Debug)]
struct LateRow {
    slots: Vec<u32>,
    values: Vec<f64>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    Newest,
    Late,
    /// A row of this instant was taken before.
    Again,
}

impl Columns {
    pub fn new(indexed: Arc<Indexed>) -> Self {
        Self {
            indexed,
            slots: BTreeMap::new(),
            next_slot: 0,
            live: Vec::new(),
            fresh: Vec::new(),
            head: Head::default(),
            late: BTreeMap::new(),
            chunks: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Whether they are of blocks with this template.
    pub fn is_of(&self, indexed: &Arc<Indexed>) -> bool {
        Arc::ptr_eq(&self.indexed, indexed) || self.indexed.template == indexed.template
    }

    /// The time of the newest row.
    pub fn newest_at(&self) -> Option<i64> {
        self.head.times.last().copied().or(self.head.before.as_ref().map(|(at, _)| *at))
    }

    /// The newest row: its time, and where each live instance's values are in it.
    fn newest_row(&self) -> Option<(i64, &[f64])> {
        match self.head.times.last() {
            Some(at) => Some((*at, self.head.values.rchunks(self.width().max(1)).next().unwrap_or_default())),
            None => self.head.before.as_ref().map(|(at, values)| (*at, values.as_slice())),
        }
    }

    /// Values of a row of the head.
    fn width(&self) -> usize {
        self.head.order.len() * self.indexed.metrics()
    }

    /// Takes the layout's instances as they now are. What went is ended by the next row, or by [`Columns::settle`], of which
    /// one must follow.
    pub fn stand_at(&mut self, instances: &[Instance]) {
        let same = self.live.len() == instances.len()
            && self.live.iter().zip(instances).all(|(slot, instance)| self.slots[slot].instance == *instance);
        if same {
            return;
        }
        let before = std::mem::take(&mut self.live);
        self.live = self.slots_of(instances);
        let known: BTreeMap<u32, u32> = self.head.order.iter().copied().zip(0..).collect();
        let mut added: Vec<u32> = Vec::new();
        let mut places = Vec::with_capacity(instances.len());
        for slot in &self.live {
            let appended = || added.iter().position(|other| other == slot).map(|place| (known.len() + place) as u32);
            places.push(known.get(slot).copied().or_else(appended).unwrap_or_else(|| {
                added.push(*slot);
                (known.len() + added.len() - 1) as u32
            }));
        }
        self.widen(&added);
        self.head.places = unless_same(places, self.head.order.len());
        let gone = before.iter().filter(|slot| !self.live.contains(slot) && !self.fresh.contains(slot));
        self.head.going.extend(gone.filter_map(|slot| known.get(slot)));
        self.fresh.retain(|slot| self.live.contains(slot));
        self.fresh.extend(self.live.iter().filter(|slot| !before.contains(slot)));
    }

    /// The slots of these instances, known or new.
    fn slots_of(&mut self, instances: &[Instance]) -> Vec<u32> {
        let held = self.slots.iter().map(|(slot, held)| (held.instance.values.as_slice(), *slot));
        let mut known: BTreeMap<&[String], u32> = held.collect();
        let mut added = Vec::new();
        let mut found = Vec::with_capacity(instances.len());
        for instance in instances {
            found.push(*known.entry(instance.values.as_slice()).or_insert_with(|| {
                added.push(instance);
                self.next_slot + added.len() as u32 - 1
            }));
        }
        let added: Vec<Instance> = added.into_iter().cloned().collect();
        for instance in added {
            self.slots.insert(self.next_slot, Slot { instance, labels: OnceCell::new() });
            self.next_slot += 1;
        }
        found
    }

    /// Gives the head's rows columns for more slots, with gaps in them so far.
    fn widen(&mut self, added: &[u32]) {
        if added.is_empty() {
            return;
        }
        let (old, metrics) = (self.width(), self.indexed.metrics());
        self.head.order.extend_from_slice(added);
        let new = self.width();
        let wider = |values: &[f64]| {
            let mut out = Vec::with_capacity(new);
            out.extend_from_slice(values);
            out.resize(new, gap());
            out
        };
        if let Some((_, values)) = &mut self.head.before {
            *values = wider(values);
        }
        if metrics > 0 {
            self.head.values = match old {
                0 => vec![gap(); new * self.head.times.len()],
                old => self.head.values.chunks(old).flat_map(wider).collect(),
            };
        }
    }

    /// Appends a row that is newer than all before; `values` and `flags` as the report holds them. The hot path.
    pub fn push(&mut self, at: i64, values: &[f64], flags: &[u8]) {
        self.make_room();
        let from = self.head.values.len();
        if self.head.places.is_some() {
            self.push_mapped(values, flags);
        } else {
            self.head.values.extend_from_slice(values);
            flag(&mut self.head.values[from..], flags);
        }
        self.head.times.push(at);
        if !self.head.going.is_empty() {
            self.end_going(from);
        }
        self.head.before = None;
        self.fresh.clear();
        if self.head.times.len() >= ROWS {
            self.cut_head();
        }
    }

    /// Room for the next row, by a few rows at a time: doubling would leave half of all heads empty, most of a fleet's
    /// samples in memory. What is many rows already grows by a quarter, so that catching up copies little.
    fn make_room(&mut self) {
        let (width, head) = (self.width(), &mut self.head);
        let more = ROWS_MORE.max(head.times.len() / 4);
        if head.times.len() == head.times.capacity() {
            head.times.reserve_exact(more);
        }
        if head.values.len() + width > head.values.capacity() {
            head.values.reserve_exact(more * width);
        }
    }

    fn push_mapped(&mut self, values: &[f64], flags: &[u8]) {
        let (from, metrics) = (self.head.values.len(), self.indexed.metrics());
        self.head.values.resize(from + self.width(), gap());
        for (row, place) in self.head.places.iter().flatten().enumerate() {
            let target = from + *place as usize * metrics;
            let cells = &mut self.head.values[target..target + metrics];
            let source = row * metrics..(row + 1) * metrics;
            cells.copy_from_slice(&values[source.clone()]);
            flag(cells, flags.get(source).unwrap_or_default());
        }
    }

    /// Writes the stale markers of what is gone into the row that begins at `from`, where the row before did not end it.
    fn end_going(&mut self, from: usize) {
        let (width, metrics) = (self.width(), self.indexed.metrics());
        for place in std::mem::take(&mut self.head.going) {
            for cell in place as usize * metrics..(place as usize + 1) * metrics {
                let before = match &self.head.before {
                    Some((_, values)) => values.get(cell).copied(),
                    None => from.checked_sub(width).map(|row| self.head.values[row + cell]),
                };
                if before.is_some_and(|value| value.to_bits() != STALE) {
                    self.head.values[from + cell] = f64::from_bits(STALE);
                }
            }
        }
    }

    /// Ends what is gone at `at`, where no row of that instant did: beside the head, whose newest row stays what it is.
    pub fn settle(&mut self, at: i64) {
        let going = std::mem::take(&mut self.head.going);
        self.end_places(&going, at);
    }

    /// Ends all that the layout has at `at`, after the newest row, since nobody speaks for it any more. Its instances stay:
    /// what of them does not come back is ended once more, by whoever says that it is gone.
    pub fn end(&mut self, at: i64) {
        let in_order = || (0..self.live.len() as u32).collect();
        let places: Vec<u32> = self.head.places.clone().unwrap_or_else(in_order);
        self.end_places(&places, at);
    }

    /// Stale markers at `at` for the instances at these places of a row, where the newest row did not end them.
    fn end_places(&mut self, places: &[u32], at: i64) {
        let metrics = self.indexed.metrics();
        let Some((_, newest)) = self.newest_row().filter(|_| !places.is_empty()) else { return };
        let ended = |value: &f64| if value.to_bits() == STALE { gap() } else { f64::from_bits(STALE) };
        let cells = |place: &u32| &newest[*place as usize * metrics..(*place as usize + 1) * metrics];
        let values = places.iter().flat_map(|place| cells(place).iter().map(ended)).collect();
        let slots = places.iter().map(|place| self.head.order[*place as usize]).collect();
        self.late.insert(at, LateRow { slots, values });
    }

    /// Takes a row that is not the newest, of a layout with these instances.
    pub fn put_late(&mut self, at: i64, instances: &[Instance], values: &[f64], flags: &[u8]) -> Placed {
        if self.holds(at) {
            return Placed::Again;
        }
        let slots = self.slots_of(instances);
        let mut values = values.to_vec();
        flag(&mut values, flags);
        self.late.insert(at, LateRow { slots, values });
        if self.late.len() >= ROWS {
            self.cut_late();
        }
        Placed::Late
    }

    /// Whether a row of this instant is in memory.
    pub fn holds(&self, at: i64) -> bool {
        let in_chunk = |chunk: &&Arc<Chunk>| chunk.from <= at && at <= chunk.until;
        self.head.times.binary_search(&at).is_ok()
            || self.late.contains_key(&at)
            || self.chunks.iter().filter(in_chunk).any(|chunk| chunk.times().binary_search(&at).is_ok())
    }

    /// Whether nothing is held and no layout has it.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.chunks.is_empty()
    }

    /// Series that the layout has now.
    pub fn series(&self) -> usize {
        self.live.len() * self.indexed.metrics()
    }

    /// Bytes in memory, about; labels that were asked for are not counted.
    pub fn bytes(&self) -> usize {
        let late: usize = self.late.values().map(|row| 64 + 8 * row.values.len() + 4 * row.slots.len()).sum();
        let head = 8 * (self.head.values.capacity() + self.head.times.capacity());
        let before = self.head.before.as_ref().map_or(0, |(_, values)| 8 * values.len());
        let text = |slot: &Slot| slot.instance.values.iter().map(|value| value.len() + 24).sum::<usize>() + 64;
        let slots: usize = self.slots.values().map(text).sum();
        size_of::<Self>() + head + before + late + slots + self.chunks.iter().map(|chunk| chunk.bytes()).sum::<usize>()
    }
}

/// No places where they are `0..count` in order.
fn unless_same(places: Vec<u32>, count: usize) -> Option<Vec<u32>> {
    let same = places.iter().map(|place| *place as usize).eq(0..count);
    (!same).then_some(places)
}

/// The values as they are kept.
pub fn flagged<'a>(values: &'a [f64], flags: &'a [u8]) -> impl Iterator<Item = f64> + 'a {
    values.iter().enumerate().map(|(place, value)| {
        let mut value = [*value];
        flag(&mut value, flags.get(place..).unwrap_or_default());
        value[0]
    })
}

fn flag(values: &mut [f64], flags: &[u8]) {
    for (value, flag) in values.iter_mut().zip(flags) {
        if *flag == Flag::Failed as u8 {
            *value = gap();
        } else if *flag == Flag::Ended as u8 {
            *value = f64::from_bits(STALE);
        }
    }
}
