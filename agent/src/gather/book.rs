//! One source's series as blocks of a layout.
//!
//! A source (a scraped exporter, a check) brings a list of samples whose names and labels nobody knew before. Metrics with
//! the same label names and the same rows, seen together, become one block: its template is the same on every host with
//! the same exporter, and is shared. Once a series has its cell it keeps it. A cell that a good reading does not bring any
//! more is flagged ended once and failed from then on; a row of which no cell is left goes with the next good reading.
//! While the source fails all its rows stay, so that a restart of an exporter is no new layout.

use std::collections::BTreeMap;

use prost::Message as _;
use watchkeep_protocol::layout::{Block, Flag, Instance, Metric, Row, Template};
use watchkeep_protocol::{MetricKind, check, limits};

/// Bytes of a metric's help that travel.
const HELP_BYTES: usize = 160;
/// Metrics of one template: a block's width is what one change of its rows costs.
const COLUMNS: usize = 512;

/// What a source may bring at most; series beyond are left out and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub series: usize,
    pub blocks: usize,
    /// Of all templates and rows as they travel in a layout.
    pub bytes: usize,
}

/// One value as a source says it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub name: &'a str,
    /// Sorted by name, each name once, no empty value; none of the book's own labels.
    pub labels: &'a [(String, String)],
    pub kind: MetricKind,
    pub help: &'a str,
    pub value: f64,
}

/// All series of one source, as they travel.
pub struct Book {
    /// Labels that every series of the source has: `job`, `instance` and those that a person gave.
    own: Vec<(String, String)>,
    bounds: Bounds,
    pages: Vec<Page>,
    /// By metric: the pages and columns that have it, with other label names each.
    places: BTreeMap<String, Vec<(usize, usize)>>,
    /// Series that have no cell yet, in the order in which they came.
    fresh: Vec<Fresh>,
    /// Encoded bytes of all blocks, about.
    bytes: usize,
    left_out: usize,
}

/// A block being filled again and again.
struct Page {
    block: Block,
    row: Row,
    /// By cell: the reading before brought it, and its end was not told.
    live: Vec<bool>,
    /// Where the next row probably is: exporters mostly keep their order.
    next: usize,
}

struct Fresh {
    name: String,
    labels: Vec<(String, String)>,
    kind: MetricKind,
    help: String,
    value: f64,
}

/// New columns that have the same label names and the same rows.
type Group<'a> = (Vec<&'a str>, Vec<Vec<&'a str>>);

impl Book {
    /// An empty book; `own` labels are on every series.
    pub fn new(own: Vec<(String, String)>, bounds: Bounds) -> Self {
        let (pages, places, fresh) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { own, bounds, pages, places, fresh, bytes: 0, left_out: 0 }
    }

    /// The labels that every series has.
    pub fn own(&self) -> &[(String, String)] {
        &self.own
    }

    /// Begins a reading.
    pub fn begin(&mut self) {
        self.fresh.clear();
        self.left_out = 0;
        for page in &mut self.pages {
            page.next = 0;
            page.row.values.fill(0.0);
            page.row.flags.fill(Flag::Failed as u8);
        }
    }

    /// Takes one sample; of two of one series the first stands.
    pub fn put(&mut self, sample: Sample<'_>) {
        if self.find(&sample).is_some_and(|(page, column)| self.pages[page].set(column, &sample)) {
            return;
        }
        if !fits(&sample, self.own.len()) || self.series() + self.fresh.len() >= self.bounds.series {
            self.left_out += 1;
            return;
        }
        self.fresh.push(Fresh {
            name: sample.name.to_owned(),
            labels: sample.labels.to_vec(),
            kind: sample.kind,
            help: shortened(sample.help, HELP_BYTES).to_owned(),
            value: sample.value,
        });
    }

    /// Ends a good reading: what it did not bring is ended, what is new gets its cells. Says whether the blocks are other
    /// than before.
    pub fn end(&mut self) -> bool {
        let mut changed = false;
        for page in &mut self.pages {
            page.settle();
            let gone = page.drop_empty_rows();
            self.bytes -= gone;
            changed |= gone > 0;
        }
        changed |= self.place_fresh();
        self.pages.iter_mut().for_each(Page::note_live);
        changed
    }

    /// Ends a reading that failed: what there was is ended, its cells stay.
    pub fn fail(&mut self) {
        self.fresh.clear();
        for page in &mut self.pages {
            page.row.values.fill(0.0);
            page.row.flags.fill(Flag::Failed as u8);
            page.settle();
            page.note_live();
        }
    }

    /// Series of the last reading that did not fit into what travels.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Cells of all blocks.
    pub fn series(&self) -> usize {
        self.pages.iter().map(|page| page.live.len()).sum()
    }

