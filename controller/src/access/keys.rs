//! Ed25519 keys of the controller: one signs commands to agents, one signs the ledger's checkpoints.
//!
//! Files `DATA/keys/command.pem` and `DATA/keys/checkpoint.pem`, PKCS #8 in PEM, mode 0600, made at first use. A key's id
//! is the first 8 bytes of SHA-256 of the public key, as commands name it.

use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{AccessError, private_file};

/// What a key is for; each has a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Command,
    Checkpoint,
}

impl Purpose {
    fn file(self) -> &'static str {
        match self {
            Self::Command => "command.pem",
            Self::Checkpoint => "checkpoint.pem",
        }
    }
}

/// A signing key.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Opens the key of `purpose` under `data/keys/`, making it where there is none.
    pub fn open(data: &Path, purpose: Purpose) -> Result<Self, AccessError> {
        let directory = data.join("keys");
        private_file::create_directory(&directory)?;
        let path = directory.join(purpose.file());
        if let Some(text) = private_file::read(&path)? {
            return Self::from_pem(&text, &path);
        }
        let key = Self::generate();
        private_file::write(&path, key.to_pem().as_bytes())?;
        Ok(key)
    }

    /// The key of `purpose` under `data/keys/`; none where it was never made.
    pub fn read(data: &Path, purpose: Purpose) -> Result<Option<Self>, AccessError> {
        let path = data.join("keys").join(purpose.file());
        private_file::read(&path)?.map(|text| Self::from_pem(&text, &path)).transpose()
    }

    /// A key that lives in memory alone.
    pub fn generate() -> Self {
        Self { pair: Ed25519KeyPair::generate().expect("the operating system gives random bytes") }
    }

    /// The first 8 bytes of SHA-256 of the public key.
    pub fn id(&self) -> [u8; 8] {
        key_id(self.public_key())
    }

    /// 32 bytes.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The public key in base64, as the answer to an enrolment gives it.
    pub fn public_key_text(&self) -> String {
        STANDARD.encode(self.public_key())
    }

    /// 64 bytes over `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }

    fn from_pem(text: &str, path: &Path) -> Result<Self, AccessError> {
        let damaged = || AccessError::Damaged { path: path.to_owned(), found: "is no Ed25519 key in PEM".to_owned() };
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = STANDARD.decode(body).map_err(|_| damaged())?;
        Ok(Self { pair: Ed25519KeyPair::from_pkcs8(&der).map_err(|_| damaged())? })
    }

    fn to_pem(&self) -> String {
        let der = self.pair.to_pkcs8().expect("a key that was made can be written");
        let body = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &super::hex(&self.id())).finish_non_exhaustive()
    }
}

/// The id of a public key.
pub fn key_id(public_key: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(public_key).into();
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    id
}

/// Whether `signature` over `message` is by the holder of `public_key`.
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_each_purpose_has_its_own() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let first = SigningKey::open(data.path(), Purpose::Command).expect("made");
        let again = SigningKey::open(data.path(), Purpose::Command).expect("read");
        let other = SigningKey::open(data.path(), Purpose::Checkpoint).expect("made");
        assert_eq!(first.public_key(), again.public_key());
        assert_ne!(first.id(), other.id());
        assert!(verify(again.public_key(), b"message", &first.sign(b"message")));
        assert!(!verify(again.public_key(), b"massage", &first.sign(b"message")));
        assert!(!verify(other.public_key(), b"message", &first.sign(b"message")));
        let mode = fs::metadata(data.path().join("keys/command.pem")).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_named_with_its_file_and_never_shown() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let key = SigningKey::open(data.path(), Purpose::Command).expect("made");
        let path = data.path().join("keys/command.pem");
        let text = fs::read_to_string(&path).expect("read");
        fs::write(&path, text.replace('M', "N")).expect("written");
        let error = SigningKey::open(data.path(), Purpose::Command).expect_err("refused").to_string();
        assert!(error.contains("keys/command.pem") && error.contains("is no Ed25519 key"), "{error}");
        assert_eq!(format!("{key:?}"), format!("SigningKey {{ id: \"{}\", .. }}", super::super::hex(&key.id())));
    }
}
