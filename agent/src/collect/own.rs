//! What the agent costs its host, from `/proc/self`, and what its spool holds.

use watchkeep_protocol::MetricKind::{Counter, Gauge};
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

pub struct Own {
    own_stat: ProcText,
    host_stat: ProcText,
    page_bytes: f64,
    ticks_a_second: f64,
    /// Unix seconds at which the host booted; read once, since the kernel moves it with the clock.
    booted_at: Option<f64>,
}

impl Own {
    pub fn new(root: &Root) -> Self {
        Self {
            own_stat: ProcText::new(root.join("proc/self/stat")),
            host_stat: ProcText::new(root.join("proc/stat")),
            page_bytes: rustix::param::page_size() as f64,
            ticks_a_second: rustix::param::clock_ticks_per_second() as f64,
            booted_at: None,
        }
    }

    fn booted_at(&mut self) -> Result<f64, CollectError> {
        if let Some(known) = self.booted_at {
            return Ok(known);
        }
        let text = self.host_stat.read()?;
        let found = text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
        drop(text);
        self.booted_at = found;
        found.ok_or_else(|| self.host_stat.unexpected(1, "no line \"btime SECONDS\""))
    }
}

/// What the kernel says of this process: ticks and pages.
#[derive(Debug, PartialEq)]
struct Figures {
    cpu_ticks: f64,
    started_ticks: f64,
    resident_pages: f64,
}

impl Collector for Own {
    fn template(&self) -> Template {
        let columns = [
            ("watchkeep_agent_resident_memory_bytes", Gauge, "Resident memory of the agent."),
            ("watchkeep_agent_cpu_seconds_total", Counter, "User and system time that the agent has used."),
            ("watchkeep_agent_start_time_seconds", Gauge, "When the agent started, Unix time."),
            ("watchkeep_agent_stuck_threads", Gauge, "Threads of the agent that hang in the kernel, abandoned."),
            ("watchkeep_agent_spool_bytes", Gauge, "Bytes of the agent's spool on disk."),
            ("watchkeep_agent_spool_matters", Gauge, "Matters that the controller has not acknowledged yet."),
            ("watchkeep_agent_spool_reports", Gauge, "Reports that the controller has not sealed yet."),
        ];
        template("agent", &[], columns.map(|(name, kind, help)| metric(name, &[], kind, help)).to_vec())
    }

    fn read(&mut self, given: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let booted_at = self.booted_at()?;
        let text = self.own_stat.read()?;
        let figures = figures_of(&text);
        drop(text);
        let figures = figures.ok_or_else(|| self.own_stat.unexpected(1, "not the columns of a process"))?;
        let Some(mut cells) = table.row(&[]) else { return Ok(()) };
        cells.set(0, figures.resident_pages * self.page_bytes);
        cells.set(1, figures.cpu_ticks / self.ticks_a_second);
        cells.set(2, booted_at + figures.started_ticks / self.ticks_a_second);
        cells.set(3, given.stuck_threads as f64);
        cells.set(4, given.spool.bytes as f64);
        cells.set(5, given.spool.matters as f64);
        cells.set(6, given.spool.reports as f64);
        Ok(())
    }
}

/// Reads `/proc/self/stat`; the program's name is in parentheses and may hold spaces and parentheses itself.
fn figures_of(text: &str) -> Option<Figures> {
    let after_name = &text[text.rfind(')')? + 1..];
    let mut words = after_name.split_ascii_whitespace();
    let mut number = |skip: usize| words.nth(skip)?.parse::<f64>().ok();
    // Columns of proc(5) counted from 1: utime 14, stime 15, starttime 22, rss 24; the first word here is column 3.
    let (user, system) = (number(11)?, number(0)?);
    let (started_ticks, resident_pages) = (number(6)?, number(1)?);
    Some(Figures { cpu_ticks: user + system, started_ticks, resident_pages })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn the_columns_are_those_of_proc_5() {
        let text = "612 (odd) name) S 1 612 612 0 -1 4194560 1021 0 3 0 250 50 0 0 20 0 3 0 1234 11 987 184467 1";
        assert_eq!(figures_of(text), Some(Figures { cpu_ticks: 300.0, started_ticks: 1234.0, resident_pages: 987.0 }));
        assert_eq!(figures_of("612 (short) S 1"), None);
    }

    #[test]
    fn the_agent_tells_what_it_costs() {
        let reading = Stage::of(Own::new(&fixture_root("debian12"))).read();
        assert_eq!(reading.value("watchkeep_agent_cpu_seconds_total", &[]), Some(3.0));
        assert_eq!(reading.value("watchkeep_agent_start_time_seconds", &[]), Some(1_795_000_000.0 + 12.34));
        assert_eq!(reading.value("watchkeep_agent_spool_bytes", &[]), Some(4096.0));
        assert!(reading.all_read());
    }
}
