//! Who may: the controller's own certificate authority, its signing keys, enrolment tokens, API tokens, and people with their
//! passwords and sessions.
//!
//! What is secret lies in files of mode 0600 under the data directory, or in the database only as a hash; in memory it is a
//! [`Secret`], whose `Debug` is blank. Chance is drawn here, at the edge, and handed to what decides.

pub mod api_tokens;
pub mod attempts;
pub mod ca;
pub mod certificates;
pub mod enrolment_tokens;
pub mod holder;
pub mod keys;
pub mod passwords;
pub mod people;
pub mod private_file;
pub mod roles;
mod secret;
pub mod sessions;
mod tokens;

pub use secret::Secret;

/// What went wrong with a key, a certificate or their files.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// `read`, `write`, `create the directory`.
    #[error("{doing} \"{}\"", path.display())]
    File {
        doing: &'static str,
        path: std::path::PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// The file is there and is not what was written.
    #[error("\"{}\": {found}; restore it from a backup", path.display())]
    Damaged { path: std::path::PathBuf, found: String },
    #[error("{doing}")]
    Certificate {
        doing: &'static str,
        #[source]
        cause: rcgen::Error,
    },
    /// A request for a certificate that is not signed; `found` is for the one who asked.
    #[error("{found}")]
    Request { found: String },
}

/// Random bytes for serial numbers, secrets and salts.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes what is written");
        text
    })
}
