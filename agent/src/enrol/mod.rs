//! Enrolment: from a token to an identity on the broker.
//!
//! The key is made on the host and never leaves it. The token carries the fingerprint of the controller's CA: the
//! certificate with that fingerprint is fetched (or taken from the handshake), and only then is the token's secret sent,
//! over a connection that this CA vouches for. What the controller answers is written under `STATE/identity/`:
//!
//! | file | what | mode |
//! |---|---|---|
//! | `key.pem` | ECDSA P-256, PKCS#8 | 0600 |
//! | `cert.pem` | the client certificate; its common name is the agent's name | 0600 |
//! | `ca.pem` | the controller's CA | 0600 |
//! | `controller.json` | name, broker, command keys; written last, so that it says "enrolled" | 0600 |
//!
//! and, for `act`, `ACT_STATE/authority.json` (see [`Authority`]). Each file appears whole or not at all. Running it again
//! goes on where it stopped, with the same key; once enrolled, it says so and changes nothing. [`renewal`] replaces key and
//! certificate before they are over.

mod csr;
pub mod files;
mod http;
pub mod renewal;
mod validity;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use watchkeep_protocol::token::Token;
use watchkeep_protocol::topic::is_agent_name;

use crate::link::Credentials;

pub use csr::HostKey;
pub use http::client_config;
pub use validity::Validity;

/// The longest that one exchange with the controller may take.
const EXCHANGE: Duration = Duration::from_secs(30);

/// Who this agent is, read from its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As in the certificate.
    pub name: String,
    /// `mqtts://host:port`.
    pub broker: String,
    /// `https://host:port`, where it enrolled and its certificate is renewed.
    pub url: String,
    pub certificate_pem: String,
    pub ca_pem: String,
    /// A secret: `Debug` is blank.
    pub key_pem: Secret,
    /// Whether the broker is not the controller's own, so that messages carry a MAC.
    pub sealed: bool,
    /// Ed25519 public keys of the controller, base64.
    pub command_keys: Vec<String>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whom `act` obeys: written at enrolment into its own directory, where the network process cannot write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// The agent's name: commands for another host are refused.
    pub agent: String,
    /// Ed25519 public keys (32 bytes) in base64.
    pub command_keys: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Controller {
    name: String,
    broker: String,
    url: String,
    command_keys: Vec<String>,
    /// Not in files from before there were other brokers than the controller's own.
    #[serde(default)]
    sealed: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    token: &'a str,
    name: &'a str,
    csr_pem: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    certificate_pem: String,
    ca_pem: String,
    broker: String,
    command_keys: Vec<String>,
    name: String,
    #[serde(default)]
    sealed: bool,
}

/// Why this host is not enrolled. Never carries the token or the key.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("{doing} \"{}\"", path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("this host is not enrolled: \"{}\" is not there; run `watchkeep-agent enroll TOKEN`", path.display())]
    NotEnrolled { path: PathBuf },
    #[error("\"{}\": {found}; enrol again", path.display())]
    Damaged { path: PathBuf, found: String },
    #[error(
        "\"{found}\" is no name for an agent: lower-case letters, digits, dots and hyphens, none of the two at an end"
    )]
    Name { found: String },
    #[error("the token names \"{found}\"; a controller's address looks like https://host:port")]
    Address { found: String },
    #[error("enrol at {url}: {found}")]
    Exchange {
        url: String,
        found: String,
        #[source]
        source: Option<std::io::Error>,
    },
    #[error(
        "{url} does not hold the CA that the token names (SHA-256 {wanted}…); another controller answers there, or the \
         token is of another one. Nothing was sent"
    )]
    Stranger { url: String, wanted: String },
    #[error("{url} refused the enrolment as \"{name}\": {found}")]
    Refused { url: String, name: String, found: String },
    #[error("{url} gave an answer that does not fit: {found}")]
    Answer { url: String, found: String },
}

/// Where an enrolment writes.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The agent's state directory; `identity/` is made in it, owned by its owner.
    pub state: &'a Path,
    /// `act`'s own directory; none where nothing may ever be done to this host.
    pub act: Option<&'a Path>,
}

/// What an enrolment came to.
#[derive(Debug)]
pub struct Enrolled {
    pub identity: Identity,
    /// False where this host was enrolled already and nothing was done.
    pub fresh: bool,
}

impl Identity {
    /// Reads `STATE/identity/`.
    ///
    /// # Errors
    /// [`EnrolError::NotEnrolled`] where there is none yet.
    pub fn load(state: &Path) -> Result<Self, EnrolError> {
        let directory = state.join("identity");
        renewal::recover(state)?;
        let last = directory.join("controller.json");
        let text = files::read(&last)?.ok_or_else(|| EnrolError::NotEnrolled { path: last.clone() })?;
        let controller: Controller = serde_json::from_str(&text)
            .map_err(|error| EnrolError::Damaged { path: last, found: error.to_string() })?;
        let part = |name: &str| {
            let path = directory.join(name);
            files::read(&path)?.ok_or_else(|| EnrolError::Damaged { path, found: "is gone".to_owned() })
        };
        Ok(Self {
            name: controller.name,
            broker: controller.broker,
            url: controller.url,
            certificate_pem: part("cert.pem")?,
            ca_pem: part("ca.pem")?,
            key_pem: Secret(part("key.pem")?),
            sealed: controller.sealed,
            command_keys: controller.command_keys,
        })
    }

