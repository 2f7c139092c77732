//! The broker in hostile hands: it holds a server certificate of the right CA, and the test decides what it sends.
//!
//! It stands at the address of a stopped controller, so that a real agent connects to it. What an agent publishes is kept
//! and never acknowledged.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost::bytes::Bytes;
use tokio::runtime::Runtime;
use watchkeep::access::ca::Ca;
use watchkeep::access::keys::SigningKey;
use watchkeep::fleet::broker::{Broker, BrokerConfig, BrokerHandle, Delivery};
use watchkeep::fleet::gate::{Gate, Gone, Peer, PublishVerdict, Refusal, Suspicion};
use watchkeep_protocol::command::{Signature, signed_bytes};
use watchkeep_protocol::matter::MatterBody;
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Ack, Command, CommandBody, CommandResult, Envelope, Hello, Matter};

use crate::wait;

/// Messages of agents that are kept; a test never needs more.
const KEPT: usize = 10_000;

pub struct CapturedBroker {
    runtime: Runtime,
    broker: Option<BrokerHandle>,
    seen: Arc<Seen>,
    /// Rises with each message down.
    counter: std::cell::Cell<u64>,
}

impl CapturedBroker {
    /// Listens at `address` with a certificate that the CA under `data` signs.
    pub fn start(address: SocketAddr, data: &Path) -> Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("read the clock")?;
        let ca = Ca::open(data, i64::try_from(now.as_millis())?).context("open the controller's CA")?;
        let files =
            ca.server(&[address.ip().to_string()], i64::try_from(now.as_millis())?).context("sign a certificate")?;
        let config = BrokerConfig {
            listen: address,
            certificate: files.certificate,
            key: files.key,
            ca: files.ca,
            sessions_max: 16,
        };
        let runtime = Runtime::new().context("start a runtime")?;
        let seen = Arc::new(Seen::default());
        let broker = runtime.block_on(Broker::start(config, seen.clone())).context("start the captured broker")?;
        Ok(Self { runtime, broker: Some(broker), seen, counter: std::cell::Cell::new(1_000_000) })
    }

    /// Waits for the agent's hello, lets it speak, and returns its session with what it said.
    pub fn hello(&self, agent: &str, bound: Duration) -> Result<([u8; 16], Hello)> {
        let (session, hello) = wait::until(bound, &format!("a hello of \"{agent}\""), || self.last_hello(agent))?;
        self.let_speak(agent, session, &hello)?;
        Ok((session, hello))
    }

    fn last_hello(&self, agent: &str) -> Result<([u8; 16], Hello)> {
        let envelope = self.seen.last(agent, Kind::Hello).context("nothing came")?;
        let session = envelope.session.as_slice().try_into().context("a session has 16 bytes")?;
        let hello: Hello = envelope.open("hello")?;
        // It says hello again once its helper has drawn a nonce.
        ensure!(!hello.command_nonce.is_empty(), "its hello has no nonce for commands");
        Ok((session, hello))
    }

    /// Answers a hello with credit, and acknowledges nothing.
    fn let_speak(&self, agent: &str, session: [u8; 16], hello: &Hello) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("read the clock")?;
        let ack = Ack {
            spool: hello.spool.clone(),
            matters: hello.matters.first,
            taken: hello.samples.first,
            sealed: hello.samples.first,
            credit: 1_000,
            now_ms: i64::try_from(now.as_millis())?,
            key_share: Vec::new(),
        };
        self.publish(agent, Kind::Ack, session, &ack)
    }

    /// Publishes a command to the agent under its session.
    pub fn send(&self, agent: &str, session: [u8; 16], command: &Command) -> Result<()> {
        self.publish(agent, Kind::Command, session, command)
    }

    fn publish(&self, agent: &str, kind: Kind, session: [u8; 16], body: &impl Message) -> Result<()> {
        self.counter.set(self.counter.get() + 1);
        let envelope = Envelope::new(session, self.counter.get(), body).encode_to_vec();
        let broker = self.broker.as_ref().context("the captured broker has stopped")?;
        broker.publish(&Topic::new(agent, kind), envelope, Delivery::AtLeastOnce).context("publish to the agent")
    }

    /// Waits for the agent's `nth` result (from 1) of the command with this id. Results are sent again and again, as
    /// nothing is acknowledged here; the same one counts once.
    pub fn result(&self, agent: &str, id: &[u8], nth: usize, bound: Duration) -> Result<CommandResult> {
        wait::until(bound, &format!("result {nth} of a command to \"{agent}\""), || {
            let results = self.seen.results(agent);
            let words: Vec<_> = results.iter().map(|(_, result)| result.reason.clone()).collect();
            let mut of_this = results.into_iter().filter(|(_, result)| result.id == id).map(|(_, result)| result);
            of_this.nth(nth - 1).with_context(|| format!("results so far: {words:?}"))
        })
    }

    /// Stops listening; the address is free after.
    pub fn stop(mut self) {
        self.stop_broker();
    }

    fn stop_broker(&mut self) {
        if let Some(broker) = self.broker.take() {
            self.runtime.block_on(broker.stop());
        }
    }
}

impl Drop for CapturedBroker {
    fn drop(&mut self) {
        self.stop_broker();
    }
}

/// A command over `body`, signed by `key`.
pub fn signed(body: &CommandBody, key: &SigningKey) -> Command {
    let body = body.encode_to_vec();
    let signature = Signature { key: key.id().to_vec(), signature: key.sign(&signed_bytes(&body)).to_vec() };
    Command { body, signatures: vec![signature] }
}

/// Lets everybody in and keeps what they publish.
#[derive(Default)]
struct Seen(Mutex<Vec<(Topic, Envelope)>>);

impl Seen {
    fn last(&self, agent: &str, kind: Kind) -> Option<Envelope> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = kept.iter().rev().filter(|(topic, _)| topic.agent == agent && topic.kind == kind);
        found.next().map(|(_, envelope)| envelope.clone())
    }

    /// Each result once, by the number of its matter.
    fn results(&self, agent: &str) -> Vec<(u64, CommandResult)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut results = Vec::new();
        for (topic, envelope) in kept.iter() {
            if topic.agent != agent || topic.kind != Kind::Result {
                continue;
            }
            let Ok(Matter { number, body: Some(MatterBody::Result(result)), .. }) = envelope.open("matter") else {
                continue;
            };
            if !results.iter().any(|(known, _)| *known == number) {
                results.push((number, result));
            }
        }
        results
    }
}

impl Gate for Seen {
    fn connect(&self, _peer: &Peer) -> Result<(), Refusal> {
        Ok(())
    }

    fn connected(&self, _peer: &Peer) {}

    fn publish(&self, _client: &str, topic: Topic, payload: Bytes) -> PublishVerdict {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(envelope) = Envelope::read(&payload) else { return PublishVerdict::Taken };
        if kept.len() >= KEPT {
            return PublishVerdict::Full;
        }
        kept.push((topic, envelope));
        PublishVerdict::Taken
    }

    fn gone(&self, _peer: &Peer, _how: Gone) {}

    fn suspicious(&self, _what: Suspicion) {}
}
