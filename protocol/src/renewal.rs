//! Asking for a new certificate with the one that is in force: what the old key signs.

/// What the key of the certificate in force signs, so that a request counts as its holder's and as nothing else.
///
/// `request_pem` is the certificate request (PKCS #10) of the new key, byte for byte as it is sent.
pub fn signed_bytes(request_pem: &str) -> Vec<u8> {
    [b"watchkeep/v1 renewal\0".as_slice(), request_pem.as_bytes()].concat()
}
