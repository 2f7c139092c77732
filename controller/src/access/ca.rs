//! The controller's own certificate authority.
//!
//! Made once under `DATA/ca/`: `ca.pem` (the certificate that agents trust), `ca-key.pem` (0600). The server certificate of
//! broker and HTTPS (`server.pem`, `server-key.pem`) is made anew at each start, so that its names follow the settings and
//! it never runs out in a controller that is restarted once a year. All keys are ECDSA P-256.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    PublicKeyData, RevokedCertParams, SerialNumber,
};
use sha2::{Digest as _, Sha256};
use watchkeep_protocol::topic::is_agent_name;

use super::holder::CertificateReader;
use super::{AccessError, hex, private_file, random};

const DAY: Duration = Duration::from_secs(86_400);
/// The CA itself lives this long.
const CA_LIFE: Duration = DAY.saturating_mul(20 * 365);
/// A server certificate, made anew at each start.
const SERVER_LIFE: Duration = DAY.saturating_mul(2 * 365);
/// An agent's certificate, where nothing else was asked for. The agent renews it; revoking ends it.
pub const AGENT_LIFE: Duration = DAY.saturating_mul(5 * 365);
/// A list of revoked certificates is taken for so long, milliseconds; past it brokers refuse everybody.
const REVOCATION_LIST_MS: i64 = 2 * 365 * 86_400_000;
/// Certificates begin this early, for hosts whose clock is behind; by as much as they live where that is less.
const BACKDATED: Duration = DAY;

/// A certificate authority, open for signing.
pub struct Ca {
    directory: PathBuf,
    pem: String,
    fingerprint: [u8; 32],
    issuer: Issuer<'static, KeyPair>,
    agent_life: Duration,
}

/// A certificate of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    pub agent: String,
    /// 32 lower-case hexadecimal digits; what revocation names.
    pub serial: String,
    pub pem: String,
    /// UTC milliseconds; to the second.
    pub not_after: i64,
}

/// The name in the controller's own client certificate, as a broker's ACL has it. No agent can have it: it is no name of one.
pub const CONTROLLER_NAME: &str = "_controller";

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    /// A secret.
    pub key: String,
}

/// Where the server's certificate and key lie, for those who want files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

impl Ca {
    /// Opens the CA under `data/ca/`, making it where there is none. `now` in UTC milliseconds.
    ///
    /// Errors: files that cannot be read or written; a key or certificate that is damaged, or only one of the two.
    pub fn open(data: &Path, now: i64) -> Result<Self, AccessError> {
        let directory = data.join("ca");
        private_file::create_directory(&directory)?;
        let (certificate, key) = (directory.join("ca.pem"), directory.join("ca-key.pem"));
        match (private_file::read(&certificate)?, private_file::read(&key)?) {
            (Some(pem), Some(key_pem)) => Self::load(directory, pem, &key_pem),
            (Some(_), None) => Err(AccessError::Damaged { path: key, found: "the CA's key is gone".to_owned() }),
            // The key is written first: without a certificate nobody has trusted it yet.
            (None, _) => {
                let (pem, key_pem) = create(now)?;
                private_file::write(&key, key_pem.as_bytes())?;
                private_file::write(&certificate, pem.as_bytes())?;
                Self::load(directory, pem, &key_pem)
            }
        }
    }

