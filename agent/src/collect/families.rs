//! Series whose names and labels only the host knows: a sensor's, a pool's, those of a text file.
//!
//! Most hosts have few of the things that such collectors look for, so there is no template of everything that there could
//! be. Each family (a metric's name with its labels' names) is a block of one column, which joins the layout with its first
//! instance and leaves it with its last. Where the hardware is not there, nothing travels and nothing is kept.

use watchkeep_protocol::layout::{Block, Row};
use watchkeep_protocol::{MetricKind, limits};

use super::table::{Marks, Table};
use super::{CollectError, Reading, metric, template};

/// Families of one host; more are left out, and the log says so once. The rest of [`limits::BLOCKS`] is for what every host
/// has.
pub const FAMILIES: usize = limits::BLOCKS - 128;

/// What a family is called, what it is and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family<'a> {
    pub name: &'a str,
    pub kind: MetricKind,
    pub help: &'a str,
}

/// A collector that brings families.
pub trait Sparse: Send {
    /// As in `node_scrape_collector_success`.
    fn name(&self) -> &'static str;

    /// Sets all that is there now. What was there before and is not set again has ended; after an error all of it stays,
    /// flagged failed.
    ///
    /// # Errors
    /// [`CollectError::Unavailable`] where this host has nothing of it.
    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError>;
}

/// What is kept of the families' blocks between readings, beside the reading itself.
#[derive(Default)]
pub struct Kept {
    /// Block by block behind those that every host has: whose it is, and its marks.
    blocks: Vec<(&'static str, Marks)>,
    told_of_bound: bool,
}

impl Kept {
    /// Whether anything of this collector is in the layout.
    pub fn has(&self, collector: &str) -> bool {
        self.blocks.iter().any(|(whose, _)| *whose == collector)
    }
}

/// The families of one collector while it fills them.
pub struct Families<'a> {
    collector: &'static str,
    blocks: &'a mut Vec<Block>,
    rows: &'a mut Vec<Row>,
    kept: &'a mut Kept,
    /// The first block that is a family's.
    first: usize,
    /// Where the family set last stands: collectors set family by family.
    last: usize,
    changed: bool,
}

impl<'a> Families<'a> {
    /// Lets go what ended, and flags everything of this collector failed until it is set.
    pub fn begin(collector: &'static str, reading: &'a mut Reading, kept: &'a mut Kept) -> Self {
        let first = reading.blocks.len() - kept.blocks.len();
        let (blocks, rows) = (&mut reading.blocks, &mut reading.rows);
        let mut families = Self { collector, blocks, rows, kept, first, last: 0, changed: false };
        for place in 0..families.kept.blocks.len() {
            if let Some(table) = families.own(place) {
                let changed = table.begin();
                families.changed |= changed;
            }
        }
        families
    }

    /// Sets one series, by its labels in an order that is always the same.
    pub fn set(&mut self, family: Family<'_>, labels: &[(&str, &str)], value: f64) {
        let Some(place) = self.find(family, labels).or_else(|| self.add(family, labels)) else { return };
        self.last = place;
        let Some(mut table) = self.own(place) else { return };
        let mut values = [""; limits::LABELS];
        let values = &mut values[..labels.len()];
        values.iter_mut().zip(labels).for_each(|(place, (_, value))| *place = value);
        if let Some(mut cells) = table.row(values) {
            cells.set(0, value);
        }
        let changed = table.changed();
        self.changed |= changed;
    }

    /// Flags what was not set as ended, or all as failed where nothing could be read, and lets families without instances
    /// go. Says whether the layout is another than before.
    pub fn end(mut self, failed: bool) -> bool {
        for place in (0..self.kept.blocks.len()).rev() {
            let Some(mut table) = self.own(place) else { continue };
            if failed {
                table.fail();
            }
            table.end();
            if self.blocks[self.first + place].instances.is_empty() {
                self.remove(place);
            }
        }
        self.changed
    }

    fn remove(&mut self, place: usize) {
        self.kept.blocks.remove(place);
        self.blocks.remove(self.first + place);
        self.rows.remove(self.first + place);
        for (place, row) in (0..).zip(self.rows.iter_mut()) {
            row.block = place;
        }
        self.changed = true;
    }

