use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};

use super::*;

const NOW: i64 = 1_800_000_000_000;

fn request(key: &KeyPair, name: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(key).expect("a request").pem().expect("PEM")
}

fn open() -> (tempfile::TempDir, Ca) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let ca = Ca::open(data.path(), NOW).expect("made");
    (data, ca)
}

#[test]
fn the_ca_is_made_once_and_its_key_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (data, first) = open();
    let again = Ca::open(data.path(), NOW + 1).expect("opened");
    assert_eq!((first.fingerprint(), first.pem()), (again.fingerprint(), again.pem()));
    let key = data.path().join("ca/ca-key.pem");
    assert_eq!(std::fs::metadata(&key).expect("metadata").permissions().mode() & 0o777, 0o600);
    let der = x509_parser::pem::parse_x509_pem(first.pem().as_bytes()).expect("PEM").1.contents;
    assert_eq!(first.fingerprint(), <[u8; 32]>::from(Sha256::digest(der)));
}

#[test]
fn a_certificate_names_the_agent_and_nothing_that_the_request_asked_for() {
    let (_data, ca) = open();
    let key = new_key().expect("a key");
    let mut wish = CertificateParams::new(vec!["controller.example".to_owned()]).expect("names");
    wish.distinguished_name.push(DnType::CommonName, "root");
    wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let pem = wish.serialize_request(&key).expect("a request").pem().expect("PEM");

    let request = CertificateRequest::parse(&pem).expect("a good request");
    let issued = ca.sign_agent("web-3", &request, [0xff; 16], NOW).expect("signed");

    let (_, block) = x509_parser::pem::parse_x509_pem(issued.pem.as_bytes()).expect("PEM");
    let cert = block.parse_x509().expect("a certificate");
    assert_eq!(cert.subject().to_string(), "CN=web-3");
    assert_eq!(cert.tbs_certificate.serial.to_str_radix(16), issued.serial);
    assert_eq!(issued.serial, "7fffffffffffffffffffffffffffffff");
    assert!(cert.subject_alternative_name().expect("parses").is_none());
    assert!(!cert.is_ca());
    let usage = cert.extended_key_usage().expect("parses").expect("there").value;
    assert!(usage.client_auth && !usage.server_auth);
    assert_eq!(cert.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
    assert_eq!(cert.validity().not_after.timestamp() * 1000, issued.not_after);
    assert!(cert.validity().not_before.timestamp() * 1000 < NOW - 3_600_000);
}

#[test]
fn a_request_is_refused_for_what_is_wrong_with_it() {
    let key = new_key().expect("a key");
    let good = request(&key, "web-3");
    let tampered = tamper(&good);
    let other_curve = request(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key"), "web-3");
    for (pem, expected) in [
        (tampered.as_str(), "is not signed by the key that it carries"),
        ("", "does not parse as PKCS #10 in PEM"),
        (&good[..good.len() / 2], "does not parse as PKCS #10 in PEM"),
        (other_curve.as_str(), "carries a key that is neither ECDSA P-256 nor Ed25519"),
    ] {
        let error = CertificateRequest::parse(pem).err().expect("refused").to_string();
        assert_eq!(error, format!("the certificate request {expected}"));
    }
    assert!(CertificateRequest::parse(&good).is_ok());
}

/// As OpenSSL 3 writes it (`openssl req -new`), with its empty list of attributes.
const BY_OPENSSL: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIHKMHICAQAwEDEOMAwGA1UEAwwFd2ViLTMwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAQ+tCkvJv/l2PSzKjbOJJXZM3n1oyNbdrBSZ1pn1PCd49v+J4Gw1mYgXsbX
rCXkQR5nPX9p99EU520rsSXDmHa8oAAwCgYIKoZIzj0EAwIDSAAwRQIgNo0DC01m
Pw03lIDi0zhV4hvpCMdSB/G5pO+bxKoZjeMCIQDQ5XK6cQIYXa7AvGe4gvBFdy0P
8zVrhwQX1vy39KXq4g==
-----END CERTIFICATE REQUEST-----
";

#[test]
fn a_request_by_another_library_is_taken() {
    let (_data, ca) = open();
    let request = CertificateRequest::parse(BY_OPENSSL).expect("a good request");
    assert_eq!(request.public_key().len(), 65);
    ca.sign_agent("web-3", &request, [1; 16], NOW).expect("signed");
}

/// One bit of the common name flipped, the signature left as it was.
fn tamper(pem: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let mut der = STANDARD.decode(body).expect("base64");
    let at = der.windows(5).position(|bytes| bytes == b"web-3").expect("the name is in it");
    der[at] ^= 1;
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", STANDARD.encode(der))
}

#[test]
fn a_name_that_is_none_gets_no_certificate() {
    let (_data, ca) = open();
    let request = CertificateRequest::parse(&request(&new_key().expect("a key"), "x")).expect("a good request");
    for name in ["", "Web-3", "web/3", "-web", "web\u{0}"] {
        assert!(ca.sign_agent(name, &request, [1; 16], NOW).is_err(), "{name:?}");
    }
}

#[test]
fn the_server_certificate_carries_all_names() {
    let (_data, ca) = open();
    let files = ca.server(&["controller.example".to_owned(), "192.0.2.7".to_owned()], NOW).expect("made");
    let pem = std::fs::read(&files.certificate).expect("read");
    let block = x509_parser::pem::parse_x509_pem(&pem).expect("PEM").1;
    let cert = block.parse_x509().expect("a certificate");
    let names = cert.subject_alternative_name().expect("parses").expect("there").value.general_names.len();
    let own = usize::from(own_name().is_some_and(|name| name != "localhost"));
    assert_eq!(names, 5 + own);
    cert.verify_signature(Some(ca_certificate(&ca).public_key())).expect("signed by the CA");
}

fn ca_certificate(ca: &Ca) -> x509_parser::certificate::X509Certificate<'static> {
    let block = x509_parser::pem::parse_x509_pem(ca.pem().as_bytes()).expect("PEM").1;
    let der: &'static [u8] = Box::leak(block.contents.into_boxed_slice());
    x509_parser::parse_x509_certificate(der).expect("a certificate").1
}

#[test]
fn a_ca_without_its_key_or_with_another_is_refused_by_name() {
    let (data, _) = open();
    let (other, _) = open();
    let key = data.path().join("ca/ca-key.pem");
    std::fs::copy(other.path().join("ca/ca-key.pem"), &key).expect("copied");
    let error = Ca::open(data.path(), NOW).expect_err("refused").to_string();
    assert!(error.contains("ca/ca.pem") && error.contains("does not belong to the key"), "{error}");
    std::fs::remove_file(&key).expect("removed");
    let error = Ca::open(data.path(), NOW).expect_err("refused").to_string();
    assert!(error.contains("ca/ca-key.pem") && error.contains("is gone"), "{error}");
}
