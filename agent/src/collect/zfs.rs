//! What ZFS counts: its cache, its log, its pools and their datasets, from `/proc/spl/kstat/zfs`.
//!
//! A kstat is a line about itself, a heading and then `name type data`; a pool's `io` is a heading and a line of numbers.
//! [Source: OpenZFS, module/os/linux/spl/spl-kstat.c; names as in node_exporter's collector `zfs`]

use std::path::PathBuf;

use watchkeep_protocol::MetricKind::{Gauge, Untyped};

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::proc_text::ProcText;
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

/// File, and how its metrics begin behind `node_zfs_`.
const FILES: [(&str, &str); 11] = [
    ("abdstats", "abd"),
    ("arcstats", "arc"),
    ("dbuf_stats", "dbuf"),
    ("dbufstats", "dbuf"),
    ("dmu_tx", "dmu_tx"),
    ("fm", "fm"),
    ("vdev_cache_stats", "vdev_cache"),
    ("vdev_mirror_stats", "vdev_mirror"),
    ("xuio_stats", "xuio"),
    ("zfetchstats", "zfetch"),
    ("zil", "zil"),
];
const STATES: [&str; 6] = ["online", "degraded", "faulted", "offline", "removed", "unavail"];
const STATE: Family<'_> = Family { name: "node_zfs_zpool_state", kind: Gauge, help: "kstat.zfs.misc.state" };

pub struct Zfs {
    entries: Folder<Entry>,
}

enum Entry {
    Kstat { prefix: &'static str, text: ProcText },
    Pool { folder: PathBuf, state: Attribute, io: ProcText, datasets: Folder<ProcText> },
}

impl Zfs {
    pub fn new(root: &Root) -> Self {
        Self { entries: Folder::seldom(root.join("proc/spl/kstat/zfs")) }
    }
}

impl Sparse for Zfs {
    fn name(&self) -> &'static str {
        "zfs"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let entries = self.entries.look(|path, name| {
            if path.is_dir() {
                let (state, io) = (Attribute::default(), ProcText::new(path.join("io")));
                return Some(Entry::Pool {
                    folder: path.to_owned(),
                    state,
                    io,
                    datasets: Folder::new(path.to_owned()),
                });
            }
            let (_, prefix) = FILES.iter().find(|(file, _)| *file == name)?;
            Some(Entry::Kstat { prefix, text: ProcText::new(path.to_owned()) })
        })?;
        for (name, entry) in entries {
            match entry {
                Entry::Kstat { prefix, text } => {
                    let Ok(text) = text.read() else { continue };
                    for (field, value) in fields(&text) {
                        set(families, prefix, name, field, &[], value);
                    }
                }
                Entry::Pool { folder, state, io, datasets } => {
                    if let Some(state) = state.line(folder, "state") {
                        let state = state.text().to_ascii_lowercase();
                        for known in STATES {
                            let is_it = f64::from(u8::from(state == known));
                            families.set(STATE, &[("state", known), ("zpool", name)], is_it);
                        }
                    }
                    pool(families, name, io, datasets);
                }
            }
        }
        Ok(())
    }
}

/// A pool's reads and writes, where the version of ZFS counts them, and those of its datasets.
fn pool(families: &mut Families<'_>, pool: &str, io: &mut ProcText, datasets: &mut Folder<ProcText>) {
    if let Ok(text) = io.read_if_there() {
        let mut lines = text.lines().skip(1);
        if let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
                if let Ok(value) = value.parse() {
                    set(families, "zpool", "io", name, &[("zpool", pool)], value);
                }
            }
        }
    }
    let open = |path: &std::path::Path, name: &str| name.starts_with("objset-").then(|| ProcText::new(path.to_owned()));
    let Ok(datasets) = datasets.look(open) else { return };
    for (_, text) in datasets {
        let Ok(text) = text.read() else { continue };
        // `dataset_name  7  tank/home`; a dataset's name may have spaces.
        let dataset = text.lines().find_map(|line| {
            let rest = line.strip_prefix("dataset_name")?.trim_start().strip_prefix("7")?;
            Some(rest.trim())
        });
        let Some(dataset) = dataset else { continue };
        for (field, value) in fields(&text) {
            set(families, "zpool_dataset", "objset", field, &[("dataset", dataset), ("zpool", pool)], value);
        }
    }
}

fn set(families: &mut Families<'_>, prefix: &str, file: &str, field: &str, labels: &[(&str, &str)], value: f64) {
    let clean = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String =
        ["node_zfs_", prefix, "_"].into_iter().flat_map(str::chars).chain(field.chars().map(clean)).collect();
    let help = format!("kstat.zfs.misc.{file}.{field}");
    families.set(Family { name: &name, kind: Untyped, help: &help }, labels, value);
}

/// Numbers of a kstat: type 3 is signed, 4 is not.
fn fields(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines().skip(2).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (name, kind, value) = (words.next()?, words.next()?, words.next()?);
        ["3", "4"].contains(&kind).then_some((name, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn counters_a_pool_s_state_and_datasets_with_odd_names() {
        let files = TempFiles::new();
        for (path, text) in [
            (
                "arcstats",
                "6 1 0x01 91 4368 1 2\nname type data\nhits 4 18446744073709551615\nodd-name 3 -5\ntext 7 x\ntorn 4\n",
            ),
            ("dbgmsg", "1 2 3\nname type data\nx 4 1\n"),
            ("tank/state", "SUSPENDED\n"),
            ("tank/objset-0x36", "a\nname type data\ndataset_name 7 tank/my data\nreads 4 9\n"),
            ("tank/txgs", "x"),
        ] {
            files.write(&format!("proc/spl/kstat/zfs/{path}"), text);
        }
        let seen = SparseStage::of(Zfs::new(&files.root())).read();
        assert_eq!(seen.value("node_zfs_arc_hits", &[]), Some(18_446_744_073_709_551_615.0));
        assert_eq!(seen.value("node_zfs_arc_odd_name", &[]), Some(-5.0));
        let dataset = [("dataset", "tank/my data"), ("zpool", "tank")];
        assert_eq!(seen.value("node_zfs_zpool_dataset_reads", &dataset), Some(9.0));
        assert_eq!(seen.value("node_zfs_zpool_state", &[("state", "online"), ("zpool", "tank")]), Some(0.0));
        assert_eq!(seen.lines().len(), 3 + STATES.len());
    }
}
