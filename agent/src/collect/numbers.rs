//! Collectors without instances: numbers by name out of a few small files of the kernel, a column each.
//!
//! Such a collector is its list of columns and a function that reads names and numbers out of a text. A column that this
//! kernel does not have is not in the layout, rather than failed for ever; where none of the files is there the collector
//! is unavailable, and says so once.

use std::io::ErrorKind;

use watchkeep_protocol::MetricKind;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// Hands over each number of the file of that place in the list: the part of the file, the name, the number.
pub type Parse = fn(file: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64));

/// One number of a file, and the metric that it becomes.
pub struct Column {
    pub part: &'static str,
    pub field: &'static str,
    pub metric: String,
    pub kind: MetricKind,
    pub help: String,
    /// What one of the file is in the metric's unit.
    pub unit: f64,
}

pub struct Numbers {
    collector: &'static str,
    files: Vec<ProcText>,
    parse: Parse,
    columns: Vec<Column>,
}

impl Numbers {
    /// Reads the files once, to see which of the columns they have.
    pub fn new(collector: &'static str, root: &Root, files: &[&str], parse: Parse, columns: Vec<Column>) -> Self {
        let files = files.iter().map(|path| ProcText::new(root.join(path))).collect();
        let mut numbers = Self { collector, files, parse, columns };
        let mut has = vec![false; numbers.columns.len()];
        let any = numbers.each(|place, _| has[place] = true).is_ok_and(|read| read > 0);
        if any {
            let mut has = has.into_iter();
            numbers.columns.retain(|_| has.next().unwrap_or(false));
        }
        numbers
    }

    /// Hands over each column that is found, and says how many.
    fn each(&mut self, mut set: impl FnMut(usize, f64)) -> Result<usize, CollectError> {
        let (mut read, mut fault) = (0, None);
        for (place, file) in self.files.iter_mut().enumerate() {
            match file.read() {
                Ok(text) => (self.parse)(place, &text, &mut |part, field, value| {
                    for (place, column) in self.columns.iter().enumerate() {
                        if column.field == field && column.part == part {
                            set(place, value * column.unit);
                            read += 1;
                        }
                    }
                }),
                Err(why) => fault = fault.or(Some(why)),
            }
        }
        match fault {
            Some(CollectError::Read { path, source }) if read == 0 && source.kind() == ErrorKind::NotFound => {
                Err(CollectError::Unavailable(format!("this kernel has no \"{}\"", path.display())))
            }
            Some(fault) if read == 0 => Err(fault),
            _ => Ok(read),
        }
    }
}

impl Collector for Numbers {
    fn template(&self) -> Template {
        let columns = self.columns.iter().map(|column| metric(&column.metric, &[], column.kind, &column.help));
        template(self.collector, &[], columns.collect())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let Some(mut cells) = table.row(&[]) else { return Ok(()) };
        let read = self.each(|column, value| cells.set(column, value))?;
        if read > 0 || self.columns.is_empty() {
            return Ok(());
        }
        Err(self.files[0].unexpected(1, "none of the numbers that every kernel has"))
    }
}

/// `name number` and `name: number` lines, as in /proc/stat and /proc/vmstat; without a part.
pub fn lines(_: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next().and_then(|word| word.parse().ok())) else {
            continue;
        };
        found("", name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    fn columns() -> Vec<Column> {
        let column = |field: &'static str, unit: f64| Column {
            part: "",
            field,
            metric: format!("node_{field}"),
            kind: MetricKind::Gauge,
            help: String::new(),
            unit,
        };
        vec![column("a", 1.0), column("a", 0.5), column("b", 1.0)]
    }

    #[test]
    fn a_number_may_be_two_metrics_and_one_that_the_kernel_lacks_is_none() {
        let files = TempFiles::new();
        files.write("proc/x", "a 8\nother 1\ntorn\n");
        let mut stage = Stage::of(Numbers::new("x", &files.root(), &["proc/x"], lines, columns()));
        let reading = stage.read();
        assert_eq!(reading.metrics(), ["node_a", "node_a"]);
        assert!(reading.all_read());
    }

    #[test]
    fn a_file_that_is_not_there_is_calmly_told() {
        let files = TempFiles::new();
        let mut stage = Stage::of(Numbers::new("x", &files.root(), &["proc/x"], lines, columns()));
        assert!(stage.fault().starts_with("this kernel has no"), "{}", stage.fault());
        files.write("proc/x", "b 3\n");
        assert_eq!(stage.read().value("node_b", &[]), Some(3.0), "it came later");
    }

    #[test]
    fn a_file_without_any_of_its_numbers_is_a_fault() {
        let files = TempFiles::new();
        files.write("proc/x", "c 3\n");
        let fault = Stage::of(Numbers::new("x", &files.root(), &["proc/x"], lines, columns())).fault();
        assert!(fault.ends_with("proc/x:1: none of the numbers that every kernel has"), "{fault}");
    }
}
