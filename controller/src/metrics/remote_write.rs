//! What becomes of samples that are passed on, by store.

use prometheus::{GaugeVec, IntCounter, IntCounterVec, Opts, Registry};

use super::counters;
use crate::remote_write::{Readings, Stores};

/// A family, and what of a store it shows.
type Shown<Family, Value> = (Family, fn(&Readings) -> Value);

/// The families, each with the label `store`.
#[derive(Clone)]
pub(super) struct RemoteWrite {
    counted: [Shown<IntCounterVec, u64>; 4],
    read: [Shown<GaugeVec, f64>; 3],
    overrun: IntCounter,
}

const SENT: (&str, &str) =
    ("watchkeep_remote_write_samples_sent_total", "Samples that a store has taken since the start.");
const REFUSED: (&str, &str) =
    ("watchkeep_remote_write_samples_refused_total", "Samples that a store would not have since the start.");
const DROPPED: (&str, &str) = (
    "watchkeep_remote_write_samples_dropped_total",
    "Samples dropped since the start, as the queue of a store was full, damaged, or could not be written.",
);
const RETRIES: (&str, &str) =
    ("watchkeep_remote_write_retries_total", "Requests to a store that were tried again since the start.");
const PENDING: (&str, &str) = ("watchkeep_remote_write_samples_pending", "Samples that wait for a store.");
const BYTES: (&str, &str) = ("watchkeep_remote_write_queue_bytes", "Bytes on disk of what waits for a store.");
const NEWEST: (&str, &str) = (
    "watchkeep_remote_write_newest_sent_timestamp_seconds",
    "The instant of the newest sample that a store has taken, 0 before the first.",
);

impl RemoteWrite {
    pub fn registered(registry: &Registry) -> Self {
        let overrun = IntCounter::new(
            "watchkeep_remote_write_samples_overrun_total",
            "Samples dropped since the start, as they came faster than they could be queued for stores.",
        );
        let overrun = overrun.expect("a metric name");
        registry.register(Box::new(overrun.clone())).expect("it is not in the list");
        Self {
            counted: [
                (counters(registry, SENT, "store"), |store| store.sent),
                (counters(registry, REFUSED, "store"), |store| store.refused),
                (counters(registry, DROPPED, "store"), |store| store.dropped),
                (counters(registry, RETRIES, "store"), |store| store.retries),
            ],
            read: [
                (gauges(registry, PENDING), |store| store.pending as f64),
                (gauges(registry, BYTES), |store| store.queue_bytes as f64),
                (gauges(registry, NEWEST), |store| store.newest_sent.unwrap_or(0) as f64 / 1_000.0),
            ],
            overrun,
        }
    }

    /// Takes the readings; nobody else may at the same time.
    pub fn refresh(&self, stores: &Stores) {
        self.overrun.inc_by(stores.overrun().saturating_sub(self.overrun.get()));
        // Those that are no longer in the settings are shown no more.
        self.read.iter().for_each(|(gauge, _)| gauge.reset());
        for store in stores.all() {
            let readings = store.readings();
            for (counter, read) in &self.counted {
                let counter = counter.with_label_values(&[readings.name.as_str()]);
                counter.inc_by(read(&readings).saturating_sub(counter.get()));
            }
            for (gauge, read) in &self.read {
                gauge.with_label_values(&[readings.name.as_str()]).set(read(&readings));
            }
        }
    }
}

fn gauges(registry: &Registry, (name, help): (&str, &str)) -> GaugeVec {
    let gauges = GaugeVec::new(Opts::new(name, help), &["store"]).expect("a metric name and a label");
    registry.register(Box::new(gauges.clone())).expect("it is not in the list");
    gauges
}
