//! Errors of the memory that were corrected and that could not be, by controller and row, from `/sys/devices/system/edac`.
//! [Source: kernel, Documentation/admin-guide/RAS/main.rst]

use std::path::{Path, PathBuf};

use watchkeep_protocol::MetricKind::Counter;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

const CORRECTABLE: Family<'_> =
    Family { name: "node_edac_correctable_errors_total", kind: Counter, help: "Total correctable memory errors." };
const UNCORRECTABLE: Family<'_> =
    Family { name: "node_edac_uncorrectable_errors_total", kind: Counter, help: "Total uncorrectable memory errors." };
const ROW_CORRECTABLE: Family<'_> = Family {
    name: "node_edac_csrow_correctable_errors_total",
    kind: Counter,
    help: "Total correctable memory errors for this csrow.",
};
const ROW_UNCORRECTABLE: Family<'_> = Family {
    name: "node_edac_csrow_uncorrectable_errors_total",
    kind: Counter,
    help: "Total uncorrectable memory errors for this csrow.",
};

pub struct Edac {
    controllers: Folder<Controller>,
}

struct Controller {
    number: String,
    counts: [Count; 2],
    /// Each row with its two; `unknown` is of what the controller could not place.
    rows: Vec<(String, [Count; 2])>,
}

/// One file.
struct Count {
    folder: PathBuf,
    file: &'static str,
    attribute: Attribute,
}

impl Edac {
    pub fn new(root: &Root) -> Self {
        Self { controllers: Folder::seldom(root.join("sys/devices/system/edac/mc")) }
    }
}

impl Controller {
    fn open(folder: &Path, number: &str) -> Self {
        let count = |folder: &Path, file| Count { folder: folder.to_owned(), file, attribute: Attribute::default() };
        let counts = |folder: &Path, files: [&'static str; 2]| files.map(|file| count(folder, file));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut rows: Vec<_> = names
            .filter_map(|name| {
                let row = name.strip_prefix("csrow")?.to_owned();
                Some((row, counts(&folder.join(&name), ["ce_count", "ue_count"])))
            })
            .collect();
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        rows.push(("unknown".to_owned(), counts(folder, ["ce_noinfo_count", "ue_noinfo_count"])));
        Self { number: number.to_owned(), counts: counts(folder, ["ce_count", "ue_count"]), rows }
    }
}

impl Sparse for Edac {
    fn name(&self) -> &'static str {
        "edac"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let controllers = self.controllers.look(|folder, name| {
            let number = name.strip_prefix("mc").filter(|number| number.parse::<u32>().is_ok())?;
            Some(Controller::open(folder, number))
        })?;
        for (_, Controller { number, counts, rows }) in controllers {
            for (count, family) in counts.iter_mut().zip([CORRECTABLE, UNCORRECTABLE]) {
                if let Some(value) = count.attribute.number(&count.folder, count.file) {
                    families.set(family, &[("controller", number)], value);
                }
            }
            for (place, family) in [ROW_CORRECTABLE, ROW_UNCORRECTABLE].into_iter().enumerate() {
                for (row, counts) in rows.iter_mut() {
                    let Count { folder, file, attribute } = &mut counts[place];
                    if let Some(value) = attribute.number(folder, file) {
                        families.set(family, &[("controller", number), ("csrow", row)], value);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn errors_are_counted_by_controller_and_row() {
        let files = TempFiles::new();
        for (path, text) in [
            ("mc0/ce_count", "3\n"),
            ("mc0/ue_count", "1\n"),
            ("mc0/ce_noinfo_count", "2\n"),
            ("mc0/csrow2/ce_count", "1\n"),
            ("mc0/csrow2/ue_count", "1\n"),
            ("mcx/ce_count", "9\n"),
            ("power/ce_count", "9\n"),
        ] {
            files.write(&format!("sys/devices/system/edac/mc/{path}"), text);
        }
        assert_eq!(
            SparseStage::of(Edac::new(&files.root())).read().lines(),
            [
                "node_edac_correctable_errors_total{controller=\"0\"} 3",
                "node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"2\"} 1",
                "node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"unknown\"} 2",
                "node_edac_csrow_uncorrectable_errors_total{controller=\"0\",csrow=\"2\"} 1",
                "node_edac_uncorrectable_errors_total{controller=\"0\"} 1",
            ]
        );
    }
}
