//! From open rows to chunks and back: cutting, handing over to block files, and going on from what they held.

use std::collections::BTreeSet;
use std::sync::Arc;

use watchkeep_protocol::layout::Instance;
use watchkeep_rules::promql::series::Point;

use super::window::Window;
use super::{Columns, Head, unless_same};
use crate::samples::chunk::{Chunk, Rows, StoredChunk};
use crate::samples::gap;

impl Columns {
    /// Packs what is open into chunks.
    pub fn cut(&mut self) {
        self.cut_late();
        self.cut_head();
    }

    pub(super) fn cut_head(&mut self) {
        let metrics = self.indexed.metrics();
        let head = &self.head;
        let rows = Rows { slots: &head.order, metrics, times: &head.times, values: &head.values };
        let Some(chunk) = Chunk::pack(&rows) else { return };
        self.chunks.push(Arc::new(chunk));
        // The newest row stays at hand, for the live columns and those whose end is not written yet.
        let going: Vec<u32> = head.going.iter().map(|place| head.order[*place as usize]).collect();
        let mut order = self.live.clone();
        order.sort_unstable();
        order.dedup();
        if order.len() == self.live.len() {
            order.clone_from(&self.live);
        }
        order.extend(&going);
        let before = self.newest_row().map(|(at, row)| {
            let of_slot = |slot: &u32| {
                let place = self.head.order.iter().position(|known| known == slot).unwrap_or_default() * metrics;
                row[place..place + metrics].iter().copied()
            };
            (at, order.iter().flat_map(of_slot).collect())
        });
        let place_of = |slot: &u32| order.iter().position(|known| known == slot).unwrap_or_default() as u32;
        let places: Vec<u32> = self.live.iter().map(place_of).collect();
        let places = unless_same(places, order.len());
        let going = going.iter().map(place_of).collect();
        self.head = Head { order, places, going, before, ..Head::default() };
    }

    pub(super) fn cut_late(&mut self) {
        let late = std::mem::take(&mut self.late);
        let metrics = self.indexed.metrics();
        let mut slots: Vec<u32> = late.values().flat_map(|row| row.slots.iter().copied()).collect();
        slots.sort_unstable();
        slots.dedup();
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (at, row) in &late {
            let from = values.len();
            times.push(*at);
            values.resize(from + slots.len() * metrics, gap());
            for (place, slot) in row.slots.iter().enumerate() {
                let target = from + slots.binary_search(slot).unwrap_or_default() * metrics;
                values[target..target + metrics].copy_from_slice(&row.values[place * metrics..(place + 1) * metrics]);
            }
        }
        let chunk = Chunk::pack(&Rows { slots: &slots, metrics, times: &times, values: &values });
        self.chunks.extend(chunk.map(Arc::new));
    }

    /// Packs what is open and gives what is in no file yet, each with its instances.
    pub fn hand_over(&mut self) -> Vec<(Vec<&Instance>, Arc<Chunk>)> {
        self.cut();
        let slots = &self.slots;
        let with_instances = |chunk: &Arc<Chunk>| {
            let instances = chunk.slots.iter().map(|slot| &slots[slot].instance).collect();
            (instances, Arc::clone(chunk))
        };
        self.progress.hand_over(&self.chunks).iter().map(with_instances).collect()
    }

    /// What was handed over is in a file.
    pub fn sealed(&mut self) {
        self.progress.sealed();
    }

    /// Bytes that were handed over and are in no file.
    pub fn unsealed(&self) -> usize {
        self.progress.unsealed(&self.chunks)
    }

    /// Takes a chunk that a file held, of a block with these instances.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn restore(&mut self, instances: &[Instance], stored: StoredChunk) -> Result<(), String> {
        let slots = self.slots_of(instances);
        self.chunks.push(Arc::new(Chunk::restore(stored, &slots, self.indexed.metrics())?));
        self.progress.restored(&self.chunks);
        Ok(())
    }

    /// After all chunks were restored: goes on from their newest row, with the instances that had not ended but for `stops`,
    /// when the agent was stopped and all ended together ([`Columns::end`]).
    pub fn go_on(&mut self, stops: &[i64]) {
        let Some(until) = self.chunks.iter().map(|chunk| chunk.until).max() else { return };
        let (metrics, window) = (self.indexed.metrics(), Window::of(self, i64::MIN, until));
        let (mut order, mut values) = (Vec::new(), Vec::new());
        for slot in self.slots.keys() {
            let said = |point: &Point| !(point.is_stale() && stops.contains(&point.at));
            let newest = |metric| window.points(*slot, metric).into_iter().filter(said).max_by_key(|point| point.at);
            let newest: Vec<Option<Point>> = (0..metrics).map(newest).collect();
            if newest.iter().flatten().any(|point| !point.is_stale()) {
                let of_newest_row = |point: &Option<Point>| point.filter(|point| point.at == until);
                order.push(*slot);
                values.extend(newest.iter().map(|point| of_newest_row(point).map_or_else(gap, |point| point.value)));
            }
        }
        self.live.clone_from(&order);
        self.head = Head { order, before: Some((until, values)), ..Head::default() };
    }

    /// Drops sealed chunks that end before `before`, and the instances that nothing is held of; whether there was any.
    pub fn forget(&mut self, before: i64) -> bool {
        let any = self.progress.forget(&mut self.chunks, before);
        if any {
            let late = self.late.values().flat_map(|row| &row.slots);
            let in_chunks = self.chunks.iter().flat_map(|chunk| chunk.slots.iter());
            let held: BTreeSet<u32> =
                self.head.order.iter().chain(&self.live).chain(late).chain(in_chunks).copied().collect();
            self.slots.retain(|slot, _| held.contains(slot));
        }
        any
    }
}
