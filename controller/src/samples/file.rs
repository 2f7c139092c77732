//! Block files: what one worker's hosts were measured at in one stretch of time.
//!
//! ```text
//! "WKSAMP01"                                8 bytes
//! hosts, one behind the other               StoredHost, protobuf
//! index                                     Index, protobuf
//! offset of the index   u64, little-endian
//! bytes of the index    u32
//! CRC-32C of the index  u32
//! "WKSAMPND"                                8 bytes
//! ```
//!
//! The index says of each host where its part is, its CRC-32C, the stretch of time that it has samples of, and how far it
//! covers the agent's stream; so a query reads the index and the parts of the hosts that it asks for. A file is named
//! `<instant of sealing, ms>-<worker>.samples`.

use std::collections::BTreeMap;
use std::io;

use prost::Message;
use watchkeep_protocol::layout::{Block, Instance, Metric, Template};

use super::chunk::StoredChunk;
use super::folder::Folder;
use crate::ledger::crc32c;

const BEGIN: &[u8; 8] = b"WKSAMP01";
const END: &[u8; 8] = b"WKSAMPND";
const FOOT: usize = 24;
/// A larger index or part is damage.
const PART_MAX: usize = 256 << 20;

/// One host's part.
#[derive(Clone, PartialEq, Message)]
pub struct StoredHost {
    /// The host's own columns; their shapes are in the index.
    #[prost(message, repeated, tag = "1")]
    pub chunks: Vec<StoredChunk>,
    #[prost(message, repeated, tag = "2")]
    pub derived: Vec<StoredDerived>,
}

/// Series that rules wrote: a column each.
#[derive(Clone, PartialEq, Message)]
pub struct StoredDerived {
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<Metric>,
    #[prost(message, required, tag = "2")]
    pub chunk: StoredChunk,
}

#[derive(Clone, PartialEq, Message)]
pub struct Index {
    #[prost(sint64, tag = "1")]
    pub sealed_at: i64,
    #[prost(message, repeated, tag = "2")]
    templates: Vec<Template>,
    #[prost(message, repeated, tag = "3")]
    shapes: Vec<Shape>,
    /// By agent.
    #[prost(message, repeated, tag = "4")]
    pub hosts: Vec<IndexedHost>,
    /// Of a coarse block: the block files that it was made of.
    #[prost(string, repeated, tag = "5")]
    pub covers: Vec<String>,
}

/// A block's template and instances.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
struct Shape {
    #[prost(uint32, tag = "1")]
    template: u32,
    /// The values of each instance, one behind the other.
    #[prost(string, repeated, tag = "2")]
    values: Vec<String>,
    #[prost(uint32, tag = "3")]
    instances: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct IndexedHost {
    #[prost(string, tag = "1")]
    pub agent: String,
    /// Where its part is in the file, and the CRC-32C of it.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    #[prost(uint32, tag = "3")]
    pub length: u32,
    #[prost(fixed32, tag = "4")]
    pub checksum: u32,
    /// First and last instant that it has samples of; `until < from`: none.
    #[prost(sint64, tag = "5")]
    pub from: i64,
    #[prost(sint64, tag = "6")]
    pub until: i64,
    /// The spool whose reports below `covered` are in this file or one before it; empty: of none.
    #[prost(string, tag = "7")]
    pub spool: String,
    #[prost(uint64, tag = "8")]
    pub covered: u64,
    /// The labels of its enrolment at that time.
    #[prost(btree_map = "string, string", tag = "9")]
    pub labels: BTreeMap<String, String>,
    /// Reports of the spool beyond `covered` that are here, too, though one before them was missing: first and next number of
    /// each stretch, one behind the other.
    #[prost(uint64, repeated, tag = "10")]
    pub beyond: Vec<u64>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    #[error("read block file \"{name}\"")]
    Disk { name: String, source: io::Error },
    #[error("block file \"{name}\" is damaged: {found}")]
    Damaged { name: String, found: String },
}

/// Puts a file together.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    index: Index,
}

impl Writer {
    pub fn new(sealed_at: i64) -> Self {
        Self { bytes: BEGIN.to_vec(), index: Index { sealed_at, ..Index::default() } }
    }

    /// It is made of these block files.
    pub fn covers(&mut self, names: &[String]) {
        self.index.covers = names.to_vec();
    }

    /// The number of a shape, for the chunks that have it.
    pub fn shape(&mut self, template: &Template, instances: &[&Instance]) -> u32 {
        let template = place_of(&mut self.index.templates, template);
        let values = instances.iter().flat_map(|instance| instance.values.iter().cloned()).collect();
        let instances = instances.len() as u32;
        place_of(&mut self.index.shapes, &Shape { template, values, instances })
    }

    /// Adds a host's part; those of one file come in the order of their names. What `indexed` says of its place is set here.
    pub fn host(&mut self, indexed: IndexedHost, host: &StoredHost) {
        let offset = self.bytes.len();
        host.encode(&mut self.bytes).expect("a vector takes all bytes");
        self.index.hosts.push(IndexedHost {
            offset: offset as u64,
            length: (self.bytes.len() - offset) as u32,
            checksum: crc32c(&[&self.bytes[offset..]]),
            ..indexed
        });
    }

