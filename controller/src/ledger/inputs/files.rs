//! The log's files: names, making, cutting and removing, each seen to reach the disk.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::InputLogError;

/// The name of the file whose first input has the order `first`.
pub(super) fn name(first: u64) -> String {
    format!("{first:08}.log")
}

/// The files of inputs with the orders that they begin with, lowest first. What is named otherwise is not of the log.
pub(super) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, InputLogError> {
    list_ending(folder, "log")
}

/// The files `ORDER.ENDING`, lowest order first.
pub(super) fn list_ending(folder: &Path, ending: &str) -> Result<Vec<(u64, PathBuf)>, InputLogError> {
    let failed = |cause| InputLogError::io("list", folder, cause);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let stem = path.file_stem().filter(|_| path.extension().is_some_and(|found| found == ending));
        let number = stem.and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let Some(first) = number.filter(|first| *first > 0) {
            files.push((first, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Readable by its owner alone: inputs hold what people wrote and commands said.
pub(super) fn make_folder(folder: &Path) -> Result<(), InputLogError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|cause| InputLogError::io("make", folder, cause))
}

/// Makes a file that begins with `format`. Nothing may be there by that name.
pub(super) fn create(folder: &Path, path: &Path, format: &[u8]) -> Result<File, InputLogError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(format)?;
        file.sync_all()?;
        Ok(file)
    });
    let file = made.map_err(|cause| InputLogError::io("make", path, cause))?;
    sync_folder(folder)?;
    Ok(file)
}

/// Makes a file that is to be put in the place of another, over what an earlier attempt left.
pub(super) fn make_anew(path: &Path) -> Result<File, InputLogError> {
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    made.map_err(|cause| InputLogError::io("make", path, cause))
}

/// Gives a whole, synced file its name.
pub(super) fn put_in_place(folder: &Path, from: &Path, to: &Path) -> Result<(), InputLogError> {
    std::fs::rename(from, to).map_err(|cause| InputLogError::io("put in place", to, cause))?;
    sync_folder(folder)
}

pub(super) fn open(path: &Path) -> Result<File, InputLogError> {
    OpenOptions::new().write(true).open(path).map_err(|cause| InputLogError::io("open", path, cause))
}

pub(super) fn truncate(path: &Path, length: u64) -> Result<(), InputLogError> {
    let file = open(path)?;
    let cut = file.set_len(length).and_then(|()| file.sync_all());
    cut.map_err(|cause| InputLogError::io("cut", path, cause))
}

pub(super) fn remove(folder: &Path, path: &Path) -> Result<(), InputLogError> {
    std::fs::remove_file(path).map_err(|cause| InputLogError::io("remove", path, cause))?;
    sync_folder(folder)
}

/// A name made or removed is durable only once its folder is.
fn sync_folder(folder: &Path) -> Result<(), InputLogError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| InputLogError::io("sync", folder, cause))
}
