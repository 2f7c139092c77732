//! The layouts that held reports name: files `layout-ID`, so that reports from before a start can still be read.

use std::collections::VecDeque;

use prost::Message as _;
use watchkeep_protocol::{Block, Layout};

use super::{Disk, SpoolError, failed};

/// Layouts kept at most; the oldest goes. A host has a handful in a day.
const MOST: usize = 64;

pub struct Layouts {
    /// Files, oldest first as far as known.
    files: VecDeque<String>,
}

impl Layouts {
    pub fn of(files: &[String]) -> Self {
        Self { files: files.iter().filter(|file| file.starts_with("layout-") && file.len() == 71).cloned().collect() }
    }

    pub fn put<D: Disk>(&mut self, disk: &mut D, blocks: &[Block]) -> Result<[u8; 32], SpoolError> {
        let id = Layout::content_id(blocks);
        let file = file_of(&id);
        if self.files.contains(&file) {
            return Ok(id);
        }
        let layout = Layout { id: id.to_vec(), blocks: blocks.to_vec(), change: None };
        disk.replace(&file, &layout.encode_to_vec()).map_err(failed("write", &file))?;
        self.files.push_back(file);
        while self.files.len() > MOST {
            let oldest = self.files.pop_front().expect("there are more than none");
            disk.remove(&oldest).map_err(failed("remove", &oldest))?;
        }
        Ok(id)
    }

    pub fn get<D: Disk>(&self, disk: &mut D, id: &[u8]) -> Result<Option<Vec<Block>>, SpoolError> {
        let file = file_of(id);
        if !self.files.contains(&file) {
            return Ok(None);
        }
        let bytes = disk.read(&file).map_err(failed("read", &file))?;
        // The content's hash is its checksum.
        let layout = Layout::decode(bytes.as_slice()).ok().filter(|layout| Layout::content_id(&layout.blocks) == *id);
        Ok(layout.map(|layout| layout.blocks))
    }
}

fn file_of(id: &[u8]) -> String {
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("layout-{digits}")
}
