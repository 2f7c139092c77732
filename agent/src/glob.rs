//! Files by pattern: `*` and `?` in the last part of a path.

use std::io;
use std::path::{Path, PathBuf};

pub use crate::policy::glob as fits;

/// Entries of one folder that are looked at.
const ENTRIES: usize = 10_000;

/// The files that a path names, in order of their names: itself, or those whose names fit its last part. At most `most`, the
/// rest is left out.
///
/// # Errors
/// The folder cannot be listed.
pub fn files(path: &str, most: usize) -> io::Result<Vec<PathBuf>> {
    let whole = Path::new(path);
    let (Some(folder), Some(pattern)) = (whole.parent(), whole.file_name().and_then(|name| name.to_str())) else {
        return Ok(vec![whole.to_owned()]);
    };
    if !pattern.contains(['*', '?']) {
        return Ok(vec![whole.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(ENTRIES) {
        let path = entry?.path();
        let named = path.file_name().is_some_and(|name| fits(pattern, &name.to_string_lossy()));
        if named && path.is_file() {
            found.push(path);
        }
    }
    found.sort_unstable();
    found.truncate(most);
    Ok(found)
}

/// Whether a path has a pattern where none may stand: before its last part.
pub fn is_deep(path: &str) -> bool {
    Path::new(path).parent().is_some_and(|folder| folder.to_string_lossy().contains(['*', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_the_files_that_fit_it() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.log", "a.log", "a.txt"] {
            std::fs::write(folder.path().join(name), "").expect("is written");
        }
        std::fs::create_dir(folder.path().join("c.log")).expect("is made");
        let named = |pattern: &str, most| {
            let files = files(&folder.path().join(pattern).to_string_lossy(), most).expect("is listed");
            files
                .iter()
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(named("*.log", 9), ["a.log", "b.log"]);
        assert_eq!(named("*.log", 1), ["a.log"]);
        assert_eq!(named("?.txt", 9), ["a.txt"]);
        assert_eq!(named("not there", 9), ["not there"], "a plain path names itself");
        assert!(files("/no/such/folder/*", 9).is_err());
        assert!(is_deep("/var/*/a.log") && !is_deep("/var/log/*.log"));
    }
}