    /// From when until when the certificate holds; `None` where it cannot be read.
    pub fn validity(&self) -> Option<Validity> {
        Validity::of(&csr::from_pem(&self.certificate_pem)?)
    }

    /// What keys are agreed on with, where messages are sealed.
    ///
    /// # Errors
    /// [`EnrolError::Damaged`]: key or certificate is none.
    pub fn credentials(&self, state: &Path) -> Result<Option<Credentials>, EnrolError> {
        let damaged = |name: &str| EnrolError::Damaged {
            path: state.join("identity").join(name),
            found: "cannot be used to agree on a key".to_owned(),
        };
        if !self.sealed {
            return Ok(None);
        }
        let command_keys = self.command_keys.iter().map(|key| STANDARD.decode(key));
        Ok(Some(Credentials {
            key: HostKey::from_pem(&self.key_pem.0).ok_or_else(|| damaged("key.pem"))?,
            certificate: csr::from_pem(&self.certificate_pem).ok_or_else(|| damaged("cert.pem"))?,
            command_keys: command_keys.collect::<Result<_, _>>().map_err(|_| damaged("controller.json"))?,
        }))
    }
}

/// Enrols this host as `name`. Blocks for up to a minute; there is no runtime in it.
///
/// # Errors
/// [`EnrolError`]; running it again after any of them is safe and goes on with the same key.
pub fn enrol(token: &Token, name: &str, places: Places<'_>) -> Result<Enrolled, EnrolError> {
    if !is_agent_name(name) {
        return Err(EnrolError::Name { found: name.to_owned() });
    }
    match Identity::load(places.state) {
        Ok(identity) => return Ok(Enrolled { identity, fresh: false }),
        Err(EnrolError::NotEnrolled { .. } | EnrolError::Damaged { .. }) => {}
        Err(other) => return Err(other),
    }
    let directory = places.state.join("identity");
    files::make_directory(&directory)?;
    let key = HostKey::open(&directory.join("key.pem"))?;
    let address = http::Address::parse(&token.url)?;
    let ca = http::trusted_ca(&address, &token.ca_fingerprint, EXCHANGE)?;
    let answer = ask(token, name, &key, &address, &ca)?;
    keep(&answer, token, &directory, places.act)?;
    Ok(Enrolled { identity: Identity::load(places.state)?, fresh: true })
}

fn ask(token: &Token, name: &str, key: &HostKey, address: &http::Address, ca: &[u8]) -> Result<Answer, EnrolError> {
    let url = token.url.clone();
    let request = Request { token: &token.to_text(), name, csr_pem: &key.request_pem(name) };
    let body = serde_json::to_vec(&request).expect("texts are JSON");
    let reply = http::exchange(address, http::Trust::Ca(ca), "POST", "/enrol", &body, EXCHANGE)?;
    if reply.status != 200 && reply.status != 201 {
        return Err(EnrolError::Refused { url, name: name.to_owned(), found: reply.sentence() });
    }
    let answer: Answer = serde_json::from_slice(&reply.body)
        .map_err(|error| EnrolError::Answer { url: url.clone(), found: error.to_string() })?;
    let wrong = |found: &str| EnrolError::Answer { url: url.clone(), found: found.to_owned() };
    if http::fingerprint_of_pem(&answer.ca_pem).as_deref() != Some(token.ca_fingerprint.as_slice()) {
        return Err(wrong("its CA is not the one that the token names"));
    }
    if !is_agent_name(&answer.name) || !answer.broker.starts_with("mqtts://") {
        return Err(wrong("name or broker is none"));
    }
    if answer.command_keys.iter().any(|key| STANDARD.decode(key).map_or(0, |key| key.len()) != 32) {
        return Err(wrong("a command key is not 32 bytes in base64"));
    }
    Ok(answer)
}

/// Writes everything, the file that says "enrolled" last.
fn keep(answer: &Answer, token: &Token, directory: &Path, act: Option<&Path>) -> Result<(), EnrolError> {
    if let Some(act) = act {
        files::make_directory(act)?;
        let authority = Authority { agent: answer.name.clone(), command_keys: answer.command_keys.clone() };
        files::write(&act.join("authority.json"), json(&authority).as_bytes())?;
    }
    files::write(&directory.join("cert.pem"), answer.certificate_pem.as_bytes())?;
    files::write(&directory.join("ca.pem"), answer.ca_pem.as_bytes())?;
    let controller = Controller {
        name: answer.name.clone(),
        broker: answer.broker.clone(),
        url: token.url.clone(),
        command_keys: answer.command_keys.clone(),
        sealed: answer.sealed,
    };
    files::write(&directory.join("controller.json"), json(&controller).as_bytes())
}

fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("texts are JSON");
    format!("{text}\n")
}
