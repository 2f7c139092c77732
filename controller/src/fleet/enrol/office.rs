//! The office: takes a token, a name and a certificate request, or an agent's certificate and a request, and grants a
//! certificate or says why not. Blocking.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use watchkeep_protocol::renewal;
use watchkeep_protocol::token::Token;
use watchkeep_protocol::topic::is_agent_name;

use crate::access::ca::{Ca, CertificateRequest, Issued};
use crate::access::certificates::{self, Certificate};
use crate::access::enrolment_tokens::{self, EnrolmentToken, TokenRefusal};
use crate::access::holder::CertificateReader;
use crate::access::{AccessError, random};
use crate::store::{Store, StoreError, Tx, writing};

/// Runs when a certificate was written, and returns when the desk has taken it as an input (and [`certificates::mark_told`]
/// is committed with that input), or says why not. It may block for a few seconds. The agent gets its certificate after,
/// so that whoever connects is known.
pub type Tell = Box<dyn Fn(&Certificate) -> Result<(), String> + Send + Sync>;

/// Where enrolments are decided.
pub struct Office {
    /// A connection that writes, of the office's own.
    store: Mutex<Box<dyn Store>>,
    ca: Ca,
    /// Of the same CA.
    reader: CertificateReader,
    given: Given,
    tell: Tell,
}

/// What an agent sends to get a new certificate.
#[derive(Clone, Debug)]
pub struct Renewal<'a> {
    /// The certificate in force, DER.
    pub certificate: &'a [u8],
    /// Of the new key, PEM.
    pub request_pem: &'a str,
    /// By the key of the certificate in force, over [`renewal::signed_bytes`].
    pub signature: &'a [u8],
}

/// What every agent is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// `mqtts://host:port`.
    pub broker: String,
    /// Whether that broker is not the controller's own, so that messages carry a MAC.
    pub sealed: bool,
    /// Ed25519 public keys in base64: whose commands the host's `act` may obey.
    pub command_keys: Vec<String>,
}

/// What a host gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The name in the certificate; another than the host asked for where that was taken.
    pub name: String,
    pub certificate_pem: String,
    pub ca_pem: String,
    pub given: Given,
}

/// Why a host is not enrolled; the sentences are for the operator who ran `enroll`.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("the token cannot be read: {found}")]
    TokenDamaged { found: String },
    #[error("{0}")]
    Token(#[from] TokenRefusal),
    #[error(
        "{found:?} is no name for an agent: lower-case letters, digits, dots and hyphens, none of the two at an end, 253 \
         bytes at most"
    )]
    Name { found: String },
    #[error("{0}")]
    Request(AccessError),
    #[error("\"{wanted}\" and a thousand names with a suffix are taken; choose another with --name")]
    NamesTaken { wanted: String },
    #[error("the certificate to be renewed is not taken: {0}; enrol again")]
    Holder(AccessError),
    #[error("the request is not signed by the key of the certificate that it comes with")]
    NotSigned,
    #[error("the certificate with serial {serial} is not in force for \"{agent}\" any more; enrol again")]
    NotInForce { agent: String, serial: String },
    #[error("the enrolment was not kept")]
    Store(#[from] StoreError),
    #[error("the enrolment was kept but not taken up: {found}; enrol again with the same token")]
    NotTold { found: String },
}

impl EnrolError {
    /// Whether anybody could have been told so who has no token and no certificate of ours. With a good one the secret was
    /// right, and nobody guesses.
    pub fn is_a_strangers(&self) -> bool {
        match self {
            Self::TokenDamaged { .. } | Self::Token(TokenRefusal::Unknown) | Self::Name { .. } => true,
            Self::Holder(_) | Self::NotSigned => true,
            Self::Request(error) => matches!(error, AccessError::Request { .. }),
            Self::Token(_) | Self::NotInForce { .. } | Self::NamesTaken { .. } => false,
            Self::Store(_) | Self::NotTold { .. } => false,
        }
    }
}

impl Office {
    pub fn new(store: Box<dyn Store>, ca: Ca, given: Given, tell: Tell) -> Self {
        Self { store: Mutex::new(store), reader: ca.reader(), ca, given, tell }
    }

