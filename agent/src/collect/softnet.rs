//! What each core did with the packets that interfaces brought it, from `/proc/net/softnet_stat`.
//!
//! Numbers in hexadecimal without a heading, a line a core; their order is `softnet_seq_show` in the kernel's
//! `net/core/net-procfs.c`. A core that is off has no line, so the thirteenth names it; before Linux 5.10 the line does.

use watchkeep_protocol::MetricKind::Counter;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// Metric and help of the first three numbers.
const COLUMNS: [(&str, &str); 3] = [
    ("node_softnet_processed_total", "Number of processed packets"),
    ("node_softnet_dropped_total", "Number of dropped packets"),
    ("node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota"),
];
/// The core's own number.
const CORE: usize = 12;

pub struct Softnet {
    stat: ProcText,
}

impl Softnet {
    pub fn new(root: &Root) -> Self {
        Self { stat: ProcText::new(root.join("proc/net/softnet_stat")) }
    }
}

impl Collector for Softnet {
    fn template(&self) -> Template {
        let columns = COLUMNS.map(|(name, help)| metric(name, &[], Counter, help));
        template("softnet", &["cpu"], columns.to_vec())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let text = self.stat.read_if_there()?;
        for (line, numbers) in text.lines().enumerate() {
            let number =
                |place| numbers.split_ascii_whitespace().nth(place).and_then(|word| u64::from_str_radix(word, 16).ok());
            let core = number(CORE).unwrap_or(line as u64).to_string();
            let Some(mut cells) = table.row(&[&core]) else { continue };
            for column in 0..COLUMNS.len() {
                number(column).into_iter().for_each(|value| cells.set(column, value as f64));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    fn read(text: &str) -> crate::collect::testing::Seen {
        let files = TempFiles::new();
        files.write("proc/net/softnet_stat", text);
        Stage::of(Softnet::new(&files.root())).read()
    }

    #[test]
    fn a_core_s_packets_are_under_its_own_number() {
        let rest = "00000000 ".repeat(9);
        let reading =
            read(&format!("00000010 00000001 0000000a {rest}00000000 0 0\n000000ff 0 0 {rest}00000003 0 0\n"));
        let value = |name: &str, core: &str| reading.value(&format!("node_softnet_{name}_total"), &[("cpu", core)]);
        assert_eq!((value("processed", "0"), value("dropped", "0")), (Some(16.0), Some(1.0)));
        assert_eq!(
            (value("times_squeezed", "0"), value("processed", "3")),
            (Some(10.0), Some(255.0)),
            "cores 1 and 2 are off"
        );
        assert_eq!(reading.instances(), 2);
    }

    #[test]
    fn of_an_old_kernel_the_line_is_the_core() {
        let reading = read("00000010 00000000 00000000\n00000020 00000000 00000000\n");
        assert_eq!(reading.value("node_softnet_processed_total", &[("cpu", "1")]), Some(32.0));
    }
}
