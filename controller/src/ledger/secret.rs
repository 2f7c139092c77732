//! The installation's secret for salts.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::hmac;

/// 32 random bytes from which the salts of bodies derive. `Debug` shows none of them.
#[derive(Clone)]
pub struct LedgerSecret(hmac::Key);

impl LedgerSecret {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    }

    /// Reads the secret from `path`; makes it there, mode 0600 and synced, where there is none.
    ///
    /// Errors: a file of another length is refused, and left as it is.
    pub fn read_or_make(path: &Path) -> std::io::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => bytes.try_into().map(Self::new).map_err(|found: Vec<u8>| {
                let found =
                    format!("{} holds {} bytes where 32 belong; restore it from a backup", path.display(), found.len());
                std::io::Error::new(std::io::ErrorKind::InvalidData, found)
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(path).map(Self::new),
            Err(error) => Err(error),
        }
    }

    /// The salt of one entry's body.
    pub fn salt(&self, chain: &str, seq: u64) -> [u8; 16] {
        let mut named = hmac::Context::with_key(&self.0);
        named.update(b"watchkeep salt 1");
        named.update(&seq.to_be_bytes());
        named.update(chain.as_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&named.sign().as_ref()[..16]);
        salt
    }
}

fn make(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    // Written whole under another name first: a crash must not leave half a secret, which every later start would refuse.
    let draft = path.with_extension("draft");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(bytes)
}

impl fmt::Debug for LedgerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger.secret");
        let first = LedgerSecret::read_or_make(&path).expect("made").salt("desk", 1);
        assert_eq!(LedgerSecret::read_or_make(&path).expect("read").salt("desk", 1), first);
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn half_a_secret_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger.secret");
        std::fs::write(&path, [1; 7]).expect("written");
        let error = LedgerSecret::read_or_make(&path).expect_err("refused").to_string();
        assert!(error.contains("holds 7 bytes where 32 belong"), "{error}");
    }

    #[test]
    fn salts_differ_by_chain_and_place() {
        let secret = LedgerSecret::new([7; 32]);
        assert_ne!(secret.salt("desk", 1), secret.salt("desk", 2));
        assert_ne!(secret.salt("desk", 1), secret.salt("shard", 1));
        assert_eq!(format!("{secret:?}"), "LedgerSecret(…)");
    }
}
