//! The sessions of agents and their keys: from what a foreign broker delivers to what may be believed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use prost::Message as _;
use prost::bytes::Bytes;
use watchkeep_protocol::topic::{Direction, Kind, Topic};
use watchkeep_protocol::{Agreement, CounterWindow, Envelope, Offer, Open, Proof, Resync, SessionKey, Will, WireError};

use super::{Counters, count};
use crate::access::holder::CertificateReader;
use crate::access::keys::SigningKey;
use crate::access::{hex, random};
use crate::fleet::gate::{ForeignGate, Gone, Peer, PublishVerdict, Suspicion};

/// Sessions of one agent whose keys are kept: the newest, and those before, by which a clone gives itself away.
const SESSIONS: usize = 4;
/// An agent is told once in so many milliseconds that its session has no key.
const HINT_AGAIN: i64 = 2_000;
/// A proof is waited for so long, milliseconds.
const PROOF_WITHIN: i64 = 60_000;

/// What is known of the keys of all agents.
pub struct Keys {
    gate: Arc<dyn ForeignGate>,
    counters: Arc<Counters>,
    signer: Arc<SigningKey>,
    reader: CertificateReader,
    agents: BTreeMap<String, AgentKeys>,
}

#[derive(Default)]
struct AgentKeys {
    /// Newest last.
    agreed: VecDeque<Agreed>,
    offered: Option<Offered>,
    hinted_at: Option<i64>,
}

/// A session with its key.
struct Agreed {
    session: [u8; 16],
    key: SessionKey,
    came: CounterWindow,
    peer: Peer,
    /// Whether something was told of in this session: a wrong MAC, a replay.
    told_forged: bool,
    told_replayed: bool,
    /// Whether a will was passed on, and nothing came since.
    hinted: bool,
}

/// An agreement that waits for its proof.
struct Offered {
    session: [u8; 16],
    agent_share: Vec<u8>,
    answer: Vec<u8>,
    proof_bytes: Vec<u8>,
    key: SessionKey,
    at: i64,
}

/// What goes back to the agent at once, unsealed: an offer, or that no key is known.
pub struct Reply {
    pub topic: Topic,
    pub payload: Vec<u8>,
}

impl Keys {
    pub fn new(
        gate: Arc<dyn ForeignGate>,
        counters: Arc<Counters>,
        signer: Arc<SigningKey>,
        reader: CertificateReader,
    ) -> Self {
        Self { gate, counters, signer, reader, agents: BTreeMap::new() }
    }

    /// Takes what the broker delivered; `now` in UTC milliseconds. What may be believed goes to the gate.
    pub fn hear(&mut self, topic: &str, payload: &Bytes, now: i64) -> Option<Reply> {
        let parsed = Topic::parse(topic).filter(|topic| topic.kind.direction() == Direction::Up);
        let (Some(parsed), Ok(envelope)) = (parsed, Envelope::read(payload)) else {
            count(&self.counters.stray);
            return None;
        };
        if !self.gate.is_enrolled(&parsed.agent) {
            count(&self.counters.stray);
            return None;
        }
        let session: [u8; 16] = envelope.session.as_slice().try_into().ok()?;
        match parsed.kind {
            Kind::Open => self.open(&parsed.agent, session, &envelope, now),
            Kind::Proof => self.prove(&parsed.agent, session, topic, &envelope, now),
            Kind::Will if envelope.mac.is_empty() => self.hint(&parsed.agent, &envelope),
            _ => self.sealed(parsed, session, topic, &envelope, payload, now),
        }
    }

    /// Seals what goes down to a session; `None` where no key is known.
    pub fn seal(&self, topic: &Topic, payload: &[u8]) -> Option<Vec<u8>> {
        let mut envelope = Envelope::read(payload).ok()?;
        let agreed = self.agents.get(&topic.agent)?.agreed.iter();
        let agreed = agreed.rev().find(|agreed| agreed.session[..] == envelope.session)?;
        envelope.seal(&agreed.key, &topic.to_string());
        Some(envelope.encode_to_vec())
    }

