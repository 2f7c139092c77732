//! What both kinds of token share: a secret that is kept only as its hash, compared in constant time.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sha2::{Digest as _, Sha256};

/// SHA-256 of a secret. The secrets are 32 random bytes, so that a plain hash resists guessing.
pub fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Whether `secret` is the one whose hash is kept; takes as long whatever the answer.
pub fn matches(kept: &[u8], secret: &[u8]) -> bool {
    verify_slices_are_equal(kept, &hash(secret)).is_ok()
}
