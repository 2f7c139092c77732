//! One entry: what its columns are, and their hash.

use aws_lc_rs::hmac;
use sha2::{Digest, Sha256};
use watchkeep_desk::{Actor, Fact, FactBody, Subject};

use crate::store::Value;

/// Columns that the hash covers: the row without its hash.
pub(super) const HASHED_COUNT: usize = 13;

/// What stands before the first entry of a chain.
pub(super) const NOTHING: [u8; 32] = [0; 32];

/// The hash of an entry over its columns, as they stand in its row.
pub(super) fn seal(columns: &[Value]) -> [u8; 32] {
    debug_assert_eq!(columns.len(), HASHED_COUNT);
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(b"watchkeep ledger 1");
    for column in columns {
        match column {
            Value::Int(number) => part(&number.to_be_bytes()),
            Value::Real(number) => part(&number.to_be_bytes()),
            Value::Text(text) => part(text.as_bytes()),
            Value::Blob(bytes) => part(bytes),
            Value::Null => part(&[]),
        }
    }
    hash.finalize().into()
}

/// The salted hash of a body.
pub(super) fn body_hash(salt: &[u8], body: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), body);
    let mut hash = [0; 32];
    hash.copy_from_slice(tag.as_ref());
    hash
}

/// The subject's kind, and its id where it has one.
pub(super) fn subject(subject: &Subject) -> (&'static str, String) {
    match subject {
        Subject::Incident(id) => ("incident", id.to_string()),
        Subject::Problem(id) => ("problem", id.to_string()),
        Subject::Change(id) => ("change", id.to_string()),
        Subject::Run(id) => ("run", id.to_string()),
        Subject::Ci(id) => ("ci", id.to_string()),
        Subject::Agent(name) => ("agent", name.clone()),
        Subject::Silence(id) => ("silence", id.to_string()),
        Subject::Generation(hash) => ("generation", hash.clone()),
        Subject::Controller => ("controller", String::new()),
    }
}

/// The actor in one word: `person:7`, `agent:web-3`, `rule:UnitFailed`, `run:RUN-4`, `controller`.
pub(super) fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Person(id) => format!("person:{id}"),
        Actor::Agent(name) => format!("agent:{name}"),
        Actor::Rule(name) => format!("rule:{name}"),
        Actor::Run(id) => format!("run:{id}"),
        Actor::Controller => "controller".to_owned(),
    }
}

/// The kind of a fact: its practice, and what happened there (`incident.opened`, `agent.enrolled`, `stop_switch`).
pub(super) fn kind(fact: &Fact) -> String {
    let json = serde_json::to_value(&fact.body).expect("a fact is plain data with text for keys");
    let practice = json.get("practice").and_then(serde_json::Value::as_str).unwrap_or_default();
    // The tag of the practice's own enum; facts without one are named by their practice.
    let tag = match &fact.body {
        FactBody::Agent(_) => "event",
        _ => "what",
    };
    match json.get("fact").and_then(|inner| inner.get(tag)).and_then(serde_json::Value::as_str) {
        Some(what) => format!("{practice}.{what}"),
        None => practice.to_owned(),
    }
}

/// For serde: a hash as 64 hexadecimal digits.
pub(super) fn hexadecimal<S: serde::Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&Hex(hash))
}

/// Shows bytes as hexadecimal digits.
pub(super) struct Hex<'b>(pub(super) &'b [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
