//! Entries of log files and of the journal that match a pattern become events.
//!
//! A log is a source of [`crate::gather`]: with each report it reads what was added since. [`tail`] follows one file over
//! rotation and truncation, [`entries`] puts lines that belong together into one, [`journal`] asks for systemd's journal and
//! the kernel's messages, [`config`] reads `logs`. Matches with the
//! same labels in one reading are one event with their `count`; of more events than may be told in a minute the rest is
//! counted, told as one event (`log_events_left_out`), and seen in `watchkeep_log_left_out_total`.
//!
//! How far a log was read is on disk (`STATE/logs/NAME.json`), and only once the events of it are durable: a crash tells
//! some twice, never less. What was in a file before it was first seen is nobody's news.

pub mod config;
mod entries;
mod journal;
mod tail;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use watchkeep_protocol::{Event, MetricKind, limits};

pub use config::Log;

use crate::gather::{Book, Bounds, Reading, Sample, Source, Teller, shortened};
use crate::glob;
use crate::observe::{Sighting, memory};
use config::{Origin, Pattern};
use tail::{Position, Tail};

/// Files of one log at most.
const FILES: usize = 100;
/// Read of one log in one reading, bytes; the rest waits for the next.
const BYTES: u64 = 8 << 20;
/// Label sets of one reading that are told apart; matches beyond are left out.
const LABEL_SETS: usize = 200;

/// The counts of one log.
const COUNTS: [(&str, &str); 3] = [
    ("watchkeep_log_entries_total", "Entries of a log that were read."),
    ("watchkeep_log_matches_total", "Entries of a log that matched."),
    ("watchkeep_log_left_out_total", "Entries that matched and were not told, since they were too many."),
];

/// One log.
struct Following {
    log: Log,
    /// Away while they are read on a thread that may hang.
    files: Option<Files>,
    /// How far the journal was read.
    cursor: Option<String>,
    path: PathBuf,
    book: Book,
    teller: Teller,
    counts: [f64; 3],
    /// What is on disk.
    saved: Option<Kept>,
    /// What is to be there once the events are durable.
    kept: Kept,
    /// Something was read since the start.
    has_read: bool,
    /// Reading fails, and the log says so.
    failing: bool,
    budget: Budget,
}

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    text: String,
    /// The unit that wrote it, as the journal says.
    unit: Option<String>,
}

/// How far a log was read, as it is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    #[serde(default)]
    files: BTreeMap<String, Position>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// The files of one log, as far as they were read.
struct Files {
    patterns: Vec<String>,
    tails: BTreeMap<PathBuf, Tail>,
    known: BTreeMap<String, Position>,
    begins: Option<Pattern>,
    /// A file that is first seen now was there before.
    is_first: bool,
}

/// Events that may still be told: so many a minute, and no more at once.
struct Budget {
    a_minute: f64,
    left: f64,
    at: Instant,
}

/// The sources of all logs; `state` is the agent's own directory, `every` how often it reports.
pub fn sources(
    logs: &[Log],
    state: &Path,
    every: Duration,
    out: Option<&mpsc::Sender<Sighting>>,
) -> Vec<Box<dyn Source>> {
    // Nobody would take the events, and nothing may be remembered of it.
    let Some(out) = out else { return Vec::new() };
    let following =
        |log: &Log| Box::new(Paced { every, log: Following::new(log, state, out.clone()) }) as Box<dyn Source>;
    logs.iter().map(following).collect()
}

struct Paced {
    every: Duration,
    log: Following,
}

impl Source for Paced {
    fn books(&self) -> Vec<&Book> {
        vec![&self.log.book]
    }

    fn interval(&self) -> Duration {
        self.every
    }

    fn read(&mut self) -> Reading<'_> {
        Box::pin(self.log.read_once())
    }
}

impl Following {
    fn new(log: &Log, state: &Path, out: mpsc::Sender<Sighting>) -> Self {
        let path = state.join("logs").join(format!("{}.json", log.name));
        let kept: Option<Kept> = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let (saved, is_first) = (kept.clone(), kept.is_none());
        let kept = kept.unwrap_or_default();
        let patterns = if let Origin::Files(patterns) = &log.origin { patterns.clone() } else { Vec::new() };
        let (tails, begins) = (BTreeMap::new(), log.multiline.clone());
        let files = Files { patterns, tails, known: kept.files.clone(), begins, is_first };
        let a_minute = f64::from(log.events_per_minute);
        Self {
            log: log.clone(),
            files: Some(files),
            cursor: kept.cursor.clone(),
            path,
            book: Book::new(Vec::new(), Bounds { series: COUNTS.len(), blocks: 1, bytes: 4 << 10 }),
            teller: Teller::new(Some(out)),
            counts: [0.0; 3],
            saved,
            kept,
            has_read: false,
            failing: false,
            budget: Budget { a_minute, left: a_minute, at: Instant::now() },
        }
    }

    async fn read_once(&mut self) {
        self.teller.go_on();
        if self.teller.is_done() {
            if self.has_read {
                self.save();
            }
            self.has_read = true;
            match self.new_entries().await {
                Ok(entries) => {
                    self.failing = false;
                    self.judge(&entries);
                }
                Err(why) if !std::mem::replace(&mut self.failing, true) => {
                    tracing::warn!(log = self.log.name, "cannot be read: {why}");
                }
                Err(_) => {}
            }
        }
        self.book.begin();
        let labels = [("log".to_owned(), self.log.name.clone())];
        for ((name, help), value) in COUNTS.into_iter().zip(self.counts) {
            self.book.put(Sample { name, labels: &labels, kind: MetricKind::Counter, help, value });
        }
        self.book.end();
    }