    /// Bytes of the blocks in a layout, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The blocks with the rows of the last reading. A row is empty where it says nothing.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = (&Block, &Row)> {
        self.pages.iter().map(|page| (&page.block, &page.row))
    }

    fn find(&self, sample: &Sample<'_>) -> Option<(usize, usize)> {
        let known = self.places.get(sample.name)?;
        known.iter().copied().find(|(page, _)| self.pages[*page].has_names(sample.labels, self.own.len()))
    }

    /// Gives new series their cells: in the column that has their metric, else in new blocks.
    fn place_fresh(&mut self) -> bool {
        let fresh = std::mem::take(&mut self.fresh);
        let mut columns: Vec<Vec<&Fresh>> = Vec::new();
        let mut by_key: BTreeMap<(&str, Vec<&str>), usize> = BTreeMap::new();
        let mut changed = false;
        for series in &fresh {
            let sample = series.sample();
            if let Some((page, column)) = self.find(&sample) {
                changed |= self.add_row(page, column, &sample);
                continue;
            }
            let key = (series.name.as_str(), series.labels.iter().map(|(name, _)| name.as_str()).collect());
            let place = *by_key.entry(key).or_insert_with(|| {
                columns.push(Vec::new());
                columns.len() - 1
            });
            columns[place].push(series);
        }
        for group in grouped(columns) {
            if self.pages.len() >= self.bounds.blocks {
                self.forget_empty_pages();
            }
            changed |= self.add_page(&group);
        }
        changed
    }

    /// Blocks whose rows are all gone keep their place only until it is needed.
    fn forget_empty_pages(&mut self) {
        let empty = |page: &Page| page.block.instances.is_empty();
        let gone = self.pages.iter().filter(|page| empty(page));
        self.bytes -= gone.map(|page| page.block.template.encoded_len() + 8).sum::<usize>();
        self.pages.retain(|page| !empty(page));
        self.places.clear();
        for (place, page) in self.pages.iter().enumerate() {
            for (column, metric) in page.block.template.metrics.iter().enumerate() {
                self.places.entry(metric.name.clone()).or_default().push((place, column));
            }
        }
    }

    fn add_row(&mut self, page: usize, column: usize, sample: &Sample<'_>) -> bool {
        let page = &mut self.pages[page];
        if page.set(column, sample) {
            return false;
        }
        let columns = page.block.template.metrics.len();
        let instance = instance(&self.own, sample.labels.iter().map(|(_, value)| value.as_str()));
        let bytes = row_bytes(&instance);
        if self.bytes + bytes > self.bounds.bytes {
            self.left_out += 1;
            return false;
        }
        self.bytes += bytes;
        page.block.instances.push(instance);
        page.row.values.resize(page.row.values.len() + columns, 0.0);
        page.row.flags.resize(page.row.flags.len() + columns, Flag::Failed as u8);
        page.live.resize(page.live.len() + columns, false);
        page.set(column, sample);
        true
    }

    /// A new block for columns that have the same rows.
    fn add_page(&mut self, columns: &[Vec<&Fresh>]) -> bool {
        let Some(first) = columns.first() else { return false };
        let names = first[0].labels.iter().map(|(name, _)| name.clone());
        let template = Template {
            collector: "gather".to_owned(),
            metrics: columns.iter().map(|column| column[0].metric()).collect(),
            instance_labels: self.own.iter().map(|(name, _)| name.clone()).chain(names).collect(),
        };
        let rows =
            first.iter().map(|series| instance(&self.own, series.labels.iter().map(|(_, value)| value.as_str())));
        let block = Block { template, instances: rows.collect() };
        let bytes = block.template.encoded_len() + 8 + block.instances.iter().map(row_bytes).sum::<usize>();
        if self.pages.len() >= self.bounds.blocks || self.bytes + bytes > self.bounds.bytes {
            self.left_out += columns.iter().map(Vec::len).sum::<usize>();
            return false;
        }
        self.bytes += bytes;
        let (place, count) = (self.pages.len(), columns.len() * first.len());
        for (column, metric) in block.template.metrics.iter().enumerate() {
            self.places.entry(metric.name.clone()).or_default().push((place, column));
        }
        let row = Row { block: 0, values: vec![0.0; count], flags: vec![Flag::Failed as u8; count] };
        let mut page = Page { block, row, live: vec![false; count], next: 0 };
        for (column, series) in columns.iter().enumerate() {
            series.iter().for_each(|series| _ = page.set(column, &series.sample()));
        }
        self.pages.push(page);
        true
    }
}