    /// The table of a family where it is this collector's.
    fn own(&mut self, place: usize) -> Option<Table<'_>> {
        let (collector, marks) = self.kept.blocks.get_mut(place)?;
        let place = self.first + place;
        (*collector == self.collector).then(|| Table::of(&mut self.blocks[place], &mut self.rows[place], marks))
    }

    fn find(&self, family: Family<'_>, labels: &[(&str, &str)]) -> Option<usize> {
        let is_it = |place: &usize| {
            let template = &self.blocks[self.first + *place].template;
            self.kept.blocks[*place].0 == self.collector
                && template.metrics.first().is_some_and(|metric| metric.name == family.name)
                && template.instance_labels.len() == labels.len()
                && template.instance_labels.iter().zip(labels).all(|(have, (want, _))| have == want)
        };
        let count = self.kept.blocks.len();
        [self.last, self.last + 1]
            .into_iter()
            .filter(|place| *place < count)
            .find(is_it)
            .or_else(|| (0..count).find(is_it))
    }

    fn add(&mut self, family: Family<'_>, labels: &[(&str, &str)]) -> Option<usize> {
        if self.kept.blocks.len() >= FAMILIES || labels.len() > limits::LABELS {
            if !std::mem::replace(&mut self.kept.told_of_bound, true) {
                let (collector, name) = (self.collector, family.name);
                tracing::warn!(
                    collector,
                    name,
                    "more than {FAMILIES} families, or too many labels; the rest is left out"
                );
            }
            return None;
        }
        let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
        let columns = vec![metric(family.name, &[], family.kind, family.help)];
        let block = u32::try_from(self.blocks.len()).ok()?;
        self.blocks.push(Block { template: template(self.collector, &names, columns), instances: Vec::new() });
        self.rows.push(Row { block, values: Vec::new(), flags: Vec::new() });
        self.kept.blocks.push((self.collector, Marks::default()));
        self.changed = true;
        Some(self.kept.blocks.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAT: Family<'_> = Family { name: "heat", kind: MetricKind::Gauge, help: "" };
    const FAN: Family<'_> = Family { name: "fan", kind: MetricKind::Gauge, help: "" };

    type Series<'a> = (Family<'a>, &'a [(&'a str, &'a str)], f64);

    /// Sets these for a collector and says what the reading shows, and whether the layout changed.
    fn read(reading: &mut Reading, kept: &mut Kept, collector: &'static str, all: &[Series<'_>]) -> (String, bool) {
        let mut families = Families::begin(collector, reading, kept);
        all.iter().for_each(|(family, labels, value)| families.set(*family, labels, *value));
        let changed = families.end(false);
        for (place, (block, row)) in reading.blocks.iter().zip(&reading.rows).enumerate() {
            assert_eq!(row.block as usize, place);
            assert_eq!(row.values.len(), block.instances.len());
        }
        (shown(reading), changed)
    }

    fn shown(reading: &Reading) -> String {
        let samples = super::super::text::samples(reading).into_iter();
        let words = samples.map(|(metric, labels, value)| {
            let labels: Vec<&str> = labels.into_values().collect();
            format!("{} {} {value}", metric.name, labels.join(" "))
        });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_family_joins_with_its_first_instance_and_leaves_with_its_last() {
        let (mut reading, mut kept) = (Reading::default(), Kept::default());
        let mut see = |all: &[Series<'_>]| read(&mut reading, &mut kept, "x", all);
        let both: [Series<'_>; 3] =
            [(HEAT, &[("chip", "a")], 1.0), (HEAT, &[("chip", "b")], 2.0), (FAN, &[("chip", "a")], 3.0)];
        assert_eq!(see(&both), ("heat a 1, heat b 2, fan a 3".to_owned(), true));
        assert_eq!(see(&both), ("heat a 1, heat b 2, fan a 3".to_owned(), false));
        assert_eq!(see(&both[2..]), ("fan a 3".to_owned(), false), "ended, and told");
        assert_eq!(see(&both[2..]), ("fan a 3".to_owned(), true), "gone from the layout");
        assert_eq!(see(&both[2..]), ("fan a 3".to_owned(), false));
        assert_eq!(reading.blocks.len(), 1);
    }

    #[test]
    fn collectors_do_not_touch_each_other_s_families_even_of_one_name() {
        let (mut reading, mut kept) = (Reading::default(), Kept::default());
        read(&mut reading, &mut kept, "x", &[(HEAT, &[("chip", "a")], 1.0)]);
        let (both, _) = read(&mut reading, &mut kept, "y", &[(HEAT, &[("chip", "a")], 2.0)]);
        assert_eq!(both, "heat a 1, heat a 2");
        let (left, _) = read(&mut reading, &mut kept, "y", &[]);
        assert_eq!(left, "heat a 1");
    }

    #[test]
    fn other_label_names_are_another_block() {
        let (mut reading, mut kept) = (Reading::default(), Kept::default());
        let all: [Series<'_>; 2] = [(HEAT, &[("chip", "a")], 1.0), (HEAT, &[("chip", "a"), ("sensor", "b")], 2.0)];
        assert_eq!(read(&mut reading, &mut kept, "x", &all).0, "heat a 1, heat a b 2");
        assert_eq!(reading.blocks.len(), 2);
    }

    #[test]
    fn a_collector_that_fails_keeps_its_series_as_gaps() {
        let (mut reading, mut kept) = (Reading::default(), Kept::default());
        read(&mut reading, &mut kept, "x", &[(HEAT, &[("chip", "a")], 1.0)]);
        assert!(!Families::begin("x", &mut reading, &mut kept).end(true));
        assert_eq!((shown(&reading).as_str(), reading.blocks[0].instances.len()), ("", 1));
        assert_eq!(
            read(&mut reading, &mut kept, "x", &[(HEAT, &[("chip", "a")], 4.0)]),
            ("heat a 4".to_owned(), false)
        );
    }

    #[test]
    fn families_are_bounded() {
        let (mut reading, mut kept) = (Reading::default(), Kept::default());
        let mut families = Families::begin("x", &mut reading, &mut kept);
        for number in 0..=FAMILIES {
            families.set(Family { name: &format!("m{number}"), kind: MetricKind::Gauge, help: "" }, &[], 1.0);
        }
        families.set(HEAT, &[("l", ""); limits::LABELS + 1], 1.0);
        families.end(false);
        assert_eq!(reading.blocks.len(), FAMILIES);
    }
}
