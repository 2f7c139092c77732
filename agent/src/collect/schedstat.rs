//! How long processes ran on each core and waited for it, from `/proc/schedstat`.
//!
//! The last three numbers of a `cpu` line: nanoseconds run, nanoseconds waited, slices; see the kernel's
//! `Documentation/scheduler/sched-stats.rst`.

use watchkeep_protocol::MetricKind::Counter;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// Place in the line, metric, help, and what one of the file is in the metric's unit.
const COLUMNS: [(usize, &str, &str, f64); 3] = [
    (6, "node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.", 1e-9),
    (7, "node_schedstat_waiting_seconds_total", "Number of seconds spent by processing waiting for this CPU.", 1e-9),
    (8, "node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", 1.0),
];

pub struct Schedstat {
    stat: ProcText,
}

impl Schedstat {
    pub fn new(root: &Root) -> Self {
        Self { stat: ProcText::new(root.join("proc/schedstat")) }
    }
}

impl Collector for Schedstat {
    fn template(&self) -> Template {
        let columns = COLUMNS.map(|(_, name, help, _)| metric(name, &[], Counter, help));
        template("schedstat", &["cpu"], columns.to_vec())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let text = self.stat.read_if_there()?;
        for line in text.lines() {
            let Some((core, numbers)) = line.strip_prefix("cpu").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            let Some(mut cells) = table.row(&[core]) else { continue };
            for (column, (place, .., unit)) in COLUMNS.iter().enumerate() {
                let word = numbers.split_ascii_whitespace().nth(*place);
                if let Some(value) = word.and_then(|word| word.parse::<u64>().ok()) {
                    cells.set(column, value as f64 * unit);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    #[test]
    fn what_ran_and_what_waited_is_in_seconds() {
        let files = TempFiles::new();
        let text = "version 15\ntimestamp 4295\ncpu0 0 0 0 0 0 0 2500000000 500000000 77\ndomain0 3 1 2 3\ncpu11 0 0 0 0 0 0 0 0 5\n";
        files.write("proc/schedstat", text);
        let reading = Stage::of(Schedstat::new(&files.root())).read();
        let value = |name: &str, core: &str| reading.value(&format!("node_schedstat_{name}_total"), &[("cpu", core)]);
        assert_eq!((value("running_seconds", "0"), value("waiting_seconds", "0")), (Some(2.5), Some(0.5)));
        assert_eq!((value("timeslices", "0"), value("timeslices", "11")), (Some(77.0), Some(5.0)));
        assert_eq!(reading.instances(), 2, "a domain is no core");
    }

    #[test]
    fn a_kernel_that_does_not_count_it_is_calmly_told() {
        let fault = Stage::of(Schedstat::new(&TempFiles::new().root())).fault();
        assert!(fault.starts_with("this kernel has no"), "{fault}");
    }
}
