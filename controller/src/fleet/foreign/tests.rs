//! An agent's half of the agreement against [`Keys`], with everything that a broker's owner can do in between.

use std::sync::{Arc, Mutex};

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use prost::Message as _;
use prost::bytes::Bytes;
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Ack, Agreement, Envelope, Hello, Offer, Open, Proof, Resync, SessionKey, Status, Will};

use super::keys::{Keys, Reply};
use super::{Counters, ForeignCounts};
use crate::access::ca::{Ca, CertificateRequest};
use crate::access::keys::{SigningKey, verify};
use crate::fleet::gate::{ForeignGate, Gate, Gone, Peer, PublishVerdict, Refusal, Suspicion};

const NOW: i64 = 1_795_000_000_000;

/// What the gate was told, in words.
#[derive(Default)]
struct Told(Mutex<Vec<String>>, Mutex<Vec<String>>);

impl Told {
    fn note(&self, what: String) {
        self.0.lock().expect("not poisoned").push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }

    fn revoke(&self, serial: &str) {
        self.1.lock().expect("not poisoned").push(serial.to_owned());
    }
}

impl Gate for Told {
    fn connect(&self, peer: &Peer) -> Result<(), Refusal> {
        let serial = peer.serial.clone();
        let revoked = self.1.lock().expect("not poisoned").contains(&serial);
        if revoked { Err(Refusal::Revoked { serial }) } else { Ok(()) }
    }

    fn connected(&self, peer: &Peer) {
        self.note(format!("connected {}", peer.client));
    }

    fn publish(&self, client: &str, topic: Topic, _payload: Bytes) -> PublishVerdict {
        self.note(format!("{} of {client}", topic.kind.word()));
        PublishVerdict::Taken
    }

    fn gone(&self, peer: &Peer, how: Gone) {
        self.note(format!("gone {} {how:?}", peer.client));
    }

    fn suspicious(&self, what: Suspicion) {
        self.note(format!("suspicious: {} of {}", what.kind, what.agent));
    }
}

impl ForeignGate for Told {
    fn is_enrolled(&self, agent: &str) -> bool {
        agent != "nobody"
    }

    fn hinted_gone(&self, agent: &str, session: [u8; 16]) {
        self.note(format!("hint {agent} {:02x}", session[0]));
    }

    fn hears(&self, _hears: bool) {}
}

struct World {
    keys: Keys,
    told: Arc<Told>,
    counters: Arc<Counters>,
    signer: Arc<SigningKey>,
    ca: Ca,
    _data: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let ca = Ca::open(data.path(), NOW).expect("a CA");
        let (told, counters) = (Arc::new(Told::default()), Arc::new(Counters::default()));
        let signer = Arc::new(SigningKey::generate());
        let keys = Keys::new(told.clone(), counters.clone(), signer.clone(), ca.reader());
        Self { keys, told, counters, signer, ca, _data: data }
    }

    fn hear(&mut self, (topic, payload): &(String, Vec<u8>)) -> Option<Reply> {
        self.keys.hear(topic, &Bytes::from(payload.clone()), NOW)
    }

    fn counts(&self) -> ForeignCounts {
        self.counters.read()
    }

    /// A session of this agent, agreed on.
    fn agreed(&mut self, agent: &mut Agent) {
        let offer = self.offered(agent);
        let proof = agent.prove(&offer);
        assert!(self.hear(&proof).is_none());
        assert_eq!(self.told.take(), [format!("connected {}", agent.client())]);
    }

    fn offered(&mut self, agent: &mut Agent) -> Offer {
        let reply = self.hear(&agent.open()).expect("an offer");
        assert_eq!(reply.topic, Topic::new(agent.name, Kind::Offer));
        let envelope = Envelope::read(&reply.payload).expect("an envelope");
        assert_eq!(envelope.session, agent.session);
        envelope.open_checked(Kind::Offer).expect("an offer")
    }
}

/// One process of an agent.
struct Agent {
    name: &'static str,
    session: [u8; 16],
    certificate: Vec<u8>,
    serial: String,
    signs: KeyPair,
    secret: Option<PrivateKey>,
    key: Option<SessionKey>,
    counter: u64,
}

impl Agent {
    fn new(world: &World, name: &'static str, session: u8) -> Self {
        let signs = KeyPair::generate().expect("a key");
        let request = CertificateParams::default().serialize_request(&signs).expect("a request").pem().expect("PEM");
        let request = CertificateRequest::parse(&request).expect("a good request");
        let issued = world.ca.sign_agent(name, &request, [session; 16], NOW).expect("signed");
        let certificate = x509_parser::pem::parse_x509_pem(issued.pem.as_bytes()).expect("PEM").1.contents;
        let (secret, key, counter) = (None, None, 0);
        Self { name, session: [session; 16], certificate, serial: issued.serial, signs, secret, key, counter }
    }

    fn client(&self) -> String {
        format!("{}/{}", self.name, format!("{:02x}", self.session[0]).repeat(8))
    }

