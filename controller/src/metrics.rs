//! The controller's own metrics, under `watchkeep_` from one list, and what every process tells of itself.

mod list;
mod process;
mod remote_write;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Histogram, IntCounterVec, Opts, Registry};

use crate::api::ApiState;
use crate::fleet::broker::BrokerCounts;
use crate::fleet::foreign::ForeignCounts;
use crate::samples::SampleReadings;
use crate::samples::coarse::CoarseCounts;
use list::{LIST, Metric};
use process::Process;
use remote_write::RemoteWrite;

/// Readings that are taken when somebody scrapes.
#[derive(Clone)]
pub struct Metrics {
    pub registry: Registry,
    /// Those of [`LIST`], in its order.
    listed: Arc<[Metric]>,
    /// Counters grow by what is more than they say: two who scrape at once take turns.
    turn: Arc<Mutex<()>>,
    rule_failures: IntCounterVec,
    rule_evaluations: IntCounterVec,
    remote_write: RemoteWrite,
    process: Process,
    counts: Arc<dyn Fn() -> Counts + Send + Sync>,
}

/// What the running parts count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub broker: BrokerFigures,
    /// Messages that the core had no room for.
    pub ingest_dropped: u64,
    /// Inputs that cannot be kept.
    pub set_aside: u64,
    pub samples: SampleReadings,
    pub coarse: CoarseCounts,
}

/// What one scrape reads.
#[derive(Clone, Copy, Debug, Default)]
struct Readings {
    agents_connected: u64,
    ledger_facts: u64,
    counts: Counts,
}

/// What is counted of the broker, whichever it is; all totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerFigures {
    /// Connections let in; through a foreign broker, keys agreed on.
    pub connected: u64,
    pub refused: u64,
    pub taken: u64,
    /// Dropped for want of room.
    pub full: u64,
    /// Outside an agent's topics, or in names that nobody is enrolled under.
    pub forbidden: u64,
    /// Through a foreign broker: not by the agent that they name.
    pub forged: u64,
    /// Through a foreign broker: taken before.
    pub replayed: u64,
    pub down_dropped: u64,
}

impl From<BrokerCounts> for BrokerFigures {
    fn from(counts: BrokerCounts) -> Self {
        let BrokerCounts { connected, refused, taken, full, forbidden, down_dropped } = counts;
        Self { connected, refused, taken, full, forbidden, down_dropped, ..Self::default() }
    }
}

impl From<ForeignCounts> for BrokerFigures {
    fn from(counts: ForeignCounts) -> Self {
        let ForeignCounts { agreed, refused, taken, full, stray, forged, replayed, unknown, down_dropped } = counts;
        Self {
            connected: agreed,
            refused,
            taken,
            full,
            forbidden: stray,
            forged: forged + unknown,
            replayed,
            down_dropped,
        }
    }
}

/// As Prometheus's `prometheus_rule_evaluation_failures_total`, by group: `file;name`.
const RULE_FAILURES: (&str, &str) = (
    "watchkeep_rule_evaluation_failures_total",
    "Evaluations of rules that failed since the start, each host's counted.",
);

/// By `way`: `stream` where it knew that the rule gives nothing, `plain` where the plain evaluator was asked.
const RULE_EVALUATIONS: (&str, &str) = (
    "watchkeep_rule_evaluations_total",
    "Evaluations of rules of single hosts since the start, each host's counted, by the way that they went.",
);

impl Metrics {
    /// `counts` reads the running parts; the histograms are observed by them.
    pub fn new(
        histograms: impl IntoIterator<Item = Histogram>,
        counts: impl Fn() -> Counts + Send + Sync + 'static,
    ) -> Self {
        let registry = Registry::new();
        let listed = LIST.iter().map(|entry| entry.registered(&registry)).collect();
        let rule_failures = counters(&registry, RULE_FAILURES, "rule_group");
        let rule_evaluations = counters(&registry, RULE_EVALUATIONS, "way");
        for histogram in histograms {
            registry.register(Box::new(histogram)).expect("it is not in the list");
        }
        let remote_write = RemoteWrite::registered(&registry);
        let process = Process::registered(&registry);
        let (turn, counts) = (Arc::new(Mutex::new(())), Arc::new(counts));
        Self { registry, listed, turn, rule_failures, rule_evaluations, remote_write, process, counts }
    }

    /// Takes the readings.
    pub fn refresh(&self, state: &ApiState) {
        let readings = Readings {
            agents_connected: state.downlinks.live.with(std::collections::BTreeMap::len) as u64,
            ledger_facts: *state.core.head().borrow(),
            counts: (self.counts)(),
        };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(&readings);
        self.process.refresh();
        self.remote_write.refresh(&state.remote_write);
        let counted = |counters: &IntCounterVec, label: &str, total: u64| {
            let counter = counters.with_label_values(&[label]);
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        for (group, failures) in state.rules.failures() {
            counted(&self.rule_failures, &group, failures);
        }
        let judged = state.rules.all_judged();
        counted(&self.rule_evaluations, "stream", judged.streamed);
        counted(&self.rule_evaluations, "plain", judged.plain);
    }

    fn tell(&self, readings: &Readings) {
        for (entry, metric) in LIST.iter().zip(self.listed.iter()) {
            metric.set((entry.read)(readings));
        }
    }
}

/// Counters of one name, by the values of one label.
fn counters(registry: &Registry, (name, help): (&str, &str), label: &str) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label]).expect("a metric name and a label");
    registry.register(Box::new(counters.clone())).expect("it is not in the list");
    counters
}

#[cfg(test)]
mod tests;
