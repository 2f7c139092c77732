//! Secrets that a request carries. They are named by file, read with each request, and never shown.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The largest secret, bytes.
const SECRET_BYTES: u64 = 16 << 10;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// `Authorization: KIND SECRET`, mostly `Bearer`.
    Authorization {
        kind: String,
        credentials_file: PathBuf,
    },
    Basic {
        username: String,
        password_file: PathBuf,
    },
}

/// Why a secret cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("read the secret in \"{}\"", path.display())]
pub struct SecretError {
    path: PathBuf,
    source: io::Error,
}

impl Secret {
    /// The header of a request.
    ///
    /// # Errors
    /// The file cannot be read, or is no line of text.
    pub fn header(&self) -> Result<(String, String), SecretError> {
        let value = match self {
            Self::Authorization { kind, credentials_file } => format!("{kind} {}", line_of(credentials_file)?),
            Self::Basic { username, password_file } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", line_of(password_file)?)))
            }
        };
        Ok(("Authorization".to_owned(), value))
    }
}

fn line_of(path: &Path) -> Result<String, SecretError> {
    let failed = |source| SecretError { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > SECRET_BYTES {
        return Err(failed(io::Error::other(format!("it has {length} bytes, more than {SECRET_BYTES}"))));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let line = text.trim();
    if line.is_empty() || line.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(failed(io::Error::other("it is not one line of text")));
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_becomes_a_header_and_never_two() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        std::fs::write(&file, "pass\n").expect("is written");
        let basic = Secret::Basic { username: "Aladdin".to_owned(), password_file: file.clone() };
        assert_eq!(basic.header().expect("is read").1, "Basic QWxhZGRpbjpwYXNz");
        let bearer = Secret::Authorization { kind: "Bearer".to_owned(), credentials_file: file.clone() };
        assert_eq!(bearer.header().expect("is read").1, "Bearer pass");
        std::fs::write(&file, "pass\r\nX-Evil: 1\n").expect("is written");
        let fault = bearer.header().expect_err("is refused");
        assert!(!format!("{fault:?}").contains("pass"), "a secret is never shown");
    }
}
