//! A block being filled: rows by instance, with what came, what could not be read and what is gone.

use watchkeep_protocol::layout::{Block, Flag, Instance, Row};
use watchkeep_protocol::limits;

use super::is_instance;

/// Instances of one block; more are left out, and the log says so once.
pub const INSTANCES: usize = 1_000;

/// What a block keeps between readings, beside the layout and the values.
#[derive(Default)]
pub struct Marks {
    /// By instance: whether this reading has seen it.
    seen: Vec<bool>,
    /// By instance: whether it was reported ended, so that it leaves with the next reading.
    ended: Vec<bool>,
    /// Where the next row probably is: instances mostly come in the same order.
    next: usize,
    told_of_bound: bool,
}

/// One block while a collector fills it.
pub struct Table<'a> {
    block: &'a mut Block,
    row: &'a mut Row,
    marks: &'a mut Marks,
    changed: bool,
}

/// The values of one instance. Columns that are not set stay flagged failed.
pub struct Cells<'a> {
    values: &'a mut [f64],
    flags: &'a mut [u8],
}

impl<'a> Table<'a> {
    /// A block that is being filled; [`Table::begin`] comes first.
    pub fn of(block: &'a mut Block, row: &'a mut Row, marks: &'a mut Marks) -> Self {
        Self { block, row, marks, changed: false }
    }

    /// Lets go what ended, and flags everything failed until it is set. Says whether the layout is another than before.
    pub fn begin(self) -> bool {
        let Self { block, row, marks, .. } = self;
        let changed = marks.ended.contains(&true);
        if changed {
            let mut place = 0;
            block.instances.retain(|_| {
                place += 1;
                !marks.ended[place - 1]
            });
        }
        let (instances, values) = (block.instances.len(), block.instances.len() * block.template.metrics.len());
        for marks in [&mut marks.seen, &mut marks.ended] {
            marks.clear();
            marks.resize(instances, false);
        }
        row.values.clear();
        row.values.resize(values, 0.0);
        row.flags.clear();
        row.flags.resize(values, Flag::Failed as u8);
        marks.next = 0;
        changed
    }

    /// Whether an instance came.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// The row of the instance with these label values; a new one joins the layout. `None` past [`INSTANCES`].
    pub fn row(&mut self, labels: &[&str]) -> Option<Cells<'_>> {
        let place = match self.find(labels) {
            Some(place) => place,
            None => self.add(labels)?,
        };
        self.marks.seen[place] = true;
        self.marks.next = place + 1;
        let columns = self.block.template.metrics.len();
        let range = place * columns..(place + 1) * columns;
        Some(Cells { values: &mut self.row.values[range.clone()], flags: &mut self.row.flags[range] })
    }

    /// Nothing could be read: every instance stays, flagged failed.
    pub fn fail(&mut self) {
        self.row.values.fill(0.0);
        self.row.flags.fill(Flag::Failed as u8);
        self.marks.seen.fill(true);
    }

    /// Flags what was not seen as ended.
    pub fn end(self) {
        let columns = self.block.template.metrics.len();
        for place in (0..self.block.instances.len()).filter(|place| !self.marks.seen[*place]) {
            self.marks.ended[place] = true;
            self.row.flags[place * columns..(place + 1) * columns].fill(Flag::Ended as u8);
        }
        if self.row.flags.iter().all(|flag| *flag == Flag::Read as u8) {
            self.row.flags.clear();
        }
    }

    fn find(&self, labels: &[&str]) -> Option<usize> {
        let here = |place: &usize| is_instance(&self.block.instances[*place], labels);
        let count = self.block.instances.len();
        Some(self.marks.next).filter(|place| *place < count).filter(here).or_else(|| (0..count).find(here))
    }

    fn add(&mut self, labels: &[&str]) -> Option<usize> {
        if self.block.instances.len() >= INSTANCES {
            if !self.marks.told_of_bound {
                let collector = &self.block.template.collector;
                tracing::warn!(%collector, "more than {INSTANCES} instances; the rest is left out");
                self.marks.told_of_bound = true;
            }
            return None;
        }
        let columns = self.block.template.metrics.len();
        self.block.instances.push(Instance { values: labels.iter().map(|value| bounded(value)).collect() });
        self.row.values.resize(self.row.values.len() + columns, 0.0);
        self.row.flags.resize(self.row.flags.len() + columns, Flag::Failed as u8);
        self.marks.seen.push(true);
        self.marks.ended.push(false);
        self.changed = true;
        Some(self.block.instances.len() - 1)
    }
}