    /// The CA's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// Enrols a host. The same token with the same key again gives the certificate that it already brought, also when the
    /// token is used up or over: the answer was lost on its way.
    pub fn enrol(&self, token: &str, name: &str, request_pem: &str, now: i64) -> Result<Granted, EnrolError> {
        let token = Token::parse(token).map_err(|error| EnrolError::TokenDamaged { found: error.to_string() })?;
        if !is_agent_name(name) {
            return Err(EnrolError::Name { found: name.chars().take(100).collect() });
        }
        let request = CertificateRequest::parse(request_pem).map_err(EnrolError::Request)?;
        let application = Application { token: &token, name, request: &request, serial: random(), now };
        let certificate = writing(self.store().as_mut(), |tx| application.decide(tx, &self.ca))??;
        self.grant(certificate)
    }

    /// Gives an agent a certificate over a new key, under the same name, in place of the one that it holds. Asking again with
    /// the same new key gives the same certificate, also with the old one that is at an end by then: the answer was lost.
    ///
    /// # Errors
    /// A certificate that is not this CA's, over, revoked or in quarantine, and a request that its key did not sign.
    pub fn renew(&self, asked: &Renewal<'_>, now: i64) -> Result<Granted, EnrolError> {
        let holder = self.reader.read(asked.certificate, now).map_err(EnrolError::Holder)?;
        if !holder.signed(&renewal::signed_bytes(asked.request_pem), asked.signature) {
            return Err(EnrolError::NotSigned);
        }
        let request = CertificateRequest::parse(asked.request_pem).map_err(EnrolError::Request)?;
        let key_hash: [u8; 32] = Sha256::digest(request.public_key()).into();
        let serial = random();
        let decide = |tx: &mut dyn Tx| {
            if let Some(certificate) = certificates::renewed_from(tx, &holder.serial, key_hash)? {
                return Ok(Ok(certificate));
            }
            let before = certificates::of_serial(tx, &holder.serial)?.filter(|before| before.agent == holder.name);
            let Some(before) = before else {
                let (agent, serial) = (holder.name.clone(), holder.serial.clone());
                return Ok(Err(EnrolError::NotInForce { agent, serial }));
            };
            match self.ca.sign_agent(&before.agent, &request, serial, now) {
                Ok(issued) => certificates::renew(tx, &before, issued, key_hash, now).map(Ok),
                Err(error) => Ok(Err(EnrolError::Request(error))),
            }
        };
        let certificate = writing(self.store().as_mut(), decide)??;
        self.grant(certificate)
    }

    /// Gives the certificate out once the desk knows of it.
    fn grant(&self, certificate: Certificate) -> Result<Granted, EnrolError> {
        (self.tell)(&certificate).map_err(|found| EnrolError::NotTold { found })?;
        Ok(Granted {
            name: certificate.agent,
            certificate_pem: certificate.pem,
            ca_pem: self.ca.pem().to_owned(),
            given: self.given.clone(),
        })
    }

    fn store(&self) -> MutexGuard<'_, Box<dyn Store>> {
        // A panic while it was held left at most a transaction that was never committed.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was asked, read and checked as far as it goes without the database.
struct Application<'a> {
    token: &'a Token,
    name: &'a str,
    request: &'a CertificateRequest,
    serial: [u8; 16],
    now: i64,
}

impl Application<'_> {
    /// A refusal has written nothing: the use of the token is taken last.
    fn decide(&self, tx: &mut dyn Tx, ca: &Ca) -> Result<Result<Certificate, EnrolError>, StoreError> {
        let token = match enrolment_tokens::known(tx, &self.token.id, &self.token.secret)? {
            Ok(token) => token,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let key_hash: [u8; 32] = Sha256::digest(self.request.public_key()).into();
        if let Some(certificate) = certificates::of_key(tx, &token.id, key_hash)? {
            return Ok(Ok(certificate));
        }
        let Some(agent) = certificates::free_name(tx, self.name)? else {
            return Ok(Err(EnrolError::NamesTaken { wanted: self.name.to_owned() }));
        };
        let issued = match ca.sign_agent(&agent, self.request, self.serial, self.now) {
            Ok(issued) => issued,
            Err(error) => return Ok(Err(EnrolError::Request(error))),
        };
        if let Err(refusal) = enrolment_tokens::take_use(tx, &token, self.now)? {
            return Ok(Err(refusal.into()));
        }
        certificates::keep(tx, &issued, (self.name, &token.id, key_hash, &token.labels), self.now)?;
        Ok(Ok(self.certificate(token, issued)))
    }

    fn certificate(&self, token: EnrolmentToken, issued: Issued) -> Certificate {
        Certificate {
            serial: issued.serial,
            agent: issued.agent,
            wanted: self.name.to_owned(),
            token: token.id,
            pem: issued.pem,
            labels: token.labels,
            issued_at: self.now,
        }
    }
}
