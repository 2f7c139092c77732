//! Who holds a certificate of the CA's: read from the certificate itself, for brokers that cannot be believed about it.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ED25519};
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use super::{AccessError, hex};

/// Tells certificates of the CA from others. Cheap to clone.
#[derive(Clone)]
pub struct CertificateReader {
    /// The CA's own key: a P-256 point, uncompressed.
    ca_key: Vec<u8>,
}

/// Who a certificate names. Whether it is in force is the registry's to say.
#[derive(Clone, PartialEq, Eq)]
pub struct Holder {
    pub name: String,
    /// 32 lower-case hexadecimal digits.
    pub serial: String,
    key: Vec<u8>,
    is_ed25519: bool,
}

impl CertificateReader {
    pub(super) fn new(ca_key: &[u8]) -> Self {
        Self { ca_key: ca_key.to_vec() }
    }

    /// Reads a client certificate (DER) that this CA signed and that holds at `now`, UTC milliseconds.
    ///
    /// # Errors
    /// [`AccessError::Request`]: what is wrong with it.
    pub fn read(&self, der: &[u8], now: i64) -> Result<Holder, AccessError> {
        let wrong = |found: &str| AccessError::Request { found: format!("the certificate {found}") };
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| wrong("cannot be read"))?;
        if !rest.is_empty() {
            return Err(wrong("has something behind it"));
        }
        let signed = certificate.tbs_certificate.as_ref();
        if !holds(&ECDSA_P256_SHA256_ASN1, &self.ca_key, signed, &certificate.signature_value.data) {
            return Err(wrong("is not by this controller's CA"));
        }
        let at = ASN1Time::from_timestamp(now / 1_000).map_err(|_| wrong("is asked about at no time"))?;
        if !certificate.validity().is_valid_at(at) {
            return Err(wrong("is not valid now"));
        }
        let usage = certificate.extended_key_usage().ok().flatten();
        if !usage.is_some_and(|usage| usage.value.client_auth) {
            return Err(wrong("is none of a client"));
        }
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let name = name.ok_or_else(|| wrong("names nobody"))?.to_owned();
        let algorithm = &certificate.public_key().algorithm;
        let is_ed25519 = algorithm.algorithm == OID_SIG_ED25519;
        let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        if !is_ed25519 && (algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY || curve != Some(OID_EC_P256)) {
            return Err(wrong("carries a key that is neither ECDSA P-256 nor Ed25519"));
        }
        let key = certificate.public_key().subject_public_key.data.to_vec();
        Ok(Holder { name, serial: hex(certificate.raw_serial()), key, is_ed25519 })
    }
}

impl Holder {
    /// Whether `signature` over `message` is by the certificate's key.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = if self.is_ed25519 { &ED25519 } else { &ECDSA_P256_SHA256_ASN1 };
        UnparsedPublicKey::new(algorithm, &self.key).verify(message, signature).is_ok()
    }
}

fn holds(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use crate::access::ca::{Ca, CertificateRequest};

    const NOW: i64 = 1_795_000_000_000;
    const YEAR: i64 = 365 * 86_400_000;

    fn der(pem: &str) -> Vec<u8> {
        x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM").1.contents
    }

    fn agent(ca: &Ca, key: &KeyPair) -> Vec<u8> {
        let request = CertificateParams::default().serialize_request(key).expect("a request").pem().expect("PEM");
        let request = CertificateRequest::parse(&request).expect("a good request");
        der(&ca.sign_agent("web-3", &request, [7; 16], NOW).expect("signed").pem)
    }

    #[test]
    fn a_certificate_of_the_ca_tells_its_holder_and_no_other_does() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let ca = Ca::open(data.path(), NOW).expect("a CA");
        let reader = ca.reader();
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).expect("a key");
            let certificate = agent(&ca, &key);
            let holder = reader.read(&certificate, NOW).expect("one of ours");
            assert_eq!((holder.name.as_str(), holder.serial.len()), ("web-3", 32));
            let signature = rcgen::SigningKey::sign(&key, b"message").expect("signed");
            assert!(holder.signed(b"message", &signature));
            assert!(!holder.signed(b"massage", &signature));

            let mut touched = certificate.clone();
            let at = touched.windows(5).position(|part| part == b"web-3").expect("its name is in it");
            touched[at] = b'x';
            for (what, certificate, now) in [
                ("another name", touched, NOW),
                ("too late", certificate.clone(), NOW + 6 * YEAR),
                ("too early", certificate.clone(), NOW - YEAR),
                ("cut short", certificate[..200].to_vec(), NOW),
            ] {
                assert!(reader.read(&certificate, now).is_err(), "{what}");
            }
        }
    }

    #[test]
    fn neither_another_ca_nor_a_server_makes_an_agent() {
        let (data, others) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let (ca, other) = (Ca::open(data.path(), NOW).expect("a CA"), Ca::open(others.path(), NOW).expect("a CA"));
        let key = KeyPair::generate().expect("a key");
        assert!(ca.reader().read(&agent(&other, &key), NOW).is_err());
        let broker = ca.broker(&["broker.lan".to_owned()], NOW).expect("a certificate");
        assert!(ca.reader().read(&der(&broker.certificate), NOW).is_err());
        assert!(ca.reader().read(&der(ca.pem()), NOW).is_err(), "the CA itself");
    }
}