impl Cells<'_> {
    /// Sets a column that was read.
    pub fn set(&mut self, column: usize, value: f64) {
        self.values[column] = value;
        self.flags[column] = Flag::Read as u8;
    }
}

/// A label value no longer than travels, cut between characters.
fn bounded(value: &str) -> String {
    let mut end = value.len().min(limits::VALUE_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use watchkeep_protocol::MetricKind;

    use super::super::{metric, template};
    use super::*;

    /// Reads one block from (instance, value) pairs; `None` for a value that could not be read.
    fn read(block: &mut Block, row: &mut Row, marks: &mut Marks, seen: &[(&str, Option<f64>)]) -> bool {
        let mut changed = Table::of(block, row, marks).begin();
        let mut table = Table::of(block, row, marks);
        for (device, value) in seen {
            let mut cells = table.row(&[device]).expect("there is room");
            if let Some(value) = value {
                cells.set(0, *value);
            }
        }
        changed |= table.changed();
        table.end();
        changed
    }

    fn block() -> Block {
        let columns = vec![metric("m", &[], MetricKind::Gauge, "")];
        Block { template: template("t", &["device"], columns), instances: Vec::new() }
    }

    #[test]
    fn an_instance_that_is_gone_is_ended_once_and_then_leaves() {
        let (mut block, mut row, mut marks) = (block(), Row::default(), Marks::default());
        assert!(read(&mut block, &mut row, &mut marks, &[("a", Some(1.0)), ("b", Some(2.0)), ("c", None)]));
        assert_eq!((row.values.as_slice(), row.flags.as_slice()), ([1.0, 2.0, 0.0].as_slice(), [0, 0, 1].as_slice()));

        assert!(
            !read(&mut block, &mut row, &mut marks, &[("b", Some(3.0)), ("c", Some(4.0))]),
            "a is still there, ended"
        );
        assert_eq!(row.flags, [Flag::Ended as u8, 0, 0]);

        assert!(read(&mut block, &mut row, &mut marks, &[("c", Some(5.0)), ("b", Some(6.0))]), "a has left");
        assert_eq!(block.instances.iter().map(|instance| instance.values[0].as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((row.values.as_slice(), row.flags.as_slice()), ([6.0, 5.0].as_slice(), [].as_slice()));
    }

    #[test]
    fn an_instance_that_comes_back_at_once_is_a_new_row() {
        let (mut block, mut row, mut marks) = (block(), Row::default(), Marks::default());
        read(&mut block, &mut row, &mut marks, &[("a", Some(1.0)), ("b", Some(2.0))]);
        read(&mut block, &mut row, &mut marks, &[("b", Some(2.0))]);
        assert!(read(&mut block, &mut row, &mut marks, &[("a", Some(7.0)), ("b", Some(8.0))]));
        assert_eq!(block.instances.iter().map(|instance| instance.values[0].as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(row.values, [8.0, 7.0]);
    }

    #[test]
    fn a_failed_reading_keeps_the_instances_and_ends_none() {
        let (mut block, mut row, mut marks) = (block(), Row::default(), Marks::default());
        read(&mut block, &mut row, &mut marks, &[("a", Some(1.0)), ("b", Some(2.0))]);
        assert!(!Table::of(&mut block, &mut row, &mut marks).begin());
        let mut table = Table::of(&mut block, &mut row, &mut marks);
        table.row(&["a"]).expect("there is room").set(0, 9.0);
        table.fail();
        assert!(!table.changed());
        table.end();
        assert_eq!((row.values.as_slice(), row.flags.as_slice()), ([0.0, 0.0].as_slice(), [1, 1].as_slice()));
    }

    #[test]
    fn instances_and_label_values_are_bounded() {
        let (mut block, mut row, mut marks) = (block(), Row::default(), Marks::default());
        let mut table = Table::of(&mut block, &mut row, &mut marks);
        for number in 0..INSTANCES {
            assert!(table.row(&[&number.to_string()]).is_some());
        }
        assert!(table.row(&["one more"]).is_none());
        assert_eq!(bounded(&"ä".repeat(2000)).len(), limits::VALUE_BYTES);
        assert_eq!(bounded(&format!("x{}", "ä".repeat(2000))).len(), limits::VALUE_BYTES - 1);
    }
}
