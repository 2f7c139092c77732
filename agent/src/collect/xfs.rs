//! What XFS has done on each of its devices, from `/sys/fs/xfs/<device>/stats/stats`: a line a subject, numbers by place.
//! [Source: kernel, fs/xfs/xfs_stats.h; names as in node_exporter's collector `xfs`]

use watchkeep_protocol::MetricKind::Counter;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::proc_text::ProcText;
use super::sysfs::Folder;
use crate::root::Root;

/// The line, the number's place in it, the metric behind `node_xfs_`, and its help.
#[rustfmt::skip]
const COLUMNS: [(&str, usize, &str, &str); 39] = [
    ("extent_alloc", 0, "extent_allocation_extents_allocated_total", "Number of extents allocated for a filesystem."),
    ("extent_alloc", 1, "extent_allocation_blocks_allocated_total", "Number of blocks allocated for a filesystem."),
    ("extent_alloc", 2, "extent_allocation_extents_freed_total", "Number of extents freed for a filesystem."),
    ("extent_alloc", 3, "extent_allocation_blocks_freed_total", "Number of blocks freed for a filesystem."),
    ("abt", 0, "allocation_btree_lookups_total", "Number of allocation B-tree lookups for a filesystem."),
    ("abt", 1, "allocation_btree_compares_total", "Number of allocation B-tree compares for a filesystem."),
    ("abt", 2, "allocation_btree_records_inserted_total", "Number of allocation B-tree records inserted for a filesystem."),
    ("abt", 3, "allocation_btree_records_deleted_total", "Number of allocation B-tree records deleted for a filesystem."),
    ("blk_map", 0, "block_mapping_reads_total", "Number of block map for read operations for a filesystem."),
    ("blk_map", 1, "block_mapping_writes_total", "Number of block map for write operations for a filesystem."),
    ("blk_map", 2, "block_mapping_unmaps_total", "Number of block unmaps (deletes) for a filesystem."),
    ("blk_map", 3, "block_mapping_extent_list_insertions_total", "Number of extent list insertions for a filesystem."),
    ("blk_map", 4, "block_mapping_extent_list_deletions_total", "Number of extent list deletions for a filesystem."),
    ("blk_map", 5, "block_mapping_extent_list_lookups_total", "Number of extent list lookups for a filesystem."),
    ("blk_map", 6, "block_mapping_extent_list_compares_total", "Number of extent list compares for a filesystem."),
    ("bmbt", 0, "block_map_btree_lookups_total", "Number of block map B-tree lookups for a filesystem."),
    ("bmbt", 1, "block_map_btree_compares_total", "Number of block map B-tree compares for a filesystem."),
    ("bmbt", 2, "block_map_btree_records_inserted_total", "Number of block map B-tree records inserted for a filesystem."),
    ("bmbt", 3, "block_map_btree_records_deleted_total", "Number of block map B-tree records deleted for a filesystem."),
    ("dir", 0, "directory_operation_lookup_total", "Number of file name lookups which miss the directory name cache."),
    ("dir", 1, "directory_operation_create_total", "Number of times a new directory entry was created for a filesystem."),
    ("dir", 2, "directory_operation_remove_total", "Number of times an existing directory entry was created for a filesystem."),
    ("dir", 3, "directory_operation_getdents_total", "Number of times the directory getdents operation was performed for a filesystem."),
    ("ig", 0, "inode_operation_attempts_total", "Number of times the OS looked for an XFS inode in the inode cache."),
    ("ig", 1, "inode_operation_found_total", "Number of times the OS looked for and found an XFS inode in the inode cache."),
    ("ig", 2, "inode_operation_recycled_total", "Number of times an inode was found in the cache, but was being recycled."),
    ("ig", 3, "inode_operation_missed_total", "Number of times an inode was not in the inode cache."),
    ("ig", 4, "inode_operation_duplicates_total", "Number of times an inode to be added was in the inode cache already."),
    ("ig", 5, "inode_operation_reclaims_total", "Number of times an inode left the inode cache to free memory."),
    ("ig", 6, "inode_operation_attribute_changes_total", "Number of times the OS explicitly changed the attributes of an XFS inode."),
    ("rw", 0, "write_calls_total", "Number of write(2) system calls made to files in a filesystem."),
    ("rw", 1, "read_calls_total", "Number of read(2) system calls made to files in a filesystem."),
    ("vnodes", 0, "vnode_active_total", "Number of vnodes not on free lists for a filesystem."),
    ("vnodes", 1, "vnode_allocate_total", "Number of times vn_alloc called for a filesystem."),
    ("vnodes", 2, "vnode_get_total", "Number of times vn_get called for a filesystem."),
    ("vnodes", 3, "vnode_hold_total", "Number of times vn_hold called for a filesystem."),
    ("vnodes", 4, "vnode_release_total", "Number of times vn_rele called for a filesystem."),
    ("vnodes", 5, "vnode_reclaim_total", "Number of times vn_reclaim called for a filesystem."),
    ("vnodes", 6, "vnode_remove_total", "Number of times vn_remove called for a filesystem."),
];

pub struct Xfs {
    devices: Folder<ProcText>,
    names: [String; COLUMNS.len()],
}

impl Xfs {
    pub fn new(root: &Root) -> Self {
        let names = COLUMNS.map(|(_, _, name, _)| format!("node_xfs_{name}"));
        Self { devices: Folder::seldom(root.join("sys/fs/xfs")), names }
    }
}

impl Sparse for Xfs {
    fn name(&self) -> &'static str {
        "xfs"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let devices = self.devices.look(|folder, _| {
            let file = folder.join("stats/stats");
            // The sum of all devices lies beside them, in `stats`.
            file.is_file().then(|| ProcText::new(file))
        })?;
        for (device, file) in devices {
            let Ok(text) = file.read() else { continue };
            for ((line, place, _, help), name) in COLUMNS.iter().zip(&self.names) {
                if let Some(value) = value(&text, line, *place) {
                    families.set(Family { name, kind: Counter, help }, &[("device", device)], value);
                }
            }
        }
        Ok(())
    }
}

fn value(text: &str, line: &str, place: usize) -> Option<f64> {
    let numbers = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '))?;
    numbers.split_ascii_whitespace().nth(place)?.parse::<u64>().ok().map(|value| value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn a_number_is_known_by_its_line_and_place() {
        let files = TempFiles::new();
        files.write("sys/fs/xfs/sda1/stats/stats", "rwx 9 9\nrw 12 34\nabt2 1\nextent_alloc 1 torn\n");
        files.write("sys/fs/xfs/stats/stats", "rw 99 99\n");
        assert_eq!(
            SparseStage::of(Xfs::new(&files.root())).read().lines(),
            [
                "node_xfs_extent_allocation_extents_allocated_total{device=\"sda1\"} 1",
                "node_xfs_read_calls_total{device=\"sda1\"} 34",
                "node_xfs_write_calls_total{device=\"sda1\"} 12",
            ]
        );
    }
}