    fn share(&self) -> Vec<u8> {
        let secret = self.secret.as_ref().expect("an agreement was opened");
        secret.compute_public_key().expect("a public half").as_ref().to_vec()
    }

    fn say(&mut self, kind: Kind, body: &impl prost::Message) -> (String, Vec<u8>) {
        self.counter += 1;
        let topic = Topic::new(self.name, kind).to_string();
        let mut envelope = Envelope::new(self.session, self.counter, body);
        if let Some(key) = &self.key {
            envelope.seal(key, &topic);
        }
        (topic, envelope.encode_to_vec())
    }

    fn open(&mut self) -> (String, Vec<u8>) {
        self.key = None;
        self.secret = Some(PrivateKey::generate(&X25519).expect("a key"));
        let share = self.share();
        self.say(Kind::Open, &Open { share })
    }

    fn prove(&mut self, offer: &Offer) -> (String, Vec<u8>) {
        let share = self.share();
        let agreement = Agreement {
            agent: self.name,
            session: &self.session,
            agent_share: &share,
            controller_share: &offer.share,
            nonce: &offer.nonce,
        };
        let signature = self.signs.sign(&agreement.proof_bytes()).expect("signed");
        let secret = self.secret.as_ref().expect("an agreement was opened");
        let theirs = UnparsedPublicKey::new(&X25519, &offer.share);
        self.key = agree(secret, theirs, (), |shared| agreement.key(shared).map_err(drop)).ok();
        let proof = Proof { certificate: self.certificate.clone(), signature };
        self.say(Kind::Proof, &proof)
    }

    fn status(&mut self) -> (String, Vec<u8>) {
        self.say(Kind::Status, &Status { what: "started".to_owned(), ..Status::default() })
    }
}

#[test]
fn a_session_that_is_agreed_on_is_heard_and_answered_under_its_seal() {
    let mut world = World::new();
    let mut agent = Agent::new(&world, "web-1", 7);
    let offer = world.offered(&mut agent);
    let share = agent.share();
    let agreement = Agreement {
        agent: "web-1",
        session: &[7; 16],
        agent_share: &share,
        controller_share: &offer.share,
        nonce: &offer.nonce,
    };
    assert!(verify(world.signer.public_key(), &agreement.offer_bytes(), &offer.signature));
    let proof = agent.prove(&offer);
    world.hear(&proof);
    world.hear(&agent.say(Kind::Hello, &Hello::default()));
    world.hear(&agent.status());
    let heard =
        ["connected web-1/0707070707070707", "hello of web-1/0707070707070707", "status of web-1/0707070707070707"];
    assert_eq!(world.told.take(), heard);

    let topic = Topic::new("web-1", Kind::Ack);
    let ack = Envelope::new([7; 16], 1, &Ack::default()).encode_to_vec();
    let sealed = Envelope::read(&world.keys.seal(&topic, &ack).expect("sealed")).expect("an envelope");
    assert_eq!(sealed.verify(agent.key.as_ref().expect("a key"), &topic.to_string()), Ok(()));
    assert!(world.keys.seal(&Topic::new("web-2", Kind::Ack), &ack).is_none(), "another agent has no key");
}

#[test]
fn nothing_is_input_before_a_key_is_agreed_on_and_the_agent_is_told_so_now_and_again() {
    let mut world = World::new();
    let mut agent = Agent::new(&world, "web-1", 7);
    let reply = world.hear(&agent.status()).expect("a hint");
    let resync: Resync = Envelope::read(&reply.payload).expect("an envelope").open_checked(Kind::Resync).expect("one");
    assert!(resync.hello && reply.topic == Topic::new("web-1", Kind::Resync));
    assert!(world.hear(&agent.status()).is_none(), "once in a while is enough");
    // An offer alone is no key.
    world.offered(&mut agent);
    world.hear(&agent.status());
    assert_eq!(world.told.take(), [""; 0]);
    assert_eq!(world.counts().unknown, 3);
}

#[test]
fn whoever_replays_an_opening_or_a_proof_displaces_no_session() {
    let mut world = World::new();
    let mut agent = Agent::new(&world, "web-1", 7);
    let open = agent.open();
    let offer = world.hear(&open).expect("an offer");
    let offer = Envelope::read(&offer.payload).expect("an envelope").open_checked(Kind::Offer).expect("an offer");
    let proof = agent.prove(&offer);
    world.hear(&proof);
    world.told.take();

    for replayed in [&open, &proof, &open, &proof] {
        world.hear(replayed);
    }
    assert_eq!((world.counts().agreed, world.told.take()), (1, Vec::new()));
    world.hear(&agent.status());
    assert_eq!(world.told.take(), ["status of web-1/0707070707070707"], "the session goes on");
}

