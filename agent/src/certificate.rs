//! Certificates in PEM files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use crate::enrol::Validity;

const BEGIN: &str = "-----BEGIN ";
const KINDS: [&str; 3] = ["CERTIFICATE-----", "X509 CERTIFICATE-----", "TRUSTED CERTIFICATE-----"];

/// The content of each certificate (DER) in a PEM text; keys and what is no base64 are passed over.
pub fn all_in_pem(text: &str) -> impl Iterator<Item = Vec<u8>> {
    text.split(BEGIN).skip(1).filter_map(|block| {
        let (kind, rest) = block.split_once('\n')?;
        let body = rest.split("-----END").next().filter(|_| KINDS.contains(&kind.trim_end()))?;
        let body: String = body.split_ascii_whitespace().collect();
        STANDARD.decode(body).ok().filter(|der| !der.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_found_between_keys_and_comments() {
        let text = "subject=a\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n\
                    -----BEGIN CERTIFICATE-----\r\nAQ\r\nID\r\n-----END CERTIFICATE-----\r\n\
                    -----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nBAUG\n";
        assert_eq!(all_in_pem(text).collect::<Vec<_>>(), [vec![1, 2, 3], vec![4, 5, 6]]);
        assert_eq!(all_in_pem("-----BEGIN ").count(), 0);
    }
}
