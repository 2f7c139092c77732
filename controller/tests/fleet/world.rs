//! A CA, a broker and a gate that writes down what it hears.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use prost::bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use watchkeep::access::ca::{Ca, CertificateRequest, Issued};
use watchkeep::access::random;
use watchkeep::fleet::broker::{Broker, BrokerConfig, BrokerHandle};
use watchkeep::fleet::gate::{Gate, Gone, Peer, PublishVerdict, Refusal, Suspicion};
use watchkeep_protocol::topic::{Kind, Topic};

/// Nothing here takes longer, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the gate was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Connected { client: String, serial: String },
    Publish { client: String, agent: String, kind: Kind, payload: Vec<u8> },
    Gone { client: String, how: Gone },
    Suspicious { agent: String, kind: &'static str, detail: String },
}

/// A gate that lets in all but the revoked, and remembers.
#[derive(Default)]
pub struct Recorder {
    heard: Mutex<Vec<Heard>>,
    revoked: Mutex<BTreeSet<String>>,
    /// Whether its queue is full.
    full: Mutex<bool>,
}

impl Recorder {
    fn push(&self, heard: Heard) {
        lock(&self.heard).push(heard);
    }

    pub fn revoke(&self, serial: &str) {
        lock(&self.revoked).insert(serial.to_owned());
    }

    pub fn set_full(&self, full: bool) {
        *lock(&self.full) = full;
    }

    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.heard).clone()
    }

    /// Waits until something like this was heard, and gives it.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let begun = Instant::now();
        loop {
            if let Some(heard) = self.heard().into_iter().find(&wanted) {
                return heard;
            }
            assert!(begun.elapsed() < PATIENCE, "never heard: {what}; heard {:#?}", self.heard());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a suspicion of this kind about this agent was heard, and gives its detail.
    pub async fn suspicion(&self, of: &str, word: &str) -> String {
        let wanted =
            |heard: &Heard| matches!(heard, Heard::Suspicious { agent, kind, .. } if agent == of && *kind == word);
        match self.until(&format!("suspicion \"{word}\" about {of}"), wanted).await {
            Heard::Suspicious { detail, .. } => detail,
            other => unreachable!("{other:?} is no suspicion"),
        }
    }

    pub fn forget(&self) {
        lock(&self.heard).clear();
    }
}

impl Gate for Recorder {
    fn connect(&self, peer: &Peer) -> Result<(), Refusal> {
        if lock(&self.revoked).contains(&peer.serial) {
            return Err(Refusal::Revoked { serial: peer.serial.clone() });
        }
        Ok(())
    }

    fn connected(&self, peer: &Peer) {
        self.push(Heard::Connected { client: peer.client.clone(), serial: peer.serial.clone() });
    }

    fn publish(&self, client: &str, topic: Topic, payload: Bytes) -> PublishVerdict {
        if *lock(&self.full) {
            return PublishVerdict::Full;
        }
        let Topic { agent, kind } = topic;
        self.push(Heard::Publish { client: client.to_owned(), agent, kind, payload: payload.to_vec() });
        PublishVerdict::Taken
    }

    fn gone(&self, peer: &Peer, how: Gone) {
        self.push(Heard::Gone { client: peer.client.clone(), how });
    }

    fn suspicious(&self, what: Suspicion) {
        self.push(Heard::Suspicious { agent: what.agent, kind: what.kind, detail: what.detail });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics with the lock held")
}

/// A host with a certificate and its key, PEM.
#[derive(Clone)]
pub struct Host {
    pub name: String,
    pub certificate: String,
    pub key: String,
    pub serial: String,
    /// The CA that this host trusts, PEM.
    pub trusts: String,
}

pub struct World {
    data: tempfile::TempDir,
    pub ca: Ca,
    pub gate: Arc<Recorder>,
    pub broker: BrokerHandle,
}

impl World {
    pub async fn new() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let ca = Ca::open(data.path(), now()).expect("a CA");
        let gate = Arc::new(Recorder::default());
        let broker = start(&ca, &gate, SocketAddr::from(([127, 0, 0, 1], 0))).await;
        Self { data, ca, gate, broker }
    }

    pub fn address(&self) -> SocketAddr {
        self.broker.address()
    }

    /// The data directory, with the CA in it.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Stops the broker and starts another on the same port.
    pub async fn restart(self) -> Self {
        let Self { data, ca, gate, broker } = self;
        let address = broker.address();
        broker.stop().await;
        let broker = start(&ca, &gate, address).await;
        Self { data, ca, gate, broker }
    }

    pub fn host(&self, name: &str) -> Host {
        host_of(&self.ca, name)
    }
}

async fn start(ca: &Ca, gate: &Arc<Recorder>, listen: SocketAddr) -> BrokerHandle {
    let files = ca.server(&[], now()).expect("a server certificate");
    let config =
        BrokerConfig { listen, certificate: files.certificate, key: files.key, ca: files.ca, sessions_max: 100 };
    Broker::start(config, gate.clone()).await.expect("the broker starts")
}

/// A host whose certificate is by `ca`.
pub fn host_of(ca: &Ca, name: &str) -> Host {
    let (key, request) = key_and_request(name);
    let request = CertificateRequest::parse(&request).expect("a good request");
    let Issued { pem, serial, .. } = ca.sign_agent(name, &request, random(), now()).expect("signed");
    Host { name: name.to_owned(), certificate: pem, key, serial, trusts: ca.pem().to_owned() }
}

/// A key (PEM) and a request for a certificate (PEM), as an agent makes them.
pub fn key_and_request(name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let request = params.serialize_request(&key).expect("a request").pem().expect("PEM");
    (key.serialize_pem(), request)
}

pub fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
