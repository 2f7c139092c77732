//! Layouts and reports: names once, then rows of values.
//!
//! A layout is a list of blocks. A block is a template (one collector's metrics and fixed labels, the same on the whole
//! fleet) and a table of instances (cores, mounts, units). Its id is the content's hash, so that thousands of hosts that
//! look alike share one. A report carries, for each block that was due, `instances × metrics` values, instance by instance.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::WireError;

/// One collector's columns.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Template {
    #[prost(string, tag = "1")]
    pub collector: String,
    /// The columns, in the order of a row's values.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
    /// Names of the labels that tell instances apart (`device`, `mountpoint`); empty for a block of one instance.
    #[prost(string, repeated, tag = "3")]
    pub instance_labels: Vec<String>,
}

/// One column: a metric under node_exporter's name, with the labels that are the same for every instance.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Metric {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Sorted by name.
    #[prost(btree_map = "string, string", tag = "2")]
    pub labels: std::collections::BTreeMap<String, String>,
    #[prost(enumeration = "MetricKind", tag = "3")]
    pub kind: i32,
    #[prost(string, tag = "4")]
    pub help: String,
}

/// Prometheus's kinds, as far as agents report them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricKind {
    Untyped = 0,
    Gauge = 1,
    Counter = 2,
}

/// One row of the table of instances: a value for each of the template's `instance_labels`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Instance {
    #[prost(string, repeated, tag = "1")]
    pub values: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Block {
    #[prost(message, required, tag = "1")]
    pub template: Template,
    #[prost(message, repeated, tag = "2")]
    pub instances: Vec<Instance>,
}

/// A whole layout, or the step from one to the next.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Layout {
    /// [`Layout::content_id`] of `blocks`, also where only `change` travels.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Empty where `change` is given.
    #[prost(message, repeated, tag = "2")]
    pub blocks: Vec<Block>,
    #[prost(message, optional, tag = "3")]
    pub change: Option<LayoutChange>,
}

/// Instances that came and went in one block of a known layout.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LayoutChange {
    #[prost(bytes = "vec", tag = "1")]
    pub base: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub block: u32,
    /// Places in the base's table, rising.
    #[prost(uint32, repeated, tag = "3")]
    pub removed: Vec<u32>,
    /// Appended behind what remains.
    #[prost(message, repeated, tag = "4")]
    pub added: Vec<Instance>,
}

impl Layout {
    /// SHA-256 over the encoded blocks.
    pub fn content_id(blocks: &[Block]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for block in blocks {
            hash.update(block.encode_length_delimited_to_vec());
        }
        hash.finalize().into()
    }

    /// A whole layout of these blocks.
    pub fn whole(blocks: Vec<Block>) -> Self {
        Self { id: Self::content_id(&blocks).to_vec(), blocks, change: None }
    }
}

impl Layout {
    /// Values that a report with every block of these holds.
    pub fn values_of(blocks: &[Block]) -> usize {
        blocks.iter().map(|block| block.instances.len().saturating_mul(block.template.metrics.len())).sum()
    }

    /// The step from `base` to `next`, where exactly one block differs and only in its instances (gone and appended);
    /// `None` where the whole layout must travel.
    pub fn step(base: &[Block], next: &[Block]) -> Option<Self> {
        if base.len() != next.len() {
            return None;
        }
        let mut changed = (0..base.len()).filter(|place| base[*place] != next[*place]);
        let place = changed.next()?;
        if changed.next().is_some() || base[place].template != next[place].template {
            return None;
        }
        let (removed, added) = difference(&base[place].instances, &next[place].instances)?;
        let change =
            LayoutChange { base: Self::content_id(base).to_vec(), block: u32::try_from(place).ok()?, removed, added };
        Some(Self { id: Self::content_id(next).to_vec(), blocks: Vec::new(), change: Some(change) })
    }
}

/// Places of `base` that are gone and what was appended; `None` where `next` is not what remains, then what came.
fn difference(base: &[Instance], next: &[Instance]) -> Option<(Vec<u32>, Vec<Instance>)> {
    let mut removed = Vec::new();
    let mut kept = 0;
    for (place, instance) in base.iter().enumerate() {
        if next.get(kept) == Some(instance) {
            kept += 1;
        } else {
            removed.push(u32::try_from(place).ok()?);
        }
    }
    Some((removed, next[kept..].to_vec()))
}

