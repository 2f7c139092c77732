//! Runs one collector over files of a test, and asks the reading by metric and labels.

use std::path::Path;
use std::sync::Mutex;

use watchkeep_protocol::layout::{Block, Flag, Row};

use super::families::{Families, Kept, Sparse};
use super::table::{Marks, Table};
use super::{Collector, Given, Reading, SpoolFigures, text};
use crate::observe::Units;
use crate::root::Root;
pub use crate::root::testing::TempFiles;

/// The files of `tests/fixtures/<name>`.
pub fn fixture_root(name: &str) -> Root {
    Root::at(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name))
}

/// One collector with its block.
pub struct Stage {
    collector: Box<dyn Collector>,
    units: Mutex<Units>,
    marks: Marks,
    block: Block,
    row: Row,
}

impl Stage {
    pub fn of(collector: impl Collector + 'static) -> Self {
        Self::with_units(collector, Units::default())
    }

    pub fn with_units(collector: impl Collector + 'static, units: Units) -> Self {
        let block = Block { template: collector.template(), instances: Vec::new() };
        let (marks, row) = (Marks::default(), Row::default());
        Self { collector: Box::new(collector), units: Mutex::new(units), marks, block, row }
    }

    pub fn read(&mut self) -> Seen {
        self.try_read().expect("it reads")
    }

    pub fn fault(&mut self) -> String {
        self.try_read().err().expect("it fails")
    }

    fn try_read(&mut self) -> Result<Seen, String> {
        let spool = SpoolFigures { bytes: 4096, matters: 2, reports: 7 };
        let given = Given { units: &self.units, spool, outcomes: &[], stuck_threads: 0 };
        Table::of(&mut self.block, &mut self.row, &mut self.marks).begin();
        let mut table = Table::of(&mut self.block, &mut self.row, &mut self.marks);
        let read = self.collector.read(&given, &mut table);
        table.end();
        read.map_err(|fault| fault.to_string())?;
        let (blocks, rows) = (vec![self.block.clone()], vec![self.row.clone()]);
        Ok(Seen(Reading { blocks, rows, ..Reading::default() }))
    }
}

/// One collector that brings families.
pub struct SparseStage {
    collector: Box<dyn Sparse>,
    reading: Reading,
    kept: Kept,
}

impl SparseStage {
    pub fn of(collector: impl Sparse + 'static) -> Self {
        Self { collector: Box::new(collector), reading: Reading::default(), kept: Kept::default() }
    }

    pub fn read(&mut self) -> Seen {
        self.try_read().expect("it reads")
    }

    pub fn fault(&mut self) -> String {
        self.try_read().err().expect("it fails")
    }

    fn try_read(&mut self) -> Result<Seen, String> {
        let mut families = Families::begin(self.collector.name(), &mut self.reading, &mut self.kept);
        let read = self.collector.read(&mut families);
        families.end(read.is_err());
        read.map_err(|fault| fault.to_string())?;
        Ok(Seen(self.reading.clone()))
    }
}

/// A reading of one block, or of one collector's families.
pub struct Seen(Reading);

impl Seen {
    /// The value of the series with exactly these labels; `None` where it was not read.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted = labels.iter().copied().collect();
        let mut samples = text::samples(&self.0).into_iter();
        samples.find(|(metric, labels, _)| metric.name == name && *labels == wanted).map(|(.., value)| value)
    }

    /// Every series as a line of the text exposition, without comments.
    pub fn lines(&self) -> Vec<String> {
        let text = text::exposition(&self.0);
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    pub fn instances(&self) -> usize {
        self.0.blocks[0].instances.len()
    }

    pub fn metrics(&self) -> Vec<&str> {
        self.0.blocks[0].template.metrics.iter().map(|metric| metric.name.as_str()).collect()
    }

    pub fn all_read(&self) -> bool {
        self.0.rows[0].flags.is_empty() && !self.0.rows[0].values.is_empty()
    }

    /// The label values of instances that are flagged ended, joined by a space.
    pub fn ended(&self) -> Vec<String> {
        let (block, columns) = (&self.0.blocks[0], self.0.blocks[0].template.metrics.len());
        let ended = |place: &usize| self.0.rows[0].flags.get(place * columns) == Some(&(Flag::Ended as u8));
        (0..block.instances.len()).filter(ended).map(|place| block.instances[place].values.join(" ")).collect()
    }
}