    /// Forgets the sessions of this client id.
    pub fn forget_client(&mut self, client: &str) {
        let agent = client.rsplit_once('/').map_or(client, |(agent, _)| agent);
        if let Some(keys) = self.agents.get_mut(agent) {
            keys.agreed.retain(|agreed| agreed.peer.client != client);
        }
    }

    /// Forgets everything of an agent.
    pub fn forget_agent(&mut self, agent: &str) {
        self.agents.remove(agent);
    }

    fn open(&mut self, agent: &str, session: [u8; 16], envelope: &Envelope, now: i64) -> Option<Reply> {
        let Ok(open) = envelope.open_checked::<Open>(Kind::Open) else {
            count(&self.counters.stray);
            return None;
        };
        let keys = self.agents.entry(agent.to_owned()).or_default();
        let said = keys.offered.as_ref().filter(|said| said.session == session && said.agent_share == open.share);
        if said.is_none() {
            match offer(&self.signer, agent, session, &open, now) {
                Ok(offered) => keys.offered = Some(offered),
                Err(_) => {
                    count(&self.counters.refused);
                    return None;
                }
            }
        }
        let payload = keys.offered.as_ref()?.answer.clone();
        Some(Reply { topic: Topic::new(agent, Kind::Offer), payload })
    }

    /// The one place where a session begins: the offer was ours, the certificate is in force, and its key signed this.
    fn prove(&mut self, agent: &str, session: [u8; 16], topic: &str, envelope: &Envelope, now: i64) -> Option<Reply> {
        let keys = self.agents.get_mut(agent)?;
        let is_this = |offered: &&Offered| offered.session == session && now - offered.at < PROOF_WITHIN;
        let Some(offered) = keys.offered.as_ref().filter(is_this) else {
            count(&self.counters.unknown);
            return None;
        };
        let peer = judge(&self.reader, agent, session, topic, envelope, offered, now);
        let admitted = peer.and_then(|peer| match self.gate.connect(&peer) {
            Ok(()) => Ok(peer),
            Err(refusal) => Err(refusal.to_string()),
        });
        let peer = match admitted {
            Ok(peer) => peer,
            Err(why) => {
                count(&self.counters.refused);
                tracing::warn!(agent, "no key was agreed on: {why}");
                return None;
            }
        };
        let offered = keys.offered.take()?;
        count(&self.counters.agreed);
        let mut came = CounterWindow::default();
        // The proof's own counter is taken: it does not come again either.
        let _first = came.take(envelope.counter);
        // A new key for a session that has one replaces it; what is still under way under the old is said again.
        keys.agreed.retain(|agreed| agreed.session != session);
        if keys.agreed.len() >= SESSIONS {
            keys.agreed.pop_front();
        }
        let (told_forged, told_replayed, hinted) = (false, false, false);
        let begun = Agreed { session, key: offered.key, came, peer, told_forged, told_replayed, hinted };
        self.gate.connected(&begun.peer);
        keys.agreed.push_back(begun);
        None
    }

    /// A will, which the broker holds from before there was a key: passed on as a hint, once.
    fn hint(&mut self, agent: &str, envelope: &Envelope) -> Option<Reply> {
        let will = envelope.open_checked::<Will>(Kind::Will).ok()?;
        let agreed =
            self.agents.get_mut(agent)?.agreed.iter_mut().rev().find(|agreed| agreed.session[..] == will.session)?;
        if !std::mem::replace(&mut agreed.hinted, true) {
            self.gate.hinted_gone(agent, agreed.session);
        }
        None
    }

    fn sealed(
        &mut self,
        topic: Topic,
        session: [u8; 16],
        name: &str,
        envelope: &Envelope,
        payload: &Bytes,
        now: i64,
    ) -> Option<Reply> {
        let keys = self.agents.entry(topic.agent.clone()).or_default();
        let Some(agreed) = keys.agreed.iter_mut().find(|agreed| agreed.session == session) else {
            count(&self.counters.unknown);
            return keys.say_that_no_key_is_known(&topic.agent, session, now);
        };
        let judged = envelope.verify(&agreed.key, name).and_then(|()| agreed.came.take(envelope.counter));
        if let Err(error) = judged {
            let suspicion = agreed.suspicion(&topic, &error, &self.counters);
            suspicion.into_iter().for_each(|what| self.gate.suspicious(what));
            return None;
        }
        agreed.hinted = false;
        if topic.kind == Kind::Will {
            self.gate.gone(&agreed.peer, Gone::Goodbye);
            return None;
        }
        match self.gate.publish(&agreed.peer.client, topic, payload.clone()) {
            PublishVerdict::Taken => count(&self.counters.taken),
            PublishVerdict::Full => count(&self.counters.full),
        }
        None
    }
}

