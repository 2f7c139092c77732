//! Renewal: from a certificate that is in force to the next one, over a new key.
//!
//! Beside the identity in force lies the next one, until the controller has answered under it:
//!
//! | files | what it means |
//! |---|---|
//! | neither | nothing is under way |
//! | `key.next.pem` | asked for, or about to be; asking again with this key gives the same certificate |
//! | both | answered; the next connection shows it |
//! | `cert.next.pem` | it is taking the place of the one before, whose key is gone already |
//!
//! Each step is one rename, so wherever it stops, it goes on from there.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use watchkeep_protocol::renewal::signed_bytes;

use super::{EXCHANGE, EnrolError, HostKey, Identity, Secret, csr, files, http};

#[derive(Serialize)]
struct Request<'a> {
    certificate: &'a str,
    csr_pem: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    name: String,
    certificate_pem: String,
}

/// The files of the next identity.
struct Next {
    directory: PathBuf,
    key: PathBuf,
    certificate: PathBuf,
}

impl Next {
    fn at(state: &Path) -> Self {
        let directory = state.join("identity");
        Self { key: directory.join("key.next.pem"), certificate: directory.join("cert.next.pem"), directory }
    }
}

/// The identity that was given and has not been shown to work; `None` where there is none.
///
/// # Errors
/// Files that cannot be read.
pub fn next(state: &Path, current: &Identity) -> Result<Option<Identity>, EnrolError> {
    let files = Next::at(state);
    let (key, certificate) = (files::read(&files.key)?, files::read(&files.certificate)?);
    let (Some(key), Some(certificate_pem)) = (key, certificate) else { return Ok(None) };
    Ok(Some(Identity { key_pem: Secret(key), certificate_pem, ..current.clone() }))
}

/// Asks the controller, over a connection that its CA vouches for, for a certificate of the same name over a new key, and
/// keeps both beside those in force. Blocks for up to half a minute.
///
/// # Errors
/// [`EnrolError::Refused`] where the controller does not give it (revoked, over); asking again later is safe after any.
pub fn renew(state: &Path, current: &Identity) -> Result<Identity, EnrolError> {
    if let Some(next) = next(state, current)? {
        return Ok(next);
    }
    let files = Next::at(state);
    let key = HostKey::open(&files.key)?;
    let answer = ask(state, current, &key)?;
    let public = csr::from_pem(&answer.certificate_pem).filter(|der| key.is_in(der));
    if public.is_none() || answer.name != current.name {
        let found = "it is no certificate of this host's name and new key".to_owned();
        return Err(EnrolError::Answer { url: current.url.clone(), found });
    }
    files::write(&files.certificate, answer.certificate_pem.as_bytes())?;
    next(state, current)?.ok_or_else(|| EnrolError::Damaged { path: files.key, found: "is gone".to_owned() })
}

fn ask(state: &Path, current: &Identity, key: &HostKey) -> Result<Answer, EnrolError> {
    let directory = Next::at(state).directory;
    let damaged = |name: &str| EnrolError::Damaged { path: directory.join(name), found: "cannot be used".to_owned() };
    let ca = csr::from_pem(&current.ca_pem).ok_or_else(|| damaged("ca.pem"))?;
    let certificate = csr::from_pem(&current.certificate_pem).ok_or_else(|| damaged("cert.pem"))?;
    let holder = HostKey::from_pem(&current.key_pem.0).ok_or_else(|| damaged("key.pem"))?;
    let csr_pem = key.request_pem(&current.name);
    let request = Request {
        certificate: &STANDARD.encode(certificate),
        csr_pem: &csr_pem,
        signature: &STANDARD.encode(holder.sign(&signed_bytes(&csr_pem))),
    };
    let body = serde_json::to_vec(&request).expect("texts are JSON");
    let address = http::Address::parse(&current.url)?;
    let reply = http::exchange(&address, http::Trust::Ca(&ca), "POST", "/renew", &body, EXCHANGE)?;
    let url = current.url.clone();
    if reply.status != 200 {
        return Err(EnrolError::Refused { url, name: current.name.clone(), found: reply.sentence() });
    }
    serde_json::from_slice(&reply.body).map_err(|error| EnrolError::Answer { url, found: error.to_string() })
}

