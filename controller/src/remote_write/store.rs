//! One store: what the settings say of it, its queue, and what became of its samples.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;
use serde::Serialize;
use watchkeep_rules::load::RemoteWrite as Config;

use super::queue::Queue;
use crate::notify::webhook::shown;
use crate::samples::Pairs;

/// See the module.
#[derive(Debug)]
pub struct Store {
    pub config: Config,
    /// Labels that series get which have none of that name.
    pub external: BTreeMap<String, String>,
    steps: Vec<Step>,
    pub queue: Arc<Queue>,
    pub counts: Arc<Counts>,
}

/// What became of samples since the start.
#[derive(Debug, Default)]
pub struct Counts {
    pub sent: AtomicU64,
    /// The store said that it will not have them.
    pub refused: AtomicU64,
    pub retries: AtomicU64,
    /// Not queued, as the disk did not take them.
    pub unqueued: AtomicU64,
    /// The instant of the newest sample that was sent, ms.
    pub newest_sent: AtomicI64,
    trouble: Mutex<Option<String>>,
}

/// How a store stands, for people and for metrics.
#[derive(Clone, Debug, Serialize)]
pub struct Readings {
    pub name: String,
    /// Scheme, host and port.
    pub to: String,
    pub sent: u64,
    pub refused: u64,
    pub retries: u64,
    pub dropped: u64,
    pub pending: u64,
    pub queue_bytes: u64,
    /// The instant of the newest sample that was sent, ms since 1970.
    pub newest_sent: Option<i64>,
    /// Why the last request was not taken; none where it was.
    pub trouble: Option<String>,
}

/// A step of `write_relabel_configs`.
#[derive(Debug)]
struct Step {
    source_labels: Vec<String>,
    separator: String,
    regex: Regex,
    keep: bool,
}

impl Store {
    /// With its queue in a folder of its name below `folder`; with that of `before`, which had the name before.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(
        folder: &Path,
        config: Config,
        external: BTreeMap<String, String>,
        before: Option<&Self>,
    ) -> io::Result<Arc<Self>> {
        let bytes_max = config.queue.disk_bytes_max;
        let (queue, counts) = match before {
            Some(before) => {
                before.queue.bound(bytes_max);
                (Arc::clone(&before.queue), Arc::clone(&before.counts))
            }
            None => (Arc::new(Queue::open(&folder.join(&config.name), bytes_max)?), Arc::default()),
        };
        let steps = config.relabel.iter().map(|step| Step {
            source_labels: step.source_labels.clone(),
            separator: step.separator.clone(),
            regex: Regex::new(&format!("^(?s:{})$", step.regex)).expect("settings with another are refused"),
            keep: step.keep,
        });
        Ok(Arc::new(Self { steps: steps.collect(), config, external, queue, counts }))
    }

    /// Whether it is told of this series.
    pub fn wants(&self, pairs: &Pairs<'_>) -> bool {
        self.steps.iter().all(|step| {
            let value_of =
                |label: &String| pairs.iter().find(|(name, _)| name == label).map_or("", |(_, value)| *value);
            let values: Vec<&str> = step.source_labels.iter().map(value_of).collect();
            step.regex.is_match(&values.join(&step.separator)) == step.keep
        })
    }

    pub fn readings(&self) -> Readings {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let waiting = self.queue.waiting();
        let newest_sent = self.counts.newest_sent.load(Ordering::Relaxed);
        Readings {
            name: self.config.name.clone(),
            to: shown(&self.config.url),
            sent: of(&self.counts.sent),
            refused: of(&self.counts.refused),
            retries: of(&self.counts.retries),
            dropped: of(&self.counts.unqueued) + waiting.dropped,
            pending: waiting.samples,
            queue_bytes: waiting.bytes,
            newest_sent: (newest_sent > 0).then_some(newest_sent),
            trouble: self.counts.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Counts {
    /// Notes why the last request was not taken, or that it was; whether that is news.
    pub fn note(&self, trouble: Option<String>) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *known != trouble;
        *known = trouble;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_rules::load::installation_settings;

    use super::*;

    #[test]
    fn series_are_kept_or_dropped_by_their_labels() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let text = "remote_write:\n  - url: http://a\n    write_relabel_configs:\n\
            \x20     - {source_labels: [job, site], regex: 'node;(fra.*|)', action: keep}\n\
            \x20     - {source_labels: [__name__], regex: go_.+, action: drop}\n";
        let settings = installation_settings(Path::new("watchkeep.yaml"), text).expect("they are good");
        let config = settings.remote_write[0].clone();
        let store = Store::open(folder.path(), config, BTreeMap::new(), None).expect("it opens");
        for (pairs, wanted) in [
            (&[("__name__", "up"), ("job", "node"), ("site", "fra1")][..], true),
            (&[("__name__", "up"), ("job", "node")], true),
            (&[("__name__", "up"), ("job", "node"), ("site", "ams1")], false),
            (&[("__name__", "up"), ("job", "nodes")], false),
            (&[("__name__", "go_threads"), ("job", "node")], false),
            (&[("__name__", "ergo_threads"), ("job", "node")], true),
        ] {
            assert_eq!(store.wants(pairs), wanted, "{pairs:?}");
        }
    }
}