#[test]
fn a_proof_is_refused_that_is_not_by_the_agents_own_certificate() {
    let mut world = World::new();
    let (mut honest, mut other) = (Agent::new(&world, "web-1", 7), Agent::new(&world, "web-2", 8));

    // Another agent's certificate, in this one's name.
    other.name = "web-1";
    let offer = world.offered(&mut other);
    let proof = other.prove(&offer);
    world.hear(&proof);
    // This one's certificate, which everybody may read, without its key.
    other.certificate.clone_from(&honest.certificate);
    let offer = world.offered(&mut other);
    let proof = other.prove(&offer);
    world.hear(&proof);
    // A proof for what was offered to somebody else.
    let offer = world.offered(&mut honest);
    let (topic, mut stolen) = honest.prove(&offer);
    let offer = world.offered(&mut honest);
    world.hear(&(topic, std::mem::take(&mut stolen)));
    assert_eq!((world.counts().agreed, world.counts().refused), (0, 3));

    let proof = honest.prove(&offer);
    world.told.revoke(&honest.serial);
    world.hear(&proof);
    assert_eq!((world.counts().refused, world.told.take()), (4, Vec::new()), "it was revoked");
}

#[test]
fn what_is_forged_changed_or_said_again_is_counted_and_told_once_a_session() {
    let mut world = World::new();
    let mut agent = Agent::new(&world, "web-1", 7);
    world.agreed(&mut agent);
    let (topic, good) = agent.status();
    let mut touched = Envelope::read(&good).expect("an envelope");
    touched.body.push(0);
    let event = Topic::new("web-1", Kind::Event).to_string();
    let unsealed = Envelope::new([7; 16], 900, &Status::default()).encode_to_vec();
    for forged in [(&topic, touched.encode_to_vec()), (&event, good.clone()), (&topic, unsealed)] {
        world.hear(&(forged.0.clone(), forged.1));
    }
    assert_eq!(world.told.take(), ["suspicious: forged of web-1"]);
    world.hear(&(topic.clone(), good.clone()));
    world.hear(&(topic.clone(), good.clone()));
    world.hear(&(topic, good));
    assert_eq!(world.told.take(), ["status of web-1/0707070707070707", "suspicious: replayed of web-1"]);
    assert_eq!((world.counts().forged, world.counts().replayed), (3, 2));
}

#[test]
fn a_will_is_a_hint_and_a_sealed_one_a_goodbye() {
    let mut world = World::new();
    let mut agent = Agent::new(&world, "web-1", 7);
    let topic = Topic::new("web-1", Kind::Will).to_string();
    let will = |session: u8| {
        let body = Will { session: vec![session; 16] };
        (topic.clone(), Envelope::new([session; 16], 0, &body).encode_to_vec())
    };
    world.hear(&will(7));
    assert_eq!(world.told.take(), [""; 0], "of no session that is known");
    world.agreed(&mut agent);
    for session in [7, 7, 9] {
        world.hear(&will(session));
    }
    assert_eq!(world.told.take(), ["hint web-1 07"]);
    world.hear(&agent.status());
    world.hear(&will(7));
    assert_eq!(world.told.take(), ["status of web-1/0707070707070707", "hint web-1 07"]);
    world.hear(&agent.say(Kind::Will, &Will { session: vec![7; 16] }));
    assert_eq!(world.told.take(), ["gone web-1/0707070707070707 Goodbye"]);
}

#[test]
fn a_clone_speaks_under_a_key_of_its_own_and_both_are_heard_for_who_they_are() {
    let mut world = World::new();
    let mut first = Agent::new(&world, "web-1", 7);
    let mut second = Agent::new(&world, "web-1", 8);
    world.agreed(&mut first);
    world.agreed(&mut second);
    world.hear(&first.status());
    world.hear(&second.status());
    assert_eq!(world.told.take(), ["status of web-1/0707070707070707", "status of web-1/0808080808080808"]);
    world.keys.forget_client("web-1/0707070707070707");
    world.hear(&first.status());
    world.hear(&second.status());
    assert_eq!(world.told.take(), ["status of web-1/0808080808080808"]);
    world.keys.forget_agent("web-1");
    world.hear(&second.status());
    assert_eq!(world.told.take(), [""; 0]);
}

#[test]
fn names_that_nobody_is_enrolled_under_and_topics_that_are_none_leave_nothing_behind() {
    let mut world = World::new();
    let mut nobody = Agent::new(&world, "nobody", 7);
    assert!(world.hear(&nobody.open()).is_none());
    let (_, payload) = nobody.status();
    for topic in ["watchkeep/v1/0/web-1/up/status", "watchkeep/v1/196/web-1/down/ack", "anything", ""] {
        assert!(world.hear(&(topic.to_owned(), payload.clone())).is_none(), "{topic}");
    }
    let garbage = (Topic::new("web-1", Kind::Status).to_string(), b"garbage".to_vec());
    assert!(world.hear(&garbage).is_none());
    assert_eq!((world.counts().stray, world.told.take()), (6, Vec::new()));
}