    /// What came since; and notes how far that is.
    async fn new_entries(&mut self) -> Result<Vec<Entry>, String> {
        if let Origin::Journal(journal) = &self.log.origin {
            let read = journal.read(&mut self.cursor).await;
            self.kept = Kept { cursor: self.cursor.clone(), ..Kept::default() };
            return read.map_err(|error| error.to_string());
        }
        let Some(mut files) = self.files.take() else { return Ok(Vec::new()) };
        let reading = tokio::task::spawn_blocking(move || {
            let entries = files.read();
            (files, entries)
        });
        let (files, entries) = reading.await.map_err(|error| error.to_string())?;
        self.kept = Kept { files: files.positions(), cursor: None };
        self.files = Some(files);
        Ok(entries.into_iter().map(|text| Entry { text, unit: None }).collect())
    }

    /// Writes how far was read, once all of it is durable. What cannot be written is written later.
    fn save(&mut self) {
        if self.saved.as_ref() == Some(&self.kept) {
            return;
        }
        let text = serde_json::to_vec(&self.kept).expect("positions are plain data");
        let folder = self.path.parent().map_or(Ok(()), std::fs::create_dir_all);
        match folder.and_then(|()| memory::write_whole(&self.path, &text)) {
            Ok(()) => self.saved = Some(self.kept.clone()),
            Err(error) => tracing::error!("write \"{}\": {error}", self.path.display()),
        }
    }

    /// Tells what matches.
    fn judge(&mut self, entries: &[Entry]) {
        let mut sets: BTreeMap<BTreeMap<String, String>, (usize, &str)> = BTreeMap::new();
        let mut left_out = 0;
        self.counts[0] += entries.len() as f64;
        for entry in entries {
            let Some(mut labels) = self.log.labels_of(&entry.text) else { continue };
            if let Some(unit) = &entry.unit {
                let unit = shortened(unit, limits::VALUE_BYTES).to_owned();
                labels.entry("unit".to_owned()).or_insert(unit);
            }
            self.counts[1] += 1.0;
            let is_room = sets.len() < LABEL_SETS;
            match sets.get_mut(&labels) {
                Some((count, _)) => *count += 1,
                None if is_room => _ = sets.insert(labels, (1, entry.text.as_str())),
                None => left_out += 1,
            }
        }
        self.budget.refill();
        for (mut labels, (count, text)) in sets {
            if !self.budget.take() {
                left_out += count;
                continue;
            }
            labels.insert("kind".to_owned(), self.log.event.clone());
            labels.insert("count".to_owned(), count.to_string());
            self.teller.tell(Event { labels, text: shortened(text, limits::TEXT_BYTES).to_owned() });
        }
        if left_out > 0 {
            self.counts[2] += left_out as f64;
            self.tell_left_out(left_out);
        }
    }

    fn tell_left_out(&mut self, count: usize) {
        let name = &self.log.name;
        let labels = [("kind", "log_events_left_out"), ("log", name), ("count", &count.to_string())];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let most = self.log.events_per_minute;
        let text = format!(
            "{count} entries of log \"{name}\" matched beyond {most} events a minute and are not told one by one"
        );
        self.teller.tell(Event { labels, text });
    }
}

impl Files {
    /// The entries that came since, of all files together.
    fn read(&mut self) -> Vec<String> {
        let mut left = BYTES;
        let mut entries = Vec::new();
        for path in self.named() {
            let tail = self.tails.entry(path).or_insert_with_key(|path| {
                match self.known.remove(path.to_string_lossy().as_ref()) {
                    Some(known) => Tail::at(path, known),
                    None if self.is_first => Tail::from_end(path),
                    None => Tail::from_start(path),
                }
            });
            if let Err(error) = tail.read(self.begins.as_ref(), &mut left, &mut entries) {
                tail.tell(&error);
            }
        }
        // What is gone and read to its end is forgotten.
        self.tails.retain(|_, tail| tail.is_open() || tail.is_to_begin());
        self.is_first = false;
        entries
    }

    /// The files that are there now, and those that were a moment ago.
    fn named(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            self.patterns.iter().flat_map(|pattern| glob::files(pattern, FILES).unwrap_or_default()).collect();
        all.extend(self.tails.iter().filter(|(_, tail)| tail.is_open()).map(|(path, _)| path.clone()));
        // One that was rotated away while nobody looked, and has no successor yet.
        all.extend(self.known.keys().map(PathBuf::from));
        all.sort_unstable();
        all.dedup();
        all.truncate(FILES);
        all
    }

    fn positions(&self) -> BTreeMap<String, Position> {
        let places = self.tails.iter().filter_map(|(path, tail)| Some((path, tail.position()?)));
        places.map(|(path, position)| (path.to_string_lossy().into_owned(), position)).collect()
    }
}

impl Budget {
    fn refill(&mut self) {
        let now = Instant::now();
        let more = now.duration_since(self.at).as_secs_f64() * self.a_minute / 60.0;
        self.left = (self.left + more).min(self.a_minute);
        self.at = now;
    }

    fn take(&mut self) -> bool {
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }
}

#[cfg(test)]
mod tests;
