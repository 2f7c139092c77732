//! Where sources put their blocks and a report takes them from; and whose turn it is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use watchkeep_protocol::Layout;
use watchkeep_protocol::layout::{Block, Flag, Row};

use super::Book;

/// How long a report waits for all sources that are due together.
pub const PATIENCE: Duration = Duration::from_millis(200);
/// What the sources take of a layout at most, so that the collectors have room beside them.
const VALUES: usize = 30_000;
const BLOCKS: usize = 800;
const BYTES: usize = 700 << 10;

/// See the module.
pub struct Shelf {
    places: Mutex<Vec<Place>>,
    /// Somebody put something.
    came: Condvar,
    /// By place: it is due.
    wanted: Vec<Notify>,
}

struct Place {
    interval: Duration,
    due_at: Option<Instant>,
    /// It was told, and has not answered yet.
    asked_at: Option<Instant>,
    /// It answered within the patience, the last time.
    is_quick: bool,
    blocks: Vec<Block>,
    /// What was put and not taken yet, a row a block.
    rows: Option<Vec<Row>>,
    changed: bool,
    /// Of the blocks, in a layout.
    bytes: usize,
    told_of_bound: bool,
}

impl Shelf {
    /// A place for each source, by its interval.
    pub fn new(intervals: impl Iterator<Item = Duration>) -> Self {
        let place = |interval| Place {
            interval,
            due_at: None,
            asked_at: None,
            is_quick: true,
            blocks: Vec::new(),
            rows: None,
            changed: false,
            bytes: 0,
            told_of_bound: false,
        };
        let places: Vec<Place> = intervals.map(place).collect();
        let wanted = places.iter().map(|_| Notify::new()).collect();
        Self { places: Mutex::new(places), came: Condvar::new(), wanted }
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this source is to be asked.
    pub async fn wanted(&self, place: usize) {
        self.wanted[place].notified().await;
    }

    /// A report is begun: tells the sources that are due. One that has not answered yet is not asked a second time.
    pub fn begin(&self, now: Instant) {
        for (place, wanted) in self.places().iter_mut().zip(&self.wanted) {
            // A report a little early is no reason to wait for the next one.
            let is_due = place.due_at.is_none_or(|at| at <= now + place.interval / 10);
            if !is_due || place.asked_at.is_some() {
                continue;
            }
            // What was late stays in step, what was away for long begins anew.
            let next = place.due_at.map_or(now, |at| at) + place.interval;
            place.due_at = Some(if next > now { next } else { now + place.interval });
            place.asked_at = Some(now);
            wanted.notify_one();
        }
    }

    /// Waits for those that were asked, but not for who was slow the last time.
    pub fn wait(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut places = self.places();
        while places.iter().any(|place| place.asked_at.is_some() && place.is_quick) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            places = self.came.wait_timeout(places, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        places.iter_mut().filter(|place| place.asked_at.is_some()).for_each(|place| place.is_quick = false);
    }

    /// What a source's books hold now.
    pub fn put(&self, place: usize, books: &[&Book]) {
        let mut places = self.places();
        let place = &mut places[place];
        let pages = || books.iter().flat_map(|book| book.pages());
        if pages().count() != place.blocks.len() || pages().zip(&place.blocks).any(|((new, _), known)| new != known) {
            place.blocks = pages().map(|(block, _)| block.clone()).collect();
            place.bytes = books.iter().map(|book| book.bytes()).sum();
            place.changed = true;
        }
        place.rows = Some(pages().map(|(_, row)| said(row)).collect());
        if let Some(asked_at) = place.asked_at.take() {
            place.is_quick = asked_at.elapsed() < PATIENCE;
        }
        self.came.notify_all();
    }

    /// Adds what came since the last report: rows that say something, behind `rows`, of blocks that stand behind the `own`
    /// ones. Says whether [`Shelf::blocks`] are others than at the last call.
    pub fn take(&self, own: usize, rows: &mut Vec<Row>) -> bool {
        let mut places = self.places();
        let changed = places.iter_mut().fold(false, |any, place| any | std::mem::take(&mut place.changed));
        let mut next = own;
        for (place, fits) in fitting(&mut places) {
            let new = place.rows.take().unwrap_or_default();
            for (offset, row) in new.into_iter().enumerate().filter(|(_, row)| fits && !row.values.is_empty()) {
                rows.push(Row { block: (next + offset) as u32, ..row });
            }
            next += if fits { place.blocks.len() } else { 0 };
        }
        changed
    }

    /// All blocks, in the order of the sources. Not those of sources that do not fit into a layout beside the others: the log
    /// says so once.
    pub fn blocks(&self) -> Vec<Block> {
        let mut places = self.places();
        fitting(&mut places).into_iter().filter(|(_, fits)| *fits).flat_map(|(place, _)| place.blocks.clone()).collect()
    }
}

/// Each source, and whether its blocks fit into a layout beside those before it.
fn fitting(places: &mut [Place]) -> Vec<(&mut Place, bool)> {
    let (mut values, mut blocks, mut bytes) = (0, 0, 0);
    let judge = |place: &mut Place| {
        let more = Layout::values_of(&place.blocks);
        let fits = values + more <= VALUES && blocks + place.blocks.len() <= BLOCKS && bytes + place.bytes <= BYTES;
        if fits {
            values += more;
            blocks += place.blocks.len();
            bytes += place.bytes;
        } else if !std::mem::replace(&mut place.told_of_bound, true) {
            let own = place.blocks.first().and_then(|block| block.instances.first());
            let own = own.map(|instance| instance.values.join(" ")).unwrap_or_default();
            tracing::warn!(
                source = own,
                series = more,
                "all scrapes and checks together are more than a report takes ({VALUES} series, {BLOCKS} groups): this one is left out"
            );
        }
        fits
    };
    let mut judge = judge;
    places
        .iter_mut()
        .map(|place| {
            let fits = judge(place);
            (place, fits)
        })
        .collect()
}

/// A row as it travels: none where nothing is said, no flags where all was read.
fn said(row: &Row) -> Row {
    if row.flags.iter().all(|flag| *flag == Flag::Failed as u8) {
        return Row::default();
    }
    let all_read = row.flags.iter().all(|flag| *flag == Flag::Read as u8);
    Row { block: 0, values: row.values.clone(), flags: if all_read { Vec::new() } else { row.flags.clone() } }
}

#[cfg(test)]
mod tests;
