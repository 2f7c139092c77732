//! Whether each collector read this time and how long it took, under node_exporter's own names for it.

use watchkeep_protocol::MetricKind::Gauge;
use watchkeep_protocol::layout::Template;

use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};

pub struct Success;

impl Collector for Success {
    fn template(&self) -> Template {
        let columns = [
            ("node_scrape_collector_success", "Whether a collector succeeded."),
            ("node_scrape_collector_duration_seconds", "Duration of a collector's reading."),
        ];
        template("success", &["collector"], columns.map(|(name, help)| metric(name, &[], Gauge, help)).to_vec())
    }

    fn read(&mut self, given: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        for outcome in given.outcomes {
            if let Some(mut cells) = table.row(&[outcome.collector]) {
                cells.set(0, f64::from(u8::from(outcome.read)));
                cells.set(1, outcome.took.as_secs_f64());
            }
        }
        Ok(())
    }
}
