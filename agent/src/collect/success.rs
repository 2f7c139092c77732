//! Whether each collector read this time, under node_exporter's own name for it.

use watchkeep_protocol::MetricKind;
use watchkeep_protocol::layout::Template;

use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};

pub struct Success;

impl Collector for Success {
    fn template(&self) -> Template {
        let help = "Whether a collector succeeded.";
        template("success", &["collector"], vec![metric("node_scrape_collector_success", &[], MetricKind::Gauge, help)])
    }

    fn read(&mut self, given: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        for (collector, read) in given.outcomes {
            if let Some(mut cells) = table.row(&[collector]) {
                cells.set(0, f64::from(u8::from(*read)));
            }
        }
        Ok(())
    }
}
