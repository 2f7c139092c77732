//! The host's key and its certificate request: PKCS#10 (RFC 2986) in DER, written by hand.
//!
//! A request of one name and no attributes is four nested sequences; rcgen for it costs twelve crates in the agent.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::{EnrolError, files};

/// An ECDSA P-256 key, made on this host.
pub struct HostKey {
    pair: EcdsaKeyPair,
}

impl HostKey {
    /// Opens the key at `path`, making it where there is none.
    pub fn open(path: &Path) -> Result<Self, EnrolError> {
        let pkcs8 = match files::read(path)? {
            Some(pem) => from_pem(&pem).ok_or_else(|| damaged(path))?,
            None => {
                let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                    .expect("the operating system gives random bytes");
                files::write(path, to_pem("PRIVATE KEY", made.as_ref()).as_bytes())?;
                made.as_ref().to_vec()
            }
        };
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new())
            .map(|pair| Self { pair })
            .map_err(|_| damaged(path))
    }

    /// The key in this PEM text; `None` where it is none.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let pkcs8 = from_pem(pem)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new()).ok()?;
        Some(Self { pair })
    }

    /// Whether this certificate (DER) carries the key.
    pub fn is_in(&self, certificate: &[u8]) -> bool {
        let public = self.pair.public_key().as_ref();
        certificate.windows(public.len()).any(|part| part == public)
    }

    /// ECDSA with SHA-256 over `message`, ASN.1.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        signature.expect("the operating system gives random bytes").as_ref().to_vec()
    }

    /// A request for a certificate of this name, signed by the key, PEM.
    pub fn request_pem(&self, name: &str) -> String {
        let info = self.request_info(name);
        let algorithm = sequence(&[&ECDSA_WITH_SHA256]);
        let request = sequence(&[&info, &algorithm, &bit_string(&self.sign(&info))]);
        to_pem("CERTIFICATE REQUEST", &request)
    }

    /// `CertificationRequestInfo`: version 0, the name, the public key, no attributes.
    fn request_info(&self, name: &str) -> Vec<u8> {
        let common_name = sequence(&[&COMMON_NAME, &tlv(0x0c, name.as_bytes())]);
        let subject = sequence(&[&tlv(0x31, &common_name)]);
        let algorithm = sequence(&[&EC_PUBLIC_KEY, &PRIME256V1]);
        let public_key = sequence(&[&algorithm, &bit_string(self.pair.public_key().as_ref())]);
        sequence(&[&[0x02, 0x01, 0x00], &subject, &public_key, &[0xa0, 0x00]])
    }
}

// Object identifiers with tag and length.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03]; // 2.5.4.3
const EC_PUBLIC_KEY: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]; // 1.2.840.10045.2.1
const PRIME256V1: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]; // 1.2.840.10045.3.1.7
const ECDSA_WITH_SHA256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]; // 1.2.840.10045.4.3.2

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A bit string of whole bytes.
fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}

fn damaged(path: &Path) -> EnrolError {
    EnrolError::Damaged { path: path.to_owned(), found: "is no ECDSA P-256 key in PEM; move it away".to_owned() }
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The content of the first block of a PEM text.
pub(super) fn from_pem(pem: &str) -> Option<Vec<u8>> {
    let mut lines = pem.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN "));
    lines.next()?;
    let body: String = lines.take_while(|line| !line.starts_with("-----END ")).collect();
    STANDARD.decode(body).ok().filter(|der| !der.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

    /// The content of the first value in `der`, and what follows it.
    fn first(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, head) = match der[1] {
            0x81 => (usize::from(der[2]), 3),
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
            short => (usize::from(short), 2),
        };
        (&der[head..head + length], &der[head + length..])
    }

    #[test]
    fn a_request_is_signed_by_the_key_that_it_carries_and_names_the_agent() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = HostKey::open(&directory.path().join("key.pem")).expect("a key");
        let long = "a".repeat(200);
        for name in ["web-1", &long] {
            let der = from_pem(&key.request_pem(name)).expect("PEM");
            let (request, rest) = first(&der);
            assert!(rest.is_empty());
            let info_length = request.len() - first(request).1.len();
            let (info, after) = request.split_at(info_length);
            let (_, signature) = after.split_at(after.len() - first(after).1.len());
            let (signature, rest) = first(signature);
            assert!(rest.is_empty());
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.pair.public_key().as_ref());
            assert!(public.verify(info, &signature[1..]).is_ok());
            assert!(info.windows(name.len()).any(|part| part == name.as_bytes()));
        }
    }

    #[test]
    fn a_key_is_made_once_private_and_used_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key.pem");
        let first = HostKey::open(&path).expect("a key");
        let again = HostKey::open(&path).expect("the same key");
        assert_eq!(first.pair.public_key().as_ref(), again.pair.public_key().as_ref());
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "nonsense").expect("damaged");
        assert!(HostKey::open(&path).is_err_and(|error| error.to_string().contains("no ECDSA P-256 key")));
    }
}