impl LayoutChange {
    /// The blocks after this change, taken from `base`, whose id must be [`LayoutChange::base`]; their id must be `id`.
    ///
    /// # Errors
    /// Says which of the two ids does not fit, or which place is beyond the table. Ask for the whole layout then.
    pub fn apply(&self, base: &[Block], id: &[u8]) -> Result<Vec<Block>, WireError> {
        let wrong = |found: String| WireError::Invalid { what: "layout change", found };
        if Layout::content_id(base) != *self.base {
            return Err(wrong("starts from another layout than the one held".to_owned()));
        }
        let mut blocks = base.to_vec();
        let count = blocks.len();
        let block = usize::try_from(self.block).ok().and_then(|place| blocks.get_mut(place));
        let block = block.ok_or_else(|| wrong(format!("names block {}, the layout has {count}", self.block)))?;
        if let Some(beyond) = self.removed.iter().find(|place| **place as usize >= block.instances.len()) {
            return Err(wrong(format!("removes instance {beyond} of {}", block.instances.len())));
        }
        let mut gone = self.removed.iter().copied().peekable();
        let mut place = 0;
        block.instances.retain(|_| {
            let keep = gone.next_if_eq(&place).is_none();
            place += 1;
            keep
        });
        block.instances.extend(self.added.iter().cloned());
        if Layout::content_id(&blocks) != *id {
            return Err(wrong("does not lead to the id that it names".to_owned()));
        }
        Ok(blocks)
    }
}

/// What one reading brought: rows for the blocks that were due.
#[derive(Clone, PartialEq, Message)]
pub struct Report {
    #[prost(bytes = "vec", tag = "1")]
    pub spool: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// When it was read, by the agent's clock, UTC milliseconds.
    #[prost(sint64, tag = "3")]
    pub at_ms: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub layout: Vec<u8>,
    #[prost(message, repeated, tag = "5")]
    pub rows: Vec<Row>,
    /// So many numbers right before this one the agent does not hold (they were never used, given up, or damaged on its
    /// disk): they are not missing, and not to be asked for. 0 from agents that do not say it.
    #[prost(uint64, tag = "6")]
    pub skipped: u64,
}

/// The values of one block: `instances × metrics`, instance by instance.
#[derive(Clone, PartialEq, Message)]
pub struct Row {
    #[prost(uint32, tag = "1")]
    pub block: u32,
    #[prost(double, repeated, tag = "2")]
    pub values: Vec<f64>,
    /// One [`Flag`] a value; empty says that all were read.
    #[prost(bytes = "vec", tag = "3")]
    pub flags: Vec<u8>,
}

/// What a value is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flag {
    /// It was read.
    Read = 0,
    /// It could not be read this time: a gap, never zero.
    Failed = 1,
    /// The agent says that the thing is gone: the stale marker.
    Ended = 2,
}

impl Report {
    /// SHA-256 of what was read, without the spool's id, the number and what was skipped before it: the same reading numbered anew has the same.
    pub fn content_hash(&self) -> [u8; 32] {
        let bare = Self { spool: Vec::new(), number: 0, skipped: 0, ..self.clone() };
        Sha256::digest(bare.encode_to_vec()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(collector: &str, instances: &[&str]) -> Block {
        let metric = Metric { name: "node_x".into(), ..Metric::default() };
        Block {
            template: Template {
                collector: collector.into(),
                metrics: vec![metric],
                instance_labels: vec!["device".into()],
            },
            instances: instances.iter().map(|value| Instance { values: vec![(*value).to_owned()] }).collect(),
        }
    }

    #[test]
    fn instances_come_and_go_by_one_small_message() {
        let base = vec![block("cpu", &["0"]), block("disk", &["sda", "sdb", "sdc"])];
        for next in [&["sda", "sdc"][..], &["sda", "sdb", "sdc", "sdd"], &["sdb", "sde"], &[]] {
            let next = vec![base[0].clone(), block("disk", next)];
            let layout = Layout::step(&base, &next).expect("only instances differ");
            assert!(layout.blocks.is_empty());
            assert_eq!(layout.change.expect("a change").apply(&base, &layout.id), Ok(next));
        }
    }

    #[test]
    fn a_whole_layout_travels_where_more_than_one_block_or_a_template_differs() {
        let base = vec![block("cpu", &["0"]), block("disk", &["sda"])];
        assert_eq!(Layout::step(&base, &[block("cpu", &["1"]), block("disk", &["sdb"])]), None);
        assert_eq!(Layout::step(&base, &[block("cpu", &["0"]), block("disks", &["sda"])]), None);
        assert_eq!(Layout::step(&base, &base[..1]), None);
        assert_eq!(Layout::step(&base, &base), None, "nothing changed");
    }

    #[test]
    fn a_change_of_another_layout_or_to_another_is_refused() {
        let base = vec![block("disk", &["sda"])];
        let next = vec![block("disk", &["sdb"])];
        let layout = Layout::step(&base, &next).expect("only instances differ");
        let change = layout.change.expect("a change");
        let said = |result: Result<Vec<Block>, WireError>| result.expect_err("refused").to_string();
        assert!(said(change.apply(&next, &layout.id)).contains("starts from another layout"));
        assert!(said(change.apply(&base, &[0; 32])).contains("does not lead to the id"));
        let beyond = LayoutChange { removed: vec![3], ..change };
        assert!(said(beyond.apply(&base, &layout.id)).contains("removes instance 3 of 1"));
    }
}
