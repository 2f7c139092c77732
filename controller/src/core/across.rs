//! The thread of rules that look across hosts: at their intervals it asks all workers for samples, and proposes what follows.
//!
//! Its alerts and what they are kept by commit together, as those of a host do, under [`FLEET`]. What its rules record stays in
//! memory, as long as rules look back.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watchkeep_desk::{InputBody, Millis};
use watchkeep_rules::promql::series::{Samples, Series};
use watchkeep_rules::selector::Selector;

use super::handle::Work;
use crate::detect::metrics::{FleetMetrics, FleetStep};
use crate::detect::{self, Rules};
use crate::ingest::{HostRow, KeptHost, Proposal};
use crate::samples::{HostSeries, KEEP_MS, Reader};

/// What stands where a host's name does; no agent can be called so.
pub const FLEET: &str = "(fleet)";
/// How often it is asked whether a group is due.
const LOOK: Duration = Duration::from_millis(500);
/// After a start agents first come back and send what is missing; until then an absence says nothing.
const WARM_UP_MS: i64 = 60_000;

/// What the desk has for the thread; the newest counts.
#[derive(Default)]
pub struct FleetNews {
    /// A new life: what the store kept.
    pub restore: Option<(u64, Arc<Rules>, KeptHost)>,
    pub rules: Option<Arc<Rules>>,
}

/// Rules across hosts, and what is around them.
pub struct Across {
    pub news: Arc<Mutex<FleetNews>>,
    pub reader: Reader,
    pub desk: SyncSender<Work>,
    pub now: fn() -> Millis,
}

/// The fleet's samples with what its own rules recorded.
struct Both<'a> {
    hosts: &'a Reader,
    recorded: &'a HostSeries,
}

impl Samples for Both<'_> {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        let mut found = self.hosts.select(matchers, after, until)?;
        found.extend(self.recorded.select(matchers, after, until)?);
        Ok(found)
    }
}

impl Across {
    /// Runs until the other end of `stop` is dropped, or the desk has ended.
    pub fn run(self, stop: &Receiver<()>) {
        let began = (self.now)();
        let (mut life, mut metrics) = (0, FleetMetrics::default());
        let mut recorded = HostSeries::new("", &BTreeMap::new());
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(LOOK) {
            let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
            let now = (self.now)();
            let mut steps = Vec::new();
            if let Some((new, rules, kept)) = news.restore {
                life = new;
                metrics = FleetMetrics::restore(&rules.metrics, kept.row.detection.fleet);
                steps.push(metrics.reload(&rules.metrics, now));
            }
            if let Some(rules) = news.rules {
                steps.push(metrics.reload(&rules.metrics, now));
            }
            if !metrics.is_empty() && now.since(began) >= WARM_UP_MS {
                steps.push(metrics.step(&Both { hosts: &self.reader, recorded: &recorded }, now));
                recorded.forget(now.0.saturating_sub(KEEP_MS));
            }
            for step in steps {
                if !self.take(step, &metrics, &mut recorded, life) {
                    return;
                }
            }
        }
    }

    /// Writes down what a step recorded, and proposes what follows from it; false once the desk has ended.
    fn take(&self, step: FleetStep, metrics: &FleetMetrics, recorded: &mut HostSeries, life: u64) -> bool {
        for error in &step.errors {
            tracing::warn!(error, "a rule across hosts could not be evaluated");
        }
        for written in &step.written {
            recorded.write(&written.labels, written.at, written.value);
        }
        if !step.is_changed {
            return true;
        }
        let detection = detect::Kept { fleet: metrics.kept(), ..detect::Kept::default() };
        let proposal = Proposal {
            agent: FLEET.to_owned(),
            inputs: step.changes.into_iter().map(InputBody::Alert).collect(),
            row: Some(HostRow { detection, ..HostRow::default() }),
            life,
            ..Proposal::default()
        };
        self.desk.send(Work::Proposal(proposal)).is_ok()
    }
}
