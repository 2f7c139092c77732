//! The controller's own metrics, under `watchkeep_` from one list, and what every process tells of itself.

mod process;

use std::sync::Arc;

use prometheus::{Histogram, IntCounterVec, IntGauge, Opts, Registry};

use crate::api::ApiState;
use crate::fleet::broker::BrokerCounts;
use crate::fleet::foreign::ForeignCounts;
use crate::samples::SampleReadings;
use process::Process;

/// Readings that are taken when somebody scrapes.
#[derive(Clone)]
pub struct Metrics {
    pub registry: Registry,
    gauges: Arc<[IntGauge]>,
    rule_failures: IntCounterVec,
    rule_evaluations: IntCounterVec,
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

/// Name and help of each, in the order of [`Metrics::refresh`]. Totals since the start are shown as gauges: they are read,
/// not counted, here.
const LIST: [(&str, &str); 27] = [
    ("watchkeep_agents_connected", "Agents with a live session."),
    ("watchkeep_ledger_facts", "Facts in the ledger."),
    ("watchkeep_broker_connections_total", "Connections let in, or keys agreed on, since the start."),
    ("watchkeep_broker_connections_refused_total", "Connections refused after TLS since the start."),
    ("watchkeep_broker_messages_taken_total", "Messages of agents handed over since the start."),
    (
        "watchkeep_broker_messages_forbidden_total",
        "Publishes and subscriptions outside an agent's topics since the start.",
    ),
    (
        "watchkeep_broker_messages_forged_total",
        "Messages through a foreign broker that carry no good MAC of their session since the start.",
    ),
    ("watchkeep_broker_messages_replayed_total", "Messages through a foreign broker that came before since the start."),
    ("watchkeep_broker_messages_down_dropped_total", "Messages to agents that were away or too slow since the start."),
    (
        "watchkeep_ingest_messages_dropped_total",
        "Messages dropped for want of room since the start; agents send them again.",
    ),
    (
        "watchkeep_inputs_set_aside_total",
        "Inputs set aside since the start, since they could not be kept; the ledger names them.",
    ),
    ("watchkeep_samples_taken_total", "Samples taken since the start, late ones included."),
    ("watchkeep_samples_late_total", "Samples taken since the start that were older than others of their block."),
    ("watchkeep_samples_doubled_total", "Samples passed over since the start: of an instant that was in already."),
    ("watchkeep_samples_refused_total", "Samples refused since the start: read more than a minute in the future."),
    ("watchkeep_reports_asked_again_total", "Reports asked for again since the start, as they were lost on the way."),
    ("watchkeep_reports_given_up_total", "Reports that never came since the start, though they were asked for again."),
    (
        "watchkeep_reports_held_back_total",
        "Reports not taken since the start, as too many samples are in no block file; agents send them again.",
    ),
    ("watchkeep_samples_memory_bytes", "Bytes of samples and their layouts in memory, about."),
    ("watchkeep_samples_series", "Series in memory: what hosts report now, and what rules wrote of them."),
    ("watchkeep_samples_block_files_total", "Block files written since the start."),
    ("watchkeep_samples_block_files_bytes_total", "Bytes of the block files written since the start."),
    (
        "watchkeep_samples_block_files_samples_total",
        "Samples in the block files written since the start, gaps counted; by them, bytes a sample.",
    ),
    ("watchkeep_samples_block_files_failed_total", "Block files that could not be written since the start."),
    ("watchkeep_samples_unsealed_bytes", "Bytes of samples in memory that could not be put into a block file."),
    (
        "watchkeep_samples_seal_pause_microseconds_max",
        "The longest that a worker stood still to seal, since the start.",
    ),
    ("watchkeep_samples_seal_write_microseconds_max", "The longest that writing a block file took, since the start."),
];

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
    /// `counts` reads the running parts; `lag` is observed by them.
    pub fn new(lag: Histogram, counts: impl Fn() -> Counts + Send + Sync + 'static) -> Self {
        let registry = Registry::new();
        let gauges = LIST.map(|(name, help)| {
            let gauge = IntGauge::with_opts(Opts::new(name, help)).expect("the names of the list are metric names");
            registry.register(Box::new(gauge.clone())).expect("the names of the list differ");
            gauge
        });
        let rule_failures = counters(&registry, RULE_FAILURES, "rule_group");
        let rule_evaluations = counters(&registry, RULE_EVALUATIONS, "way");
        registry.register(Box::new(lag)).expect("it is not in the list");
        let process = Process::registered(&registry);
        Self { registry, gauges: Arc::new(gauges), rule_failures, rule_evaluations, process, counts: Arc::new(counts) }
    }

    /// Takes the readings.
    pub fn refresh(&self, state: &ApiState) {
        let Counts { broker, ingest_dropped, set_aside, samples } = (self.counts)();
        let values = [
            state.downlinks.live.with(std::collections::BTreeMap::len) as u64,
            *state.core.head().borrow(),
            broker.connected,
            broker.refused,
            broker.taken,
            broker.forbidden,
            broker.forged,
            broker.replayed,
            broker.down_dropped,
            ingest_dropped + broker.full,
            set_aside,
            samples.tally.taken,
            samples.tally.late,
            samples.tally.again,
            samples.tally.refused,
            samples.tally.asked,
            samples.tally.given_up,
            samples.tally.held_back,
            samples.bytes,
            samples.series,
            samples.files,
            samples.file_bytes,
            samples.file_samples,
            samples.failed,
            samples.unsealed_bytes,
            samples.handing_over_us,
            samples.writing_us,
        ];
        for (gauge, value) in self.gauges.iter().zip(values) {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.process.refresh();
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
}

/// Counters of one name, by the values of one label.
fn counters(registry: &Registry, (name, help): (&str, &str), label: &str) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label]).expect("a metric name and a label");
    registry.register(Box::new(counters.clone())).expect("it is not in the list");
    counters
}
