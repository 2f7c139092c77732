//! Foreign series: what others write (remote write, OTLP), each in chunks of its own, behind the same view as what agents report.
//!
//! A request is in a [`log`] on disk before it is acknowledged; every five minutes what came since goes into a block file, as
//! that of hosts does, and the log begins anew. After a start, block files give back what rules can still look at, and the
//! log the rest. A request that comes twice changes nothing.

mod fields;
mod keeper;
pub mod log;
pub mod otlp;
mod otlp_json;
pub mod otlp_logs;
mod otlp_names;
pub mod otlp_wire;
mod table;
#[cfg(test)]
mod tests;
pub mod wire;
pub mod write_request;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::{Point, Series};

pub use keeper::Keeper;
use log::Log;
pub use table::Refusal;
use table::Table;
use wire::{Kind, Metadata, Pair, Request};

use super::file::{self, StoredDerived};
use super::folder::Folder;
use super::seal::{Covered, Part, Sealing};
use super::told::{Handed, Tap, Told};
use super::{Question, is_gap};

/// What stands in block files where a host's name does; no agent can be called so.
pub const FOREIGN: &str = "(foreign)";

/// Series at most; past them a new one is refused.
const SERIES_MAX: usize = 1_000_000;
/// Metrics whose metadata are kept.
const METADATA_MAX: usize = 50_000;

/// See the module.
#[derive(Debug)]
pub struct Foreign {
    /// Taken before the table, so that log and table have the same order.
    log: Mutex<Log>,
    table: Mutex<Table>,
    metadata: Mutex<BTreeMap<String, Metadata>>,
    counts: Mutex<ForeignReadings>,
    /// Where samples are passed on.
    tap: Tap,
}

/// What became of samples since the start, and what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForeignReadings {
    pub taken: u64,
    pub out_of_order: u64,
    pub duplicate: u64,
    /// Of series past the limit, without sense, or native histograms.
    pub refused: u64,
    pub series: u64,
    pub bytes: u64,
}

/// What became of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub taken: usize,
    pub out_of_order: usize,
    pub duplicate: usize,
    pub too_many: usize,
    pub histograms: usize,
    /// Sentences about what was refused: series without sense, and the first sample of each other kind.
    pub faults: Vec<String>,
}

impl Foreign {
    /// Opens what is there: the log in `folder`, and in `blocks` what block files have of after `after`. Sentences about what
    /// could not be read come with it.
    ///
    /// # Errors
    /// A folder cannot be read or written.
    pub fn open(folder: &Path, blocks: &Folder, after: i64) -> io::Result<(Self, Vec<String>)> {
        let mut table = Table::new(SERIES_MAX);
        let mut faults = restore(&mut table, blocks, after)?;
        let (log, replayed) = Log::open(folder)?;
        faults.extend(replayed.faults);
        let mut metadata = BTreeMap::new();
        for (kind, body) in replayed.records {
            let request = Kind::of_number(kind).ok_or_else(|| format!("a record of kind {kind} is not known here"));
            let again = request.and_then(|kind| {
                let bytes = wire::unpack(&body)?;
                // What is refused now was refused then, or is in a block file.
                take(&mut table, &mut metadata, wire::read(kind, &bytes)?, None);
                Ok(())
            });
            faults.extend(again.err());
        }
        let (table, metadata) = (Mutex::new(table), Mutex::new(metadata));
        let tap = Tap::default();
        Ok((Self { log: Mutex::new(log), table, metadata, counts: Mutex::default(), tap }, faults))
    }

    /// Passes on through `tap` what is taken from now on.
    #[must_use]
    pub fn tapped(self, tap: Tap) -> Self {
        Self { tap, ..self }
    }

    /// Takes a request, durably; `body` is what came, of which `request` was read.
    ///
    /// # Errors
    /// It could not be written down; nothing of it is taken.
    pub fn take(&self, kind: Kind, body: &[u8], request: Request<'_>) -> io::Result<Outcome> {
        let mut log = locked(&self.log);
        log.append(kind as u8, body)?;
        let mut taken = self.tap.is_open().then(Vec::new);
        let outcome = take(&mut locked(&self.table), &mut locked(&self.metadata), request, taken.as_mut());
        if let Some(series) = taken.filter(|series| !series.is_empty()) {
            // Under the lock, so that they go on in the order in which they came.
            self.tap.hand_over(vec![Handed { agent: FOREIGN.to_owned(), told: vec![Told::Series(series)] }]);
        }
        drop(log);
        let mut counts = locked(&self.counts);
        counts.taken += outcome.taken as u64;
        counts.out_of_order += outcome.out_of_order as u64;
        counts.duplicate += outcome.duplicate as u64;
        counts.refused += (outcome.too_many + outcome.histograms) as u64;
        Ok(outcome)
    }

    /// What it has of a question in memory.
    ///
    /// # Errors
    /// There is more than the question wants.
    pub fn answer(&self, question: &Question) -> Result<Vec<Series>, String> {
        locked(&self.table).answer(question)
    }

