//! Where the graph's records are, and in which orders.
//!
//! A record is put into a [`Slab`] once and stays; four bytes name it. An order over records is the list of their numbers, in
//! [`Blocks`] of what lies together: all that is on one host. A map with the records in its nodes leaves a third of each
//! empty and keeps every key once more for every order.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use crate::ids::Block;

/// Records in one piece of memory; a piece is taken whole, so that growing moves nothing and wastes less than one.
const PIECE: usize = 256;

/// Records by number, in the order in which they came. None ever goes.
#[derive(Clone, Debug)]
pub(super) struct Slab<T>(Vec<Vec<T>>);

/// The number of a record in its slab.
pub(super) type Number = u32;

impl<T> Slab<T> {
    pub fn push(&mut self, record: T) -> Number {
        if self.0.last().is_none_or(|piece| piece.len() == PIECE) {
            self.0.push(Vec::with_capacity(PIECE));
        }
        let before = (self.0.len() - 1) * PIECE;
        let piece = self.0.last_mut().expect("one was pushed if there was none");
        piece.push(record);
        Number::try_from(before + piece.len() - 1).expect("memory ends before the numbers do")
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Index<Number> for Slab<T> {
    type Output = T;

    fn index(&self, number: Number) -> &T {
        &self.0[number as usize / PIECE][number as usize % PIECE]
    }
}

impl<T> IndexMut<Number> for Slab<T> {
    fn index_mut(&mut self, number: Number) -> &mut T {
        &mut self.0[number as usize / PIECE][number as usize % PIECE]
    }
}

/// Records in an order that begins with their block; the caller says how they stand in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks(BTreeMap<Block, Vec<Number>>);

impl Blocks {
    /// The record for which `order` says equal.
    pub fn find(&self, block: Block, order: impl FnMut(&Number) -> Ordering) -> Option<Number> {
        let numbers = self.0.get(&block)?;
        numbers.binary_search_by(order).ok().map(|at| numbers[at])
    }

    /// Puts a record where `order` says; one that stands there gives way.
    pub fn insert(&mut self, block: Block, number: Number, order: impl FnMut(&Number) -> Ordering) {
        insert(self.0.entry(block).or_default(), number, order);
    }

    /// Takes out the record for which `order` says equal.
    pub fn remove(&mut self, block: Block, order: impl FnMut(&Number) -> Ordering) {
        let Some(numbers) = self.0.get_mut(&block) else { return };
        remove(numbers, order);
        if numbers.is_empty() {
            self.0.remove(&block);
        }
    }

    /// The records of a block from the first for which `is_before` is false.
    pub fn from(&self, block: Block, is_before: impl FnMut(&Number) -> bool) -> &[Number] {
        let numbers = self.0.get(&block).map_or(&[][..], Vec::as_slice);
        &numbers[numbers.partition_point(is_before)..]
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = Number> + '_ {
        self.0.values().flatten().copied()
    }
}

/// Puts a record into a list where `order` says; one that stands there gives way.
pub(super) fn insert(numbers: &mut Vec<Number>, number: Number, order: impl FnMut(&Number) -> Ordering) {
    match numbers.binary_search_by(order) {
        Ok(at) => numbers[at] = number,
        Err(at) => numbers.insert(at, number),
    }
}

/// Takes the record for which `order` says equal out of a list.
pub(super) fn remove(numbers: &mut Vec<Number>, order: impl FnMut(&Number) -> Ordering) {
    if let Ok(at) = numbers.binary_search_by(order) {
        numbers.remove(at);
    }
}
