//! What the input log says when it cannot.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum InputLogError {
    #[error("{doing} \"{path}\"")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// A record that was whole once is not any more.
    #[error("\"{path}\" at byte {offset}: {found}; inputs from there on cannot be replayed from this file")]
    Damaged { path: PathBuf, offset: u64, found: String },
    /// A file that is no input log, or of a later format.
    #[error("\"{path}\" does not begin with \"{format}\"; move it out of the folder")]
    Format { path: PathBuf, format: &'static str },
    #[error("input {found} was to be written where {expected} belongs")]
    Order { expected: u64, found: u64 },
    #[error("input {order} has {bytes} bytes; the log takes 16 MiB")]
    TooLarge { order: u64, bytes: usize },
    #[error("\"{path}\": an earlier write failed and could not be taken back; open the log again")]
    Unknown { path: PathBuf },
}

impl InputLogError {
    pub(super) fn io(doing: &'static str, path: &Path, cause: std::io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), cause }
    }
}