    /// The whole file.
    pub fn end(mut self) -> Vec<u8> {
        let offset = self.bytes.len();
        self.index.encode(&mut self.bytes).expect("a vector takes all bytes");
        let length = (self.bytes.len() - offset) as u32;
        let checksum = crc32c(&[&self.bytes[offset..]]);
        self.bytes.extend_from_slice(&(offset as u64).to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        self.bytes.extend_from_slice(END);
        self.bytes
    }
}

/// The place of `wanted`, which joins the list where it is not there. The newest are looked at first: hosts that look alike
/// mostly come one behind the other.
fn place_of<T: Clone + PartialEq>(known: &mut Vec<T>, wanted: &T) -> u32 {
    const LOOKED_AT: usize = 64;
    let newest = known.iter().enumerate().rev().take(LOOKED_AT);
    let place = newest.filter(|(_, other)| *other == wanted).map(|(place, _)| place).next();
    let place = place.unwrap_or_else(|| {
        known.push(wanted.clone());
        known.len() - 1
    });
    place as u32
}

/// A file's name.
pub fn name(sealed_at: i64, worker: usize) -> String {
    format!("{sealed_at:014}-{worker}.samples")
}

/// When a file of that name was sealed; `None`: it is no block file.
pub fn sealed_at(name: &str) -> Option<i64> {
    name.strip_suffix(".samples")?.split_once('-')?.0.parse().ok()
}

/// Reads a file's index.
///
/// # Errors
/// It is torn or damaged, or the disk says no.
pub fn index(folder: &Folder, name: &str) -> Result<Index, FileFault> {
    let damaged = |found: String| FileFault::Damaged { name: name.to_owned(), found };
    let length = folder.length(name).map_err(disk(name))?;
    let Some(foot_at) = length.checked_sub(FOOT as u64).filter(|at| *at >= BEGIN.len() as u64) else {
        return Err(damaged(format!("it has {length} bytes only")));
    };
    let foot = folder.read(name, foot_at, FOOT).map_err(disk(name))?;
    let begin = folder.read(name, 0, BEGIN.len()).map_err(disk(name))?;
    if begin != BEGIN || &foot[16..] != END {
        return Err(damaged("it is torn, or of another version".to_owned()));
    }
    let (offset, length) = (u64_of(&foot[..8]), u32_of(&foot[8..12]));
    if offset.checked_add(u64::from(length)) != Some(foot_at) {
        return Err(damaged("its index is not where it says".to_owned()));
    }
    let index = part(folder, name, offset, length, u32_of(&foot[12..16]))?;
    let index = Index::decode(index.as_slice()).map_err(|error| damaged(format!("its index: {error}")))?;
    let known = |shape: &Shape| index.templates.get(shape.template as usize).is_some_and(|of| of.fits(shape));
    if let Some(place) = index.shapes.iter().position(|shape| !known(shape)) {
        return Err(damaged(format!("its shape {place} does not fit a template")));
    }
    Ok(index)
}

impl Index {
    /// Whether series in this file have an `instance` of their own that is `wanted`: of a target that an agent scraped, say.
    pub fn names_instance(&self, wanted: &str) -> bool {
        self.shapes.iter().any(|shape| {
            let labels =
                self.templates.get(shape.template as usize).map(|template| template.instance_labels.as_slice());
            let labels = labels.unwrap_or_default();
            let place = labels.iter().position(|label| label == "instance");
            place
                .is_some_and(|place| shape.values.iter().skip(place).step_by(labels.len()).any(|value| value == wanted))
        })
    }

    /// The shape that chunks name by number.
    pub fn shape(&self, number: u32) -> Option<Block> {
        let shape = self.shapes.get(number as usize)?;
        let template = self.templates.get(shape.template as usize)?.clone();
        let labels = template.instance_labels.len();
        let values = |place: usize| shape.values[place * labels..(place + 1) * labels].to_vec();
        let instances = (0..shape.instances as usize).map(|place| Instance { values: values(place) }).collect();
        Some(Block { template, instances })
    }

    /// Reads one host's part.
    ///
    /// # Errors
    /// As [`index`].
    pub fn host(&self, folder: &Folder, name: &str, host: &IndexedHost) -> Result<StoredHost, FileFault> {
        let bytes = part(folder, name, host.offset, host.length, host.checksum)?;
        StoredHost::decode(bytes.as_slice()).map_err(|error| FileFault::Damaged {
            name: name.to_owned(),
            found: format!("its part for \"{}\": {error}", host.agent),
        })
    }
}

trait Fits {
    fn fits(&self, shape: &Shape) -> bool;
}

impl Fits for Template {
    fn fits(&self, shape: &Shape) -> bool {
        shape.values.len() == self.instance_labels.len() * shape.instances as usize
    }
}

fn part(folder: &Folder, name: &str, offset: u64, length: u32, checksum: u32) -> Result<Vec<u8>, FileFault> {
    let damaged = |found: String| FileFault::Damaged { name: name.to_owned(), found };
    if length as usize > PART_MAX {
        return Err(damaged(format!("a part says that it has {length} bytes, none is over {PART_MAX}")));
    }
    let bytes = folder.read(name, offset, length as usize).map_err(disk(name))?;
    if crc32c(&[&bytes]) != checksum {
        return Err(damaged(format!("the checksum of its {length} bytes from byte {offset} on is wrong")));
    }
    Ok(bytes)
}

/// A file that ends too early is damaged, not a disk that says no.
fn disk(name: &str) -> impl Fn(io::Error) -> FileFault {
    let name = name.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            FileFault::Damaged { name: name.clone(), found: "it ends before one of its parts does".to_owned() }
        }
        _ => FileFault::Disk { name: name.clone(), source },
    }
}

fn u64_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
}
