//! Files from disk.

use std::path::{Path, PathBuf};

use super::load;
use crate::fault::{Fault, Faults, UNREADABLE};
use crate::model::RuleBook;

/// Files that one directory may bring.
const FILES_MAX: usize = 10_000;
/// The controller's settings, which stand beside rules and are read by others.
const SETTINGS_FILE: &str = "watchkeep.yaml";
/// Directories within directories that are followed.
const DEPTH_MAX: usize = 8;

/// Reads and loads files and directories. Of a directory every `.yaml` and `.yml` is taken, sorted by path, but for
/// folders named `tests`, for `watchkeep.yaml` and for what begins with a dot.
pub fn read(paths: &[PathBuf]) -> Result<RuleBook, Faults> {
    load(&read_files(paths)?)
}

/// The texts that [`read`] loads.
pub fn read_files(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, Faults> {
    let mut found = Vec::new();
    let mut faults = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => walk(path, 0, &mut found, &mut faults),
            false => found.push(path.clone()),
        }
    }
    let mut files = Vec::with_capacity(found.len());
    for path in found {
        match std::fs::read_to_string(&path) {
            Ok(text) => files.push((path, text)),
            Err(error) => faults.push(unreadable(&path, &error)),
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(Faults::of([faults])) }
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>, faults: &mut Vec<Fault>) {
    let entries = std::fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return faults.push(unreadable(folder, &error)),
    };
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if name != "tests" && depth < DEPTH_MAX {
                walk(&path, depth + 1, found, faults);
            }
        } else if (name.ends_with(".yaml") || name.ends_with(".yml")) && name != SETTINGS_FILE {
            if found.len() == FILES_MAX {
                let message = format!("the directory has more than {FILES_MAX} rule files");
                return faults.push(Fault::of_file(folder.display().to_string(), message));
            }
            found.push(path);
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::of_file(path.display().to_string(), format!("{UNREADABLE}{error}"))
}