/// The next identity was shown to work: it takes the place of the one before.
///
/// # Errors
/// Files that cannot be renamed; it is tried again at the next start.
pub fn settle(state: &Path) -> Result<(), EnrolError> {
    let files = Next::at(state);
    put(&files.key, &files.directory.join("key.pem"))?;
    put(&files.certificate, &files.directory.join("cert.pem"))?;
    files::sync(&files.directory)
}

/// Ends what [`settle`] began and did not end.
pub(super) fn recover(state: &Path) -> Result<(), EnrolError> {
    let files = Next::at(state);
    if files.certificate.exists() && !files.key.exists() {
        put(&files.certificate, &files.directory.join("cert.pem"))?;
        files::sync(&files.directory)?;
    }
    Ok(())
}

/// The controller takes the one before and not the next: that is forgotten, and asked for again.
///
/// # Errors
/// Files that cannot be removed.
pub fn forget(state: &Path) -> Result<(), EnrolError> {
    let files = Next::at(state);
    for path in [&files.certificate, &files.key] {
        fs::remove_file(path).map_err(|source| EnrolError::File { doing: "remove", path: path.clone(), source })?;
    }
    files::sync(&files.directory)
}

fn put(from: &Path, to: &Path) -> Result<(), EnrolError> {
    let failed = |source| EnrolError::File { doing: "put in place", path: to.to_owned(), source };
    fs::rename(from, to).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An enrolled host with a next identity; what each file says.
    fn host() -> tempfile::TempDir {
        let state = tempfile::tempdir().expect("a directory");
        let directory = state.path().join("identity");
        fs::create_dir(&directory).expect("made");
        let controller = r#"{"name":"web-1","broker":"mqtts://b:1","url":"https://c:2","command_keys":[]}"#;
        for (name, text) in [
            ("controller.json", controller),
            ("ca.pem", "ca"),
            ("cert.pem", "old cert"),
            ("key.pem", "old key"),
            ("cert.next.pem", "new cert"),
            ("key.next.pem", "new key"),
        ] {
            fs::write(directory.join(name), text).expect("written");
        }
        state
    }

    fn shown(identity: &Identity) -> (&str, &str) {
        (&identity.certificate_pem, &identity.key_pem.0)
    }

    #[test]
    fn the_next_identity_waits_beside_the_one_in_force_until_it_takes_its_place() {
        let state = host();
        let current = Identity::load(state.path()).expect("enrolled");
        assert_eq!(shown(&current), ("old cert", "old key"));
        let next_one = next(state.path(), &current).expect("readable").expect("there");
        assert_eq!(shown(&next_one), ("new cert", "new key"));
        settle(state.path()).expect("settled");
        let current = Identity::load(state.path()).expect("enrolled");
        assert_eq!(shown(&current), ("new cert", "new key"));
        assert_eq!(next(state.path(), &current).expect("readable"), None);
    }

    #[test]
    fn what_was_cut_off_between_key_and_certificate_is_ended_at_the_next_start() {
        let state = host();
        let directory = state.path().join("identity");
        fs::rename(directory.join("key.next.pem"), directory.join("key.pem")).expect("the first step");
        assert_eq!(shown(&Identity::load(state.path()).expect("enrolled")), ("new cert", "new key"));
    }

    #[test]
    fn a_key_without_an_answer_and_a_forgotten_next_change_nothing() {
        let state = host();
        fs::remove_file(state.path().join("identity/cert.next.pem")).expect("no answer yet");
        let current = Identity::load(state.path()).expect("enrolled");
        assert_eq!(shown(&current), ("old cert", "old key"));
        assert_eq!(next(state.path(), &current).expect("readable"), None);
        let state = host();
        forget(state.path()).expect("forgotten");
        assert_eq!(shown(&Identity::load(state.path()).expect("enrolled")), ("old cert", "old key"));
    }
}
