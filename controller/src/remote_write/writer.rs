//! The thread that queues: what was handed over becomes requests in the queue of each store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use watchkeep_protocol::Report;
use watchkeep_rules::promql::labels::Labels;

use super::Stores;
use super::encode::Requests;
use super::marks::Marks;
use super::store::Store;
use crate::samples::{Handed, HeldLayout, Pairs, Tap, Told, stale};

/// Values after which it waits for no more.
const ENOUGH: usize = 50_000;
/// How long it waits for more where no store says.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub struct Writer {
    tap: Tap,
    stores: Arc<Stores>,
    hosts: BTreeMap<String, Stand>,
}

/// What a host's newest report was of, to end what the next one has not.
struct Stand {
    base: Labels,
    layout: Arc<HeldLayout>,
}

/// What is queued for one store in one go.
struct Draft<'a> {
    store: &'a Store,
    requests: Requests<'a>,
    noted: Vec<Noted>,
    samples: u64,
}

enum Noted {
    Report { agent: String, spool: Vec<u8>, number: u64, at: i64 },
    Written { agent: String, at: i64 },
}

impl Writer {
    pub fn new(tap: Tap, stores: Arc<Stores>) -> Self {
        Self { tap, stores, hosts: BTreeMap::new() }
    }

    /// Runs until the tap has ended.
    pub fn run(mut self) {
        loop {
            let stores = self.stores.all();
            let deadlines = stores.iter().map(|store| store.config.queue.batch_send_deadline);
            let patience = deadlines.min().map_or(PATIENCE, |ms| Duration::from_millis(ms.unsigned_abs()));
            let Some(handed) = self.tap.gather(patience, ENOUGH) else { return };
            if handed.is_empty() {
                continue;
            }
            // They may be others since.
            let stores = self.stores.all();
            let mut drafts: Vec<Draft<'_>> = stores.iter().map(|store| Draft::new(store)).collect();
            for handed in handed {
                self.take(handed, &mut drafts);
            }
            drafts.into_iter().for_each(Draft::queue);
        }
    }

    fn take(&mut self, handed: Handed, drafts: &mut [Draft<'_>]) {
        let Handed { agent, told } = handed;
        for told in told {
            match told {
                Told::Report { base, layout, report, at, newest } => {
                    let mut wanting: Vec<&mut Draft<'_>> =
                        drafts.iter_mut().filter(|draft| draft.wants_report(&agent, &report)).collect();
                    if newest {
                        self.end_gone(&agent, (&base, &layout), at, &mut wanting);
                    }
                    layout.each_value(&report, &base, |pairs, value| push(&mut wanting, pairs, at, value, !newest));
                    for draft in wanting {
                        let (agent, spool, number) = (agent.clone(), report.spool.clone(), report.number);
                        draft.noted.push(Noted::Report { agent, spool, number, at });
                    }
                }
                Told::Written { labels, at, value } => {
                    let pairs: Vec<(&str, &str)> = labels.iter().collect();
                    for draft in drafts.iter_mut().filter(|draft| draft.wants_written(&agent, at)) {
                        draft.push(&pairs, at, value, false);
                        draft.noted.push(Noted::Written { agent: agent.clone(), at });
                    }
                }
                Told::Series(series) => {
                    for (labels, points) in series {
                        let pairs: Vec<(&str, &str)> = labels.iter().collect();
                        for draft in drafts.iter_mut() {
                            points.iter().for_each(|point| draft.push(&pairs, point.at, point.value, false));
                        }
                    }
                }
                Told::Ended { at } => {
                    let Some(stand) = self.hosts.remove(&agent) else { continue };
                    let mut all: Vec<&mut Draft<'_>> = drafts.iter_mut().collect();
                    stand.layout.each_gone(None, &stand.base, |pairs| push(&mut all, pairs, at, stale(), false));
                }
            }
        }
    }

    /// Ends the series of the host's report before that the new one has not, at the new one's instant.
    fn end_gone(
        &mut self,
        agent: &str,
        (base, layout): (&Labels, &Arc<HeldLayout>),
        at: i64,
        wanting: &mut [&mut Draft<'_>],
    ) {
        let Some(stand) = self.hosts.get_mut(agent) else {
            let stand = Stand { base: base.clone(), layout: Arc::clone(layout) };
            self.hosts.insert(agent.to_owned(), stand);
            return;
        };
        if stand.base != *base {
            stand.layout.each_gone(None, &stand.base, |pairs| push(wanting, pairs, at, stale(), false));
            stand.base = base.clone();
        } else if !Arc::ptr_eq(&stand.layout, layout) {
            stand.layout.each_gone(Some(layout), base, |pairs| push(wanting, pairs, at, stale(), false));
        }
        stand.layout = Arc::clone(layout);
    }
}

fn push(wanting: &mut [&mut Draft<'_>], pairs: &Pairs<'_>, at: i64, value: f64, is_late: bool) {
    wanting.iter_mut().for_each(|draft| draft.push(pairs, at, value, is_late));
}

impl<'a> Draft<'a> {
    fn new(store: &'a Store) -> Self {
        let requests = Requests::new(store.config.queue.max_samples_per_send, &store.external);
        Self { store, requests, noted: Vec::new(), samples: 0 }
    }

    fn wants_report(&self, agent: &str, report: &Report) -> bool {
        !self.store.queue.marks(|marks| marks.has(agent, &report.spool, report.number))
    }

    fn wants_written(&self, agent: &str, at: i64) -> bool {
        !self.store.queue.marks(|marks| marks.has_written(agent, at))
    }

    fn push(&mut self, pairs: &Pairs<'_>, at: i64, value: f64, is_late: bool) {
        if self.store.wants(pairs) {
            self.requests.push(pairs, at, value, is_late);
            self.samples += 1;
        }
    }

    fn queue(self) {
        let Self { store, requests, noted, samples } = self;
        let note = |marks: &mut Marks| {
            let mut agents = BTreeSet::new();
            for noted in noted {
                match noted {
                    Noted::Report { agent, spool, number, at } => {
                        marks.note(&agent, &spool, number, at);
                        agents.insert(agent);
                    }
                    Noted::Written { agent, at } => {
                        marks.note_written(&agent, at);
                        agents.insert(agent);
                    }
                }
            }
            agents.into_iter().collect()
        };
        if let Err(error) = store.queue.append(&requests.end(), note) {
            store.counts.unqueued.fetch_add(samples, Ordering::Relaxed);
            tracing::error!(%error, store = store.config.name, samples, "samples cannot be queued, and are dropped");
        }
    }
}
