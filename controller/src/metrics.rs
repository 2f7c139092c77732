//! The controller's own metrics, under `watchkeep_`: from one list.

use std::sync::Arc;

use prometheus::{IntGauge, Opts, Registry};

use crate::api::ApiState;
use crate::fleet::broker::BrokerCounts;

/// Readings that are taken when somebody scrapes.
#[derive(Clone)]
pub struct Metrics {
    pub registry: Registry,
    gauges: Arc<[IntGauge]>,
    counts: Arc<dyn Fn() -> Counts + Send + Sync>,
}

/// What the running parts count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub broker: BrokerCounts,
    /// Messages that the core had no room for.
    pub ingest_dropped: u64,
}

/// Name and help of each, in the order of [`Metrics::refresh`]. Totals since the start are shown as gauges: they are read,
/// not counted, here.
const LIST: [(&str, &str); 8] = [
    ("watchkeep_agents_connected", "Agents with a live session."),
    ("watchkeep_ledger_facts", "Facts in the ledger."),
    ("watchkeep_broker_connections_total", "Connections let in since the start."),
    ("watchkeep_broker_connections_refused_total", "Connections refused after TLS since the start."),
    ("watchkeep_broker_messages_taken_total", "Messages of agents handed over since the start."),
    (
        "watchkeep_broker_messages_forbidden_total",
        "Publishes and subscriptions outside an agent's topics since the start.",
    ),
    ("watchkeep_broker_messages_down_dropped_total", "Messages to agents that were away or too slow since the start."),
    (
        "watchkeep_ingest_messages_dropped_total",
        "Messages dropped for want of room since the start; agents send them again.",
    ),
];

impl Metrics {
    /// `counts` reads the running parts.
    pub fn new(counts: impl Fn() -> Counts + Send + Sync + 'static) -> Self {
        let registry = Registry::new();
        let gauges = LIST.map(|(name, help)| {
            let gauge = IntGauge::with_opts(Opts::new(name, help)).expect("the names of the list are metric names");
            registry.register(Box::new(gauge.clone())).expect("the names of the list differ");
            gauge
        });
        Self { registry, gauges: Arc::new(gauges), counts: Arc::new(counts) }
    }

    /// Takes the readings.
    pub fn refresh(&self, state: &ApiState) {
        let Counts { broker, ingest_dropped } = (self.counts)();
        let values = [
            state.downlinks.live.with(std::collections::BTreeMap::len) as u64,
            *state.core.head().borrow(),
            broker.connected,
            broker.refused,
            broker.taken,
            broker.forbidden,
            broker.down_dropped,
            ingest_dropped + broker.full,
        ];
        for (gauge, value) in self.gauges.iter().zip(values) {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
