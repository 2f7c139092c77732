//! Passwords: argon2id with the crate's parameters (19 MiB, two passes: OWASP's "Password Storage" names them as the least).
//!
//! A check takes some tens of milliseconds of one core on purpose; callers keep it off the async threads and bound how many
//! run at once.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use super::Secret;

/// Characters of a password: NIST SP 800-63B-4 asks for 15 where it is the only factor, and to take at least 64.
pub const LENGTH: std::ops::RangeInclusive<usize> = 15..=128;

/// What is compared for somebody who has no password or does not exist, so that the answer takes as long. Nobody's password:
/// its hash was cut off from 32 random bytes that were thrown away.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$d2F0Y2hrZWVwbm9ib2R5IQ$sYrBnSXd6Ui0VA5Wdbr6nMw3DYqJgDvDPQwu8WnK5l0";

/// Why a password is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password has {found} characters; it takes {} to {}: some words with spaces do", LENGTH.start(), LENGTH.end())]
    Length { found: usize },
    #[error("the password is the name; anybody would try that first")]
    IsName,
    #[error("hash the password: {0}")]
    Hash(String),
}

/// The text that is kept of a password.
///
/// # Errors
/// Its length, or that it is the name; see [`PasswordError`].
pub fn hash(name: &str, password: &Secret<String>) -> Result<String, PasswordError> {
    let text = password.reveal();
    let found = text.chars().count();
    if !LENGTH.contains(&found) {
        return Err(PasswordError::Length { found });
    }
    if text.eq_ignore_ascii_case(name) {
        return Err(PasswordError::IsName);
    }
    let hashed = Argon2::default().hash_password(text.as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hash(error.to_string()))
}

/// Whether `password` is the one of which `kept` was kept; takes as long where nothing was.
pub fn matches(kept: Option<&str>, password: &Secret<String>) -> bool {
    let verified = PasswordHash::new(kept.unwrap_or(NOBODY))
        .is_ok_and(|hash| Argon2::default().verify_password(password.reveal().as_bytes(), &hash).is_ok());
    verified && kept.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_password_is_known_by_its_argon2id_hash_alone() {
        let password = secret("correct horse battery");
        let kept = hash("alice", &password).expect("it is taken");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !kept.contains("horse"), "{kept}");
        assert_ne!(hash("alice", &password), Ok(kept.clone()), "each has a salt of its own");
        assert!(matches(Some(&kept), &password));
        assert!(!matches(Some(&kept), &secret("correct horse batterY")));
        assert!(!matches(None, &password) && !matches(Some("no hash"), &password));
    }

    #[test]
    fn nobody_s_hash_is_one_that_takes_as_long() {
        let nobody = PasswordHash::new(NOBODY).expect("it is a hash");
        let kept = hash("alice", &secret("correct horse battery")).expect("it is taken");
        let kept = PasswordHash::new(&kept).expect("it is a hash");
        assert_eq!((nobody.algorithm, &nobody.params), (kept.algorithm, &kept.params));
        assert_eq!(nobody.hash.map(|hash| hash.len()), kept.hash.map(|hash| hash.len()));
    }

    #[test]
    fn a_short_an_endless_and_an_obvious_one_are_refused_in_words() {
        for (name, password, says) in [
            ("alice", "hunter2", "has 7 characters; it takes 15 to 128"),
            ("alice", &"x".repeat(129), "has 129 characters"),
            ("alice-of-the-night-shift", "Alice-of-the-Night-Shift", "is the name"),
        ] {
            let refused = hash(name, &secret(password)).expect_err("it is refused").to_string();
            assert!(refused.contains(says) && !refused.contains(password), "{refused}");
        }
    }
}