    fn load(directory: PathBuf, pem: String, key_pem: &str) -> Result<Self, AccessError> {
        let damaged =
            |file: &str, found: &str| AccessError::Damaged { path: directory.join(file), found: found.to_owned() };
        let key = KeyPair::from_pem(key_pem).map_err(|_| damaged("ca-key.pem", "is no private key in PEM"))?;
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .map_err(|_| damaged("ca.pem", "is no certificate in PEM"))?;
        let parsed = block.parse_x509().map_err(|_| damaged("ca.pem", "is no X.509 certificate"))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(damaged("ca.pem", "does not belong to the key in \"ca-key.pem\""));
        }
        let fingerprint = Sha256::digest(&block.contents).into();
        let issuer = Issuer::from_ca_cert_der(&block.contents.as_slice().into(), key)
            .map_err(failed("read the CA's certificate"))?;
        Ok(Self { directory, pem, fingerprint, issuer, agent_life: AGENT_LIFE })
    }

    /// The same, signing agents' certificates for so long: whole seconds, a second at least.
    #[must_use]
    pub fn agents_for(mut self, life: Duration) -> Self {
        self.agent_life = Duration::from_secs(life.as_secs().max(1));
        self
    }

    /// The CA's certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the DER of the CA's certificate: what enrolment tokens carry.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Makes the server certificate for `localhost`, `127.0.0.1`, `::1`, this host's name and `names` (DNS names or
    /// addresses), and leaves it with its key under `ca/`.
    pub fn server(&self, names: &[String], now: i64) -> Result<ServerFiles, AccessError> {
        let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        for name in own_name().into_iter().chain(names.iter().cloned()) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        let server = self.issue_server(all, "watchkeep controller", now)?;
        let files = ServerFiles {
            certificate: self.directory.join("server.pem"),
            key: self.directory.join("server-key.pem"),
            ca: self.directory.join("ca.pem"),
        };
        private_file::write(&files.key, server.key.as_bytes())?;
        private_file::write(&files.certificate, server.certificate.as_bytes())?;
        Ok(files)
    }

    /// A server certificate for a broker of another make, for `names` (DNS names or addresses) and nothing else.
    ///
    /// # Errors
    /// A name that no certificate can carry.
    pub fn broker(&self, names: &[String], now: i64) -> Result<Pair, AccessError> {
        self.issue_server(names.to_vec(), "watchkeep broker", now)
    }

    /// The certificate by which the controller is a client of such a broker, under [`CONTROLLER_NAME`].
    ///
    /// # Errors
    /// None of its own; a key that cannot be made.
    pub fn controller(&self, now: i64) -> Result<Pair, AccessError> {
        self.issue(CertificateParams::default(), CONTROLLER_NAME, ExtendedKeyUsagePurpose::ClientAuth, now)
    }

    /// The certificates that are revoked, for those who read it at every handshake: (serial, when), PEM.
    ///
    /// # Errors
    /// None of its own; it cannot be signed.
    pub fn revocation_list(&self, revoked: &[(String, i64)], now: i64) -> Result<String, AccessError> {
        let at = |millis| rcgen::date_time_ymd(1970, 1, 1) + since_epoch(millis);
        let entry = |(serial, when): &(String, i64)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&bytes_of_hex(serial)),
            revocation_time: at(*when),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: at(now),
            next_update: at(now.saturating_add(REVOCATION_LIST_MS)),
            crl_number: SerialNumber::from(u64::try_from(now).unwrap_or(0)),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(failed("sign the list of revoked certificates"))?;
        list.pem().map_err(failed("write the list of revoked certificates"))
    }

    /// Tells certificates of this CA from others.
    pub fn reader(&self) -> CertificateReader {
        CertificateReader::new(self.issuer.key().public_key_raw())
    }

    fn issue_server(&self, names: Vec<String>, called: &str, now: i64) -> Result<Pair, AccessError> {
        let params = CertificateParams::new(names).map_err(failed("name the server certificate"))?;
        self.issue(params, called, ExtendedKeyUsagePurpose::ServerAuth, now)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        called: &str,
        usage: ExtendedKeyUsagePurpose,
        now: i64,
    ) -> Result<Pair, AccessError> {
        let key = new_key()?;
        dress(&mut params, called, SERVER_LIFE, now, serial_bytes(random()));
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed("sign a certificate"))?;
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Signs a client certificate for `agent` over the public key of a request.
    ///
    /// Of the request only the key is taken: names, usages and extensions are the CA's own. `serial` comes from the edge.
    /// Errors: [`AccessError::Request`] for a name that is none, a request that does not parse or is not signed by its own
    /// key, and keys other than ECDSA P-256 and Ed25519.
    pub fn sign_agent(
        &self,
        agent: &str,
        request: &CertificateRequest,
        serial: [u8; 16],
        now: i64,
    ) -> Result<Issued, AccessError> {
        if !is_agent_name(agent) {
            return Err(AccessError::Request { found: format!("{agent:?} is no name for an agent") });
        }
        let serial = serial_bytes(serial);
        let mut params = CertificateParams::default();
        let not_after = dress(&mut params, agent, self.agent_life, now, serial);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate =
            params.signed_by(&request.0.public_key, &self.issuer).map_err(failed("sign a certificate"))?;
        Ok(Issued { agent: agent.to_owned(), serial: hex(&serial), pem: certificate.pem(), not_after })
    }
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// A request for a certificate (PKCS #10) whose self-signature held.
pub struct CertificateRequest(CertificateSigningRequestParams);