    /// What senders said of their metrics since the log began.
    pub fn metadata(&self) -> BTreeMap<String, Metadata> {
        locked(&self.metadata).clone()
    }

    /// Whether nothing is in memory.
    pub fn is_empty(&self) -> bool {
        locked(&self.table).len() == 0
    }

    pub fn readings(&self) -> ForeignReadings {
        let table = locked(&self.table);
        ForeignReadings { series: table.len() as u64, bytes: table.bytes() as u64, ..*locked(&self.counts) }
    }

    /// Puts what is in no block file yet into one, lets the log begin anew, and drops from memory what is older than
    /// `before`.
    ///
    /// # Errors
    /// A sentence about the file that could not be written; the log goes on having all of it.
    fn seal(&self, blocks: &Folder, worker: usize, now: i64, before: i64) -> Result<(), String> {
        let in_log = |error: io::Error| format!("the log of foreign samples: {error}");
        let (derived, first) = {
            let mut log = locked(&self.log);
            (locked(&self.table).hand_over(), log.rotate().map_err(in_log)?)
        };
        if !derived.is_empty() {
            let covered = Covered { agent: FOREIGN.to_owned(), ..Covered::default() };
            let part = Part { covered, labels: BTreeMap::new(), chunks: Vec::new(), derived };
            let mut sealing = Sealing::new(now);
            sealing.parts.push(part);
            if let super::Receipt::Failed { error } = sealing.write(blocks, worker) {
                return Err(error);
            }
        }
        let mut table = locked(&self.table);
        table.sealed();
        table.forget(before);
        drop(table);
        locked(&self.log).forget(first).map_err(in_log)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a request; what of it was taken is added to `taken` as well.
fn take(
    table: &mut Table,
    metadata: &mut BTreeMap<String, Metadata>,
    mut request: Request<'_>,
    mut taken: Option<&mut Vec<(Labels, Vec<Point>)>>,
) -> Outcome {
    let faults = std::mem::take(&mut request.faults);
    let mut outcome = Outcome { histograms: request.histograms, faults, ..Outcome::default() };
    for (pairs, points) in request.series() {
        let number = match table.find(pairs) {
            Some(number) => Ok(number),
            None => match wire::labels(pairs) {
                Ok(labels) => table.find_or_begin(&labels),
                Err(fault) => {
                    outcome.faults.push(fault);
                    continue;
                }
            },
        };
        let mut of_series = Vec::new();
        for point in points {
            // The bits of a gap are no value.
            let value = if is_gap(point.value) { f64::NAN } else { point.value };
            match number.and_then(|number| table.write(number, Point { at: point.at, value })) {
                Ok(()) => {
                    outcome.taken += 1;
                    if taken.is_some() {
                        of_series.push(Point { at: point.at, value });
                    }
                }
                Err(refusal) => outcome.refuse(pairs, point, refusal),
            }
        }
        if let Some(taken) = taken.as_mut().filter(|_| !of_series.is_empty()) {
            taken.push((Labels::new(pairs.iter().copied()), of_series));
        }
    }
    for (family, of) in request.metadata {
        if metadata.len() < METADATA_MAX || metadata.contains_key(&family) {
            metadata.insert(family, of);
        }
    }
    outcome
}

impl Outcome {
    fn refuse(&mut self, pairs: &[Pair<'_>], point: &Point, refusal: Refusal) {
        let (count, why) = match refusal {
            Refusal::OutOfOrder => (&mut self.out_of_order, "out of order sample"),
            Refusal::Duplicate => (&mut self.duplicate, "duplicate sample for timestamp, with another value"),
            Refusal::TooManySeries => (&mut self.too_many, "too many series"),
        };
        *count += 1;
        if *count == 1 {
            let labels = Labels::new(pairs.iter().copied());
            self.faults.push(format!("{why}: {labels} at {} ms", point.at));
        }
    }

    /// Whether something was refused.
    pub fn is_partial(&self) -> bool {
        !self.faults.is_empty() || self.histograms > 0
    }
}

/// Reads back what block files have of after `after`.
fn restore(table: &mut Table, blocks: &Folder, after: i64) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    let names = blocks.list()?;
    for name in names.iter().filter(|name| file::sealed_at(name).is_some_and(|at| at >= after)) {
        // Damaged files are set aside by the workers.
        let Ok(index) = file::index(blocks, name) else { continue };
        for host in index.hosts.iter().filter(|host| host.agent == FOREIGN) {
            let part = index.host(blocks, name, host).map_err(|fault| fault.to_string());
            let restored = part.and_then(|part| part.derived.into_iter().try_for_each(|derived| one(table, derived)));
            faults.extend(restored.err().map(|fault| format!("block file \"{name}\", foreign series: {fault}")));
        }
    }
    Ok(faults)
}

fn one(table: &mut Table, derived: StoredDerived) -> Result<(), String> {
    match derived.series.as_slice() {
        [series] => {
            let name = [(NAME.to_owned(), series.name.clone())];
            let labels = series.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
            table.restore(&Labels::new(labels.chain(name)), derived.chunk)
        }
        several => Err(format!("a chunk of {} series", several.len())),
    }
}
