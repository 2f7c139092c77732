//! Layouts and reports: names once, then rows of values.
//!
//! A layout is a list of blocks. A block is a template (one collector's metrics and fixed labels, the same on the whole
//! fleet) and a table of instances (cores, mounts, units). Its id is the content's hash, so that thousands of hosts that
//! look alike share one. A report carries, for each block that was due, `instances × metrics` values, instance by instance.

use prost::Message;
use sha2::{Digest, Sha256};

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
