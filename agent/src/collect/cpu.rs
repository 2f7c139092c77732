//! Time that each core has spent in each mode, from `/proc/stat`.

use watchkeep_protocol::MetricKind;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// The first eight columns of a core's line, in its order; then come the guests' two.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const COLUMNS: usize = MODES.len() + GUEST_MODES.len();

/// The kernel's idle and iowait counters may step back a little; a step longer than this is a core that came anew.
const STEP_BACK_SECONDS: f64 = 3.0;

pub struct Cpu {
    stat: ProcText,
    ticks_a_second: f64,
    /// By place in the file: what was reported last, so that no counter falls by the kernel's rounding.
    last: Vec<[f64; COLUMNS]>,
}

impl Cpu {
    pub fn new(root: &Root) -> Self {
        let ticks_a_second = rustix::param::clock_ticks_per_second() as f64;
        Self { stat: ProcText::new(root.join("proc/stat")), ticks_a_second, last: Vec::new() }
    }
}

impl Collector for Cpu {
    fn template(&self) -> Template {
        let help = "Seconds the CPUs spent in each mode.";
        let guest_help = "Seconds the CPUs spent in guests (VMs) for each mode.";
        let modes = MODES.map(|mode| metric("node_cpu_seconds_total", &[("mode", mode)], MetricKind::Counter, help));
        let guests = GUEST_MODES
            .map(|mode| metric("node_cpu_guest_seconds_total", &[("mode", mode)], MetricKind::Counter, guest_help));
        template("cpu", &["cpu"], modes.into_iter().chain(guests).collect())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let (last, second) = (&mut self.last, self.ticks_a_second);
        let text = self.stat.read()?;
        let mut cores = 0;
        for (place, (core, ticks)) in cores_of(&text).enumerate() {
            cores += 1;
            if place == last.len() {
                last.push([0.0; COLUMNS]);
            }
            let Some(mut cells) = table.row(&[core]) else { continue };
            for (column, ticks) in ticks.iter().enumerate() {
                let kept = &mut last[place][column];
                let seconds = *ticks as f64 / second;
                *kept = if seconds < *kept && *kept - seconds < STEP_BACK_SECONDS { *kept } else { seconds };
                cells.set(column, *kept);
            }
        }
        drop(text);
        if cores == 0 { Err(self.stat.unexpected(1, "no line of a core (\"cpu0 …\")")) } else { Ok(()) }
    }
}

/// Number and ticks of each core. Columns that an old kernel lacks are zero.
fn cores_of(text: &str) -> impl Iterator<Item = (&str, [u64; COLUMNS])> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let core = words.next()?.strip_prefix("cpu").filter(|core| !core.is_empty())?;
        let mut ticks = [0; COLUMNS];
        for place in &mut ticks {
            *place = words.next().map_or(Some(0), |word| word.parse().ok())?;
        }
        Some((core, ticks))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn each_core_has_its_seconds_by_mode() {
        let reading = Stage::of(Cpu::new(&fixture_root("debian12"))).read();
        assert_eq!(reading.value("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "user")]), Some(1042.57));
        assert_eq!(reading.value("node_cpu_seconds_total", &[("cpu", "1"), ("mode", "idle")]), Some(8811.02));
        assert_eq!(reading.value("node_cpu_guest_seconds_total", &[("cpu", "1"), ("mode", "user")]), Some(0.07));
        assert_eq!(reading.instances(), 2, "the line of the sum is no core");
    }

    #[test]
    fn a_counter_does_not_fall_by_a_jitter_but_does_by_a_new_core() {
        let files = crate::collect::testing::TempFiles::new();
        let mut stage = Stage::of(Cpu::new(&files.root()));
        let idle = [("cpu", "0"), ("mode", "idle")];
        for (ticks, expected) in [(50_000, 500.0), (49_999, 500.0), (50_001, 500.01), (10, 0.1)] {
            files.write("proc/stat", &format!("cpu  0 0 0 0\ncpu0 0 0 0 {ticks} 0 0 0 0 0 0\n"));
            assert_eq!(stage.read().value("node_cpu_seconds_total", &idle), Some(expected), "{ticks}");
        }
    }

    #[test]
    fn a_file_without_cores_is_a_fault() {
        let files = crate::collect::testing::TempFiles::new();
        files.write("proc/stat", "intr 5\n");
        let fault = Stage::of(Cpu::new(&files.root())).fault();
        assert!(fault.ends_with("proc/stat:1: no line of a core (\"cpu0 …\")"), "{fault}");
    }
}
