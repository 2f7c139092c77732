//! Private files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::Path;

use super::EnrolError;

/// The largest file of an identity, bytes.
const LARGEST: u64 = 1 << 20;

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EnrolError {
    let path = path.to_owned();
    move |source| EnrolError::File { doing, path, source }
}

/// Makes a directory of mode 0700 with what leads to it. Made by root, it belongs to the owner of the directory above, so
/// that the unprivileged agent can read what an operator enrolled.
pub fn make_directory(path: &Path) -> Result<(), EnrolError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the directory", path))?;
    inherit_owner(path)
}

/// Reads a text file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<String>, EnrolError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(failed("read", path))?;
    Ok(Some(text))
}

/// Writes a file of mode 0600 beside its place, syncs it, renames it there and syncs the directory.
pub fn write(path: &Path, content: &[u8]) -> Result<(), EnrolError> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed("write", &beside))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed("write", &beside))?;
    inherit_owner(&beside)?;
    fs::rename(&beside, path).map_err(failed("put in place", path))?;
    sync(path.parent().unwrap_or(Path::new(".")))
}

/// Makes what was renamed or removed in this directory durable.
pub fn sync(directory: &Path) -> Result<(), EnrolError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("sync", directory))
}

/// Gives `path` the owner of the directory that it lies in, where they differ (then this is root, or it fails).
fn inherit_owner(path: &Path) -> Result<(), EnrolError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let owner = fs::metadata(parent).map_err(failed("look at", parent))?;
    let own = fs::metadata(path).map_err(failed("look at", path))?;
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        // Without the right to give files away (an ordinary user under /tmp), it stays ours, which is as private.
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
    Ok(())
}