impl AgentKeys {
    /// The controller has started again, or let the session go: the agent is to open anew. This cannot be sealed, so the
    /// agent takes it as a hint.
    fn say_that_no_key_is_known(&mut self, agent: &str, session: [u8; 16], now: i64) -> Option<Reply> {
        if self.hinted_at.is_some_and(|at| now - at < HINT_AGAIN) {
            return None;
        }
        self.hinted_at = Some(now);
        let reason = "no key is known for this session".to_owned();
        let resync = Resync { hello: true, reason, ..Resync::default() };
        let payload = Envelope::new(session, 0, &resync).encode_to_vec();
        Some(Reply { topic: Topic::new(agent, Kind::Resync), payload })
    }
}

impl Agreed {
    /// Counts a message that is no input; the first of its sort in a session is told.
    fn suspicion(&mut self, topic: &Topic, error: &WireError, counters: &Counters) -> Option<Suspicion> {
        let (counter, told, kind) = match error {
            WireError::Replayed { .. } => (&counters.replayed, &mut self.told_replayed, "replayed"),
            _ => (&counters.forged, &mut self.told_forged, "forged"),
        };
        count(counter);
        let first = !std::mem::replace(told, true);
        let detail =
            format!("through the broker came a {} of session {}…: {error}", topic.kind.word(), &self.peer.incarnation);
        first.then(|| Suspicion { agent: topic.agent.clone(), kind, detail })
    }
}

/// Draws the controller's half and signs it.
fn offer(signer: &SigningKey, agent: &str, session: [u8; 16], open: &Open, now: i64) -> Result<Offered, WireError> {
    let secret = PrivateKey::generate(&X25519).expect("the operating system gives random bytes");
    let share = secret.compute_public_key().expect("a key that was drawn has a public half").as_ref().to_vec();
    let nonce = random::<16>();
    let agreement =
        Agreement { agent, session: &session, agent_share: &open.share, controller_share: &share, nonce: &nonce };
    let theirs = UnparsedPublicKey::new(&X25519, &open.share);
    let nothing = WireError::Invalid { what: "key share", found: "leads to no secret".to_owned() };
    let key = agree(&secret, theirs, nothing, |shared| agreement.key(shared))?;
    let signature = signer.sign(&agreement.offer_bytes()).to_vec();
    let proof_bytes = agreement.proof_bytes();
    let offer = Offer { share: share.clone(), nonce: nonce.to_vec(), key: signer.id().to_vec(), signature };
    let answer = Envelope::new(session, 0, &offer).encode_to_vec();
    Ok(Offered { session, agent_share: open.share.clone(), answer, proof_bytes, key, at: now })
}

/// Who proved what was offered, or why nobody did.
fn judge(
    reader: &CertificateReader,
    agent: &str,
    session: [u8; 16],
    topic: &str,
    envelope: &Envelope,
    offered: &Offered,
    now: i64,
) -> Result<Peer, String> {
    envelope.verify(&offered.key, topic).map_err(|error| error.to_string())?;
    let proof = envelope.open_checked::<Proof>(Kind::Proof).map_err(|error| error.to_string())?;
    let holder = reader.read(&proof.certificate, now).map_err(|error| error.to_string())?;
    if holder.name != agent {
        return Err("the certificate is another agent's".to_owned());
    }
    if !holder.signed(&offered.proof_bytes, &proof.signature) {
        return Err("the proof is not signed by the certificate's key".to_owned());
    }
    let incarnation = hex(&session[..8]);
    let client = format!("{agent}/{incarnation}");
    Ok(Peer { agent: agent.to_owned(), serial: holder.serial, client, incarnation, remote: None })
}
