//! Rules over samples, live.

mod fleet;
mod host;
mod rules;

pub use fleet::{FleetMetrics, FleetStep, KeptFleet};
pub use host::{HostMetrics, Kept, LATE};
pub use rules::{INTERVAL, MetricGroups, RuleGroup};

#[cfg(test)]
mod tests;
