//! Small files that are there whole or not at all, and readable by their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::AccessError;

/// Makes the directory, mode 0700, with those above it.
pub fn create_directory(path: &Path) -> Result<(), AccessError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create the directory", path))
}

/// Puts `content` at `path` with mode 0600: written beside it, synced, renamed over it, the directory synced.
pub fn write(path: &Path, content: &[u8]) -> Result<(), AccessError> {
    let beside = path.with_extension("new");
    let put = || {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    put().map_err(failed("write", path))
}

/// The file's text, or `None` where there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, AccessError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AccessError {
    let path = path.to_owned();
    move |cause| AccessError::File { doing, path, cause }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_private_and_replaced_whole() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("key.pem");
        assert!(read(&path).expect("no file is no error").is_none());
        for content in ["first", "second"] {
            write(&path, content.as_bytes()).expect("written");
            assert_eq!(read(&path).expect("read").as_deref(), Some(content));
        }
        let mode = fs::metadata(&path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_a_crash_left_beside_it_is_no_obstacle() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("key.pem");
        fs::write(path.with_extension("new"), "half").expect("written");
        write(&path, b"whole").expect("written over what was left");
        assert_eq!(read(&path).expect("read").as_deref(), Some("whole"));
    }
}
