//! What agents measure of themselves, as far as the newest reading tells it.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_rules::promql::labels::NAME;
use watchkeep_rules::promql::series::{Point, Samples};
use watchkeep_rules::selector::{MatchOp, Matcher, Selector};

use crate::samples::Reader;

/// A reading older than this says nothing of now, ms.
const NEWEST_WITHIN: i64 = 5 * 60_000;
/// Samples may lie a little ahead of the controller's clock, ms.
const AHEAD: i64 = 60_000;

/// The newest reading of one agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// When it was read, UTC milliseconds.
    pub read_at: i64,
    pub spool_bytes: f64,
    /// Matters that are not acknowledged.
    pub spool_matters: f64,
    /// Reports that are in no block file yet; a block file is written every five minutes.
    pub spool_reports: f64,
    pub resident_bytes: f64,
    pub cpu_seconds: f64,
    pub started_at_seconds: f64,
    pub stuck_threads: f64,
}

impl Figures {
    fn take(&mut self, metric: &str, point: Point) {
        let figure = match metric {
            "watchkeep_agent_spool_bytes" => &mut self.spool_bytes,
            "watchkeep_agent_spool_matters" => &mut self.spool_matters,
            "watchkeep_agent_spool_reports" => &mut self.spool_reports,
            "watchkeep_agent_resident_memory_bytes" => &mut self.resident_bytes,
            "watchkeep_agent_cpu_seconds_total" => &mut self.cpu_seconds,
            "watchkeep_agent_start_time_seconds" => &mut self.started_at_seconds,
            "watchkeep_agent_stuck_threads" => &mut self.stuck_threads,
            _ => return,
        };
        *figure = point.value;
        self.read_at = self.read_at.max(point.at);
    }
}

fn matcher(label: &str, op: MatchOp, value: impl Into<String>) -> Matcher {
    Matcher { label: label.to_owned(), op, value: value.into() }
}

/// The newest readings of these agents; none of those that reported nothing lately.
///
/// # Errors
/// As [`Samples::select`].
pub fn of(reader: &Reader, agents: &[String], now: i64) -> Result<BTreeMap<String, Figures>, String> {
    // Names have dots, and nothing else that a pattern takes for more than itself.
    let instances: Vec<String> = agents.iter().map(|name| name.replace('.', "\\.")).collect();
    let matchers = vec![
        matcher(NAME, MatchOp::Matches, "watchkeep_agent_.*"),
        matcher("instance", MatchOp::Matches, instances.join("|")),
    ];
    let mut found: BTreeMap<String, Figures> = BTreeMap::new();
    if agents.is_empty() {
        return Ok(found);
    }
    for series in reader.select(&Selector { matchers }, now - NEWEST_WITHIN, now + AHEAD)? {
        let newest = series.points.last().filter(|point| !point.is_stale());
        if let (Some(name), Some(agent), Some(point)) = (series.labels.get(NAME), series.labels.get("instance"), newest)
        {
            found.entry(agent.to_owned()).or_default().take(name, *point);
        }
    }
    Ok(found)
}

/// The collectors of an agent that did not read at its newest report.
///
/// # Errors
/// As [`Samples::select`].
pub fn failing_collectors(reader: &Reader, agent: &str, now: i64) -> Result<Vec<String>, String> {
    let matchers = vec![
        matcher(NAME, MatchOp::Equal, "node_scrape_collector_success"),
        matcher("instance", MatchOp::Equal, agent),
    ];
    let series = reader.select(&Selector { matchers }, now - NEWEST_WITHIN, now + AHEAD)?;
    let failing = series.iter().filter(|series| series.points.last().is_some_and(|point| point.value == 0.0));
    Ok(failing.filter_map(|series| series.labels.get("collector").map(str::to_owned)).collect())
}
