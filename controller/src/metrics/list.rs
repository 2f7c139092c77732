//! The one list of metrics that are readings of the running parts: name, type, help and where each is read.
//!
//! Prometheus's rules for names hold: what only grows is a counter and ends in `_total`, units are base units.

use prometheus::core::Collector;
use prometheus::{Gauge, IntCounter, IntGauge, Opts, Registry};

use super::Readings;

/// One metric.
pub(super) struct Entry {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub read: fn(&Readings) -> u64,
}

/// What a metric's readings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Counted since the start.
    Counter,
    /// Goes up and down; read in microseconds, shown in seconds.
    Seconds,
}

/// A metric of the registry.
pub(super) enum Metric {
    Gauge(IntGauge),
    Counter(IntCounter),
    Seconds(Gauge),
}

impl Metric {
    /// Shows a reading. A counter only grows: a smaller reading than before is passed over.
    pub fn set(&self, reading: u64) {
        match self {
            Self::Gauge(gauge) => gauge.set(i64::try_from(reading).unwrap_or(i64::MAX)),
            Self::Counter(counter) => counter.inc_by(reading.saturating_sub(counter.get())),
            Self::Seconds(gauge) => gauge.set(reading as f64 / 1_000_000.0),
        }
    }
}

impl Entry {
    pub fn registered(&self, registry: &Registry) -> Metric {
        let opts = Opts::new(self.name, self.help);
        let (metric, collector): (Metric, Box<dyn Collector>) = match self.kind {
            Kind::Gauge => both(IntGauge::with_opts(opts), Metric::Gauge),
            Kind::Counter => both(IntCounter::with_opts(opts), Metric::Counter),
            Kind::Seconds => both(Gauge::with_opts(opts), Metric::Seconds),
        };
        registry.register(collector).expect("the names of the list differ");
        metric
    }
}

/// The metric to set, and the same one to be collected.
fn both<T: Collector + Clone + 'static>(
    made: prometheus::Result<T>,
    metric: impl FnOnce(T) -> Metric,
) -> (Metric, Box<dyn Collector>) {
    let made = made.expect("the names of the list are metric names");
    (metric(made.clone()), Box::new(made))
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&Readings) -> u64) -> Entry {
    Entry { name, kind: Kind::Gauge, help, read }
}

const fn counter(name: &'static str, help: &'static str, read: fn(&Readings) -> u64) -> Entry {
    Entry { name, kind: Kind::Counter, help, read }
}

const fn seconds(name: &'static str, help: &'static str, read: fn(&Readings) -> u64) -> Entry {
    Entry { name, kind: Kind::Seconds, help, read }
}

/// All of them.
pub(super) static LIST: [Entry; 30] = [
    gauge("watchkeep_agents_connected", "Agents with a live session.", |now| now.agents_connected),
    gauge("watchkeep_ledger_facts", "Facts in the ledger.", |now| now.ledger_facts),
    counter("watchkeep_broker_connections_total", "Connections let in, or keys agreed on, since the start.", |now| {
        now.counts.broker.connected
    }),
    counter("watchkeep_broker_connections_refused_total", "Connections refused after TLS since the start.", |now| {
        now.counts.broker.refused
    }),
    counter("watchkeep_broker_messages_taken_total", "Messages of agents handed over since the start.", |now| {
        now.counts.broker.taken
    }),
    counter(
        "watchkeep_broker_messages_forbidden_total",
        "Publishes and subscriptions outside an agent's topics since the start.",
        |now| now.counts.broker.forbidden,
    ),
    counter(
        "watchkeep_broker_messages_forged_total",
        "Messages through a foreign broker that carry no good MAC of their session since the start.",
        |now| now.counts.broker.forged,
    ),
    counter(
        "watchkeep_broker_messages_replayed_total",
        "Messages through a foreign broker that came before since the start.",
        |now| now.counts.broker.replayed,
    ),
    counter(
        "watchkeep_broker_messages_down_dropped_total",
        "Messages to agents that were away or too slow since the start.",
        |now| now.counts.broker.down_dropped,
    ),
    counter(
        "watchkeep_ingest_messages_dropped_total",
        "Messages dropped for want of room since the start; agents send them again.",
        |now| now.counts.ingest_dropped + now.counts.broker.full,
    ),
    counter(
        "watchkeep_inputs_set_aside_total",
        "Inputs set aside since the start, since they could not be kept; the ledger names them.",
        |now| now.counts.set_aside,
    ),
    counter("watchkeep_samples_taken_total", "Samples taken since the start, late ones included.", |now| {
        now.counts.samples.tally.taken
    }),
    counter(
        "watchkeep_samples_late_total",
        "Samples taken since the start that were older than others of their block.",
        |now| now.counts.samples.tally.late,
    ),
    counter(
        "watchkeep_samples_doubled_total",
        "Samples passed over since the start: of an instant that was in already.",
        |now| now.counts.samples.tally.again,
    ),
    counter(
        "watchkeep_samples_refused_total",
        "Samples refused since the start: read more than a minute in the future.",
        |now| now.counts.samples.tally.refused,
    ),
    counter(
        "watchkeep_reports_asked_again_total",
        "Reports asked for again since the start, as they were lost on the way.",
        |now| now.counts.samples.tally.asked,
    ),
    counter(
        "watchkeep_reports_given_up_total",
        "Reports that never came since the start, though they were asked for again.",
        |now| now.counts.samples.tally.given_up,
    ),
    counter(
        "watchkeep_reports_held_back_total",
        "Reports not taken since the start, as too many samples are in no block file; agents send them again.",
        |now| now.counts.samples.tally.held_back,
    ),
    gauge("watchkeep_samples_memory_bytes", "Bytes of samples and their layouts in memory, about.", |now| {
        now.counts.samples.bytes
    }),
    gauge(
        "watchkeep_samples_series",
        "Series in memory: what hosts report now, and what rules wrote of them.",
        |now| now.counts.samples.series,
    ),
    counter("watchkeep_samples_block_files_total", "Block files written since the start.", |now| {
        now.counts.samples.files
    }),
    counter("watchkeep_samples_block_files_bytes_total", "Bytes of the block files written since the start.", |now| {
        now.counts.samples.file_bytes
    }),
    counter(
        "watchkeep_samples_block_files_samples_total",
        "Samples in the block files written since the start, gaps counted; by them, bytes a sample.",
        |now| now.counts.samples.file_samples,
    ),
    counter(
        "watchkeep_samples_block_files_failed_total",
        "Block files that could not be written since the start.",
        |now| now.counts.samples.failed,
    ),
    gauge(
        "watchkeep_samples_unsealed_bytes",
        "Bytes of samples in memory that could not be put into a block file.",
        |now| now.counts.samples.unsealed_bytes,
    ),
    counter("watchkeep_downsampled_blocks_total", "Coarse blocks of samples made since the start.", |now| {
        now.counts.coarse.built
    }),
    counter("watchkeep_downsampled_bytes_total", "Bytes of coarse blocks made since the start.", |now| {
        now.counts.coarse.bytes
    }),
    counter(
        "watchkeep_downsampling_failures_total",
        "Coarse blocks that could not be made since the start; each is tried again.",
        |now| now.counts.coarse.failed,
    ),
    seconds(
        "watchkeep_samples_seal_pause_max_seconds",
        "The longest that a worker stood still to seal, since the start.",
        |now| now.counts.samples.handing_over_us,
    ),
    seconds(
        "watchkeep_samples_seal_write_max_seconds",
        "The longest that writing a block file took, since the start.",
        |now| now.counts.samples.writing_us,
    ),
];