impl CertificateRequest {
    /// Reads a request in PEM and checks that whoever wrote it holds the key.
    pub fn parse(pem: &str) -> Result<Self, AccessError> {
        let bad = |found: &str| AccessError::Request { found: format!("the certificate request {found}") };
        let request = CertificateSigningRequestParams::from_pem(pem).map_err(|error| match error {
            rcgen::Error::InvalidCertificationRequestSignature => bad("is not signed by the key that it carries"),
            rcgen::Error::UnsupportedExtension => bad("asks for an extension that is not given here"),
            rcgen::Error::UnsupportedSignatureAlgorithm => bad("is signed by an algorithm that is not taken here"),
            _ => bad("does not parse as PKCS #10 in PEM"),
        })?;
        // The algorithm is that of the signature, which leaves the curve open: the key's length tells it.
        let (algorithm, length) = (request.public_key.algorithm(), request.public_key.der_bytes().len());
        let taken =
            (algorithm == &PKCS_ECDSA_P256_SHA256 && length == 65) || (algorithm == &PKCS_ED25519 && length == 32);
        if taken { Ok(Self(request)) } else { Err(bad("carries a key that is neither ECDSA P-256 nor Ed25519")) }
    }

    /// The key itself: a P-256 point, uncompressed, or 32 bytes of Ed25519.
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key.der_bytes()
    }
}

/// The serial as it is written everywhere: 16 bytes whose first is 0x40 to 0x7f, so that DER needs neither padding nor
/// stripping and the digits are always 32.
fn serial_bytes(mut drawn: [u8; 16]) -> [u8; 16] {
    drawn[0] = 0x40 | (drawn[0] & 0x3f);
    drawn
}

fn bytes_of_hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn create(now: i64) -> Result<(String, String), AccessError> {
    let key = new_key()?;
    let mut params = CertificateParams::default();
    let name = format!("watchkeep CA {}", hex(&random::<4>()));
    dress(&mut params, &name, CA_LIFE, now, serial_bytes(random()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(failed("sign the CA's own certificate"))?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// What all certificates have in common; returns when it ends, UTC milliseconds.
fn dress(params: &mut CertificateParams, name: &str, life: Duration, now: i64, serial: [u8; 16]) -> i64 {
    // Certificates tell whole seconds.
    let now = Duration::from_secs(since_epoch(now).as_secs());
    let end = now.saturating_add(life);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(life.min(BACKDATED));
    params.not_after = epoch + end;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    i64::try_from(end.as_millis()).unwrap_or(i64::MAX)
}

fn since_epoch(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn new_key() -> Result<KeyPair, AccessError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed("make a key"))
}

/// This host's name, where it is one that a certificate can carry.
fn own_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim().to_ascii_lowercase();
    is_agent_name(&name).then_some(name)
}

fn failed(doing: &'static str) -> impl FnOnce(rcgen::Error) -> AccessError {
    move |cause| AccessError::Certificate { doing, cause }
}

#[cfg(test)]
mod tests;