/// Columns with the same label names and rows, together; in the order in which the first of each came.
fn grouped(columns: Vec<Vec<&Fresh>>) -> Vec<Vec<Vec<&Fresh>>> {
    let mut groups: Vec<Vec<Vec<&Fresh>>> = Vec::new();
    let mut known: BTreeMap<Group<'_>, usize> = BTreeMap::new();
    for mut column in columns {
        let mut seen = std::collections::BTreeSet::new();
        column.retain(|series| seen.insert(series.values()));
        let names = column[0].labels.iter().map(|(name, _)| name.as_str()).collect();
        let key: Group<'_> = (names, column.iter().map(|series| series.values()).collect());
        match known.get(&key).filter(|place| groups[**place].len() < COLUMNS) {
            Some(place) => groups[*place].push(column),
            None => {
                known.insert(key, groups.len());
                groups.push(vec![column]);
            }
        }
    }
    groups
}

impl Fresh {
    fn sample(&self) -> Sample<'_> {
        Sample { name: &self.name, labels: &self.labels, kind: self.kind, help: &self.help, value: self.value }
    }

    fn values(&self) -> Vec<&str> {
        self.labels.iter().map(|(_, value)| value.as_str()).collect()
    }

    fn metric(&self) -> Metric {
        Metric { name: self.name.clone(), labels: BTreeMap::new(), kind: self.kind as i32, help: self.help.clone() }
    }
}

impl Page {
    fn has_names(&self, labels: &[(String, String)], own: usize) -> bool {
        let names = &self.block.template.instance_labels[own..];
        names.len() == labels.len() && names.iter().zip(labels).all(|(name, (other, _))| name == other)
    }

    fn find(&self, labels: &[(String, String)]) -> Option<usize> {
        let count = self.block.instances.len();
        let here = |place: &usize| {
            let values = &self.block.instances[*place].values;
            let own = values.len() - labels.len();
            values[own..].iter().zip(labels).all(|(value, (_, other))| value == other)
        };
        Some(self.next).filter(|place| *place < count).filter(here).or_else(|| (0..count).find(here))
    }

    /// Sets a cell that was not set yet; false where there is no such row.
    fn set(&mut self, column: usize, sample: &Sample<'_>) -> bool {
        let Some(row) = self.find(sample.labels) else { return false };
        self.next = row + 1;
        let cell = row * self.block.template.metrics.len() + column;
        if self.row.flags[cell] == Flag::Failed as u8 {
            self.row.values[cell] = sample.value;
            self.row.flags[cell] = Flag::Read as u8;
        }
        true
    }

    /// Ends what was live and was not seen.
    fn settle(&mut self) {
        for (live, flag) in self.live.iter().zip(&mut self.row.flags) {
            if *live && *flag != Flag::Read as u8 {
                *flag = Flag::Ended as u8;
            }
        }
    }

    fn note_live(&mut self) {
        self.live.clear();
        self.live.extend(self.row.flags.iter().map(|flag| *flag == Flag::Read as u8));
    }

    /// Lets rows go of which nothing is left to say; their bytes in a layout.
    fn drop_empty_rows(&mut self) -> usize {
        let columns = self.block.template.metrics.len();
        let silent = |row: &[u8]| row.iter().all(|flag| *flag == Flag::Failed as u8);
        let keep: Vec<bool> = self.row.flags.chunks(columns).map(|row| !silent(row)).collect();
        if keep.iter().all(|keep| *keep) {
            return 0;
        }
        let gone = self.block.instances.iter().zip(&keep).filter(|(_, keep)| !**keep);
        let bytes = gone.map(|(instance, _)| row_bytes(instance)).sum();
        let of = |place: usize| keep[place / columns];
        retain(&mut self.block.instances, |place| keep[place]);
        retain(&mut self.row.values, of);
        retain(&mut self.row.flags, of);
        retain(&mut self.live, of);
        bytes
    }
}

/// A row's bytes in a layout, at most.
fn row_bytes(instance: &Instance) -> usize {
    instance.encoded_len() + 4
}

/// Keeps what is at the places that `keep` names.
fn retain<T>(list: &mut Vec<T>, keep: impl Fn(usize) -> bool) {
    let mut place = 0;
    list.retain(|_| {
        place += 1;
        keep(place - 1)
    });
}

fn instance<'a>(own: &[(String, String)], values: impl Iterator<Item = &'a str>) -> Instance {
    Instance { values: own.iter().map(|(_, value)| value.clone()).chain(values.map(str::to_owned)).collect() }
}

/// Whether a new series can travel at all.
fn fits(sample: &Sample<'_>, own: usize) -> bool {
    check::is_metric_name(sample.name)
        && sample.labels.len() + own <= limits::LABELS
        && sample.labels.iter().all(|(name, value)| {
            check::is_label_name(name) && value.len() <= limits::VALUE_BYTES && !value.contains('\0')
        })
}

/// A text no longer than `most` bytes, cut between characters, without what PostgreSQL does not take.
pub fn shortened(text: &str, most: usize) -> &str {
    let text = text.split('\0').next().unwrap_or_default();
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
