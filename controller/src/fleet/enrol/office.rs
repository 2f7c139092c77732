//! The office: takes a token, a name and a certificate request, and grants a certificate or says why not. Blocking.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use watchkeep_protocol::token::Token;
use watchkeep_protocol::topic::is_agent_name;

use crate::access::ca::{Ca, CertificateRequest, Issued};
use crate::access::certificates::{self, Certificate};
use crate::access::enrolment_tokens::{self, EnrolmentToken, TokenRefusal};
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
    given: Given,
    tell: Tell,
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
    #[error("the enrolment was not kept")]
    Store(#[from] StoreError),
    #[error("the enrolment was kept but not taken up: {found}; enrol again with the same token")]
    NotTold { found: String },
}

impl EnrolError {
    /// Whether anybody could have been told so who has no token of ours. With a good token the secret was right, and nobody
    /// guesses.
    pub fn is_a_strangers(&self) -> bool {
        match self {
            Self::TokenDamaged { .. } | Self::Token(TokenRefusal::Unknown) | Self::Name { .. } => true,
            Self::Request(error) => matches!(error, AccessError::Request { .. }),
            Self::Token(_) | Self::NamesTaken { .. } | Self::Store(_) | Self::NotTold { .. } => false,
        }
    }
}

impl Office {
    pub fn new(store: Box<dyn Store>, ca: Ca, given: Given, tell: Tell) -> Self {
        Self { store: Mutex::new(store), ca, given, tell }
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
