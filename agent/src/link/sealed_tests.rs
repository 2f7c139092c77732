//! The link through a broker that is not the controller's own, against a model of the controller's half.

use prost::Message as _;
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::*;

use super::tests::{AGENT, Host, SESSION, kinds, opened};
use super::{Credentials, Input, Output};
use crate::enrol::HostKey;

/// The controller's half.
struct Controller {
    signs: Ed25519KeyPair,
    key: Option<SessionKey>,
    counter: u64,
}

impl Controller {
    fn new() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self { signs: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key"), key: None, counter: 0 }
    }

    /// The answer to what was opened, in this agent's name.
    fn offer(&mut self, open: &Open, agent: &str) -> Offer {
        let secret = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).expect("a key");
        let share = secret.compute_public_key().expect("a public half").as_ref().to_vec();
        let nonce = vec![9; 16];
        let agreement =
            Agreement { agent, session: &SESSION, agent_share: &open.share, controller_share: &share, nonce: &nonce };
        let signature = self.signs.sign(&agreement.offer_bytes()).as_ref().to_vec();
        let theirs = UnparsedPublicKey::new(&X25519, &open.share);
        self.key = agree_ephemeral(secret, &theirs, |shared| agreement.key(shared)).expect("a share").ok();
        let key = Sha256::digest(self.signs.public_key().as_ref())[..8].to_vec();
        Offer { share: share.clone(), nonce: nonce.clone(), key, signature }
    }

    /// A message of this session, sealed where there is a key.
    fn message(&mut self, kind: Kind, body: &impl prost::Message) -> (String, Vec<u8>) {
        self.counter += 1;
        let topic = Topic::new(AGENT, kind).to_string();
        let mut envelope = Envelope::new(SESSION, self.counter, body);
        if let Some(key) = &self.key {
            envelope.seal(key, &topic);
        }
        (topic, envelope.encode_to_vec())
    }

    fn is_sealed(&self, output: &Output) -> bool {
        let Output::Publish { topic, payload } = output else { return false };
        let envelope = Envelope::read(payload).expect("an envelope");
        self.key.as_ref().is_some_and(|key| envelope.verify(key, topic).is_ok())
    }
}

fn sealed_host(controller: &Controller) -> Host {
    let folder = tempfile::tempdir().expect("a folder");
    let key = HostKey::open(&folder.path().join("key.pem")).expect("a key");
    let command_keys = vec![vec![1; 32], controller.signs.public_key().as_ref().to_vec()];
    let mut host = Host::new();
    host.link = host.link.sealed(Credentials { key, certificate: b"certificate".to_vec(), command_keys });
    host
}

fn hears(host: &mut Host, (topic, payload): &(String, Vec<u8>)) -> Vec<Output> {
    host.step(Input::Incoming { topic, payload })
}

fn offered(host: &mut Host, offer: &Offer) -> Vec<Output> {
    let payload = Envelope::new(SESSION, 0, offer).encode_to_vec();
    hears(host, &(Topic::new(AGENT, Kind::Offer).to_string(), payload))
}

/// A host and a controller that have agreed on a key, and a hello that was answered.
fn agreed() -> (Host, Controller) {
    let mut controller = Controller::new();
    let mut host = sealed_host(&controller);
    let outputs = host.step(Input::Connected);
    assert_eq!(kinds(&outputs), ["open"]);
    let offer = controller.offer(&opened(&outputs[0]), AGENT);
    let outputs = offered(&mut host, &offer);
    assert_eq!(kinds(&outputs), ["proof", "hello"]);
    assert!(outputs.iter().all(|output| controller.is_sealed(output)));
    let ack = controller.message(Kind::Ack, &host.ack(0, 0, 16));
    hears(&mut host, &ack);
    assert!(host.link.is_up());
    (host, controller)
}

#[test]
fn hello_waits_for_the_key_and_everything_after_carries_it() {
    let (mut host, controller) = agreed();
    let outputs = host.matter("one");
    assert_eq!(kinds(&outputs), ["event"]);
    assert!(controller.is_sealed(&outputs[0]));
    let outputs = host.link.farewell();
    assert_eq!(kinds(&outputs), ["will"]);
    assert!(controller.is_sealed(&outputs[0]));
}

#[test]
fn nothing_but_an_opening_goes_up_without_a_key() {
    let mut host = sealed_host(&Controller::new());
    host.step(Input::Connected);
    assert!(host.matter("one").is_empty());
    assert!(host.link.farewell().is_empty());
    host.now += 6_000;
    assert_eq!(kinds(&host.step(Input::Tick)), ["open"], "it is opened again");
}

#[test]
fn an_offer_that_is_not_the_controllers_is_refused_and_the_true_one_still_taken() {
    let (mut controller, mut other) = (Controller::new(), Controller::new());
    let mut host = sealed_host(&controller);
    let outputs = host.step(Input::Connected);
    let open: Open = opened(&outputs[0]);
    let strangers = other.offer(&open, AGENT);
    let for_another = controller.offer(&open, "web-2");
    let older = controller.offer(&Open { share: vec![3; 32] }, AGENT);
    let good = controller.offer(&open, AGENT);
    let touched = Offer { nonce: vec![8; 16], ..good.clone() };
    for wrong in [strangers, for_another, older, touched] {
        assert!(!kinds(&offered(&mut host, &wrong)).contains(&"proof"));
    }
    assert_eq!(kinds(&offered(&mut host, &good)), ["proof", "hello"]);
}

#[test]
fn what_is_not_the_controllers_is_not_taken_and_told_once() {
    let (mut host, mut controller) = agreed();
    host.matter("one");
    let key = controller.key.take();
    let forged = controller.message(Kind::Ack, &host.ack(1, 0, 16));
    let command = controller.message(Kind::Command, &Command::default());
    controller.key = Some(SessionKey::new([1; 32]));
    let strangers = controller.message(Kind::Ack, &host.ack(1, 0, 16));
    // Told as a matter: it goes to the controller like any other.
    assert_eq!(kinds(&hears(&mut host, &forged)), ["note", "status"]);
    for wrong in [&command, &strangers, &forged] {
        assert!(!kinds(&hears(&mut host, wrong)).iter().any(|kind| *kind != "note"));
    }
    assert_eq!(host.spool.matters().first, 0, "nothing was let go for a forged acknowledgement");

    controller.key = key;
    let good = controller.message(Kind::Ack, &host.ack(2, 0, 16));
    hears(&mut host, &good);
    assert_eq!(host.spool.matters().first, 2);
    assert!(!hears(&mut host, &good).contains(&Output::Acked), "replayed");
}

#[test]
fn a_hint_that_no_key_is_known_leads_to_a_new_agreement_and_no_further() {
    let (mut host, mut controller) = agreed();
    let before = controller.key.take();
    let hint = controller.message(Kind::Resync, &Resync { hello: true, ..Resync::default() });
    let other = controller.message(Kind::Resync, &Resync { new_spool: true, ..Resync::default() });
    assert!(hears(&mut host, &other).is_empty(), "only hello can be hinted at");
    assert!(hears(&mut host, &hint).is_empty(), "it was just opened");
    host.now += 5_000;
    let outputs = hears(&mut host, &hint);
    assert_eq!(kinds(&outputs), ["open"]);
    assert!(hears(&mut host, &hint).is_empty());

    let offer = controller.offer(&opened(&outputs[0]), AGENT);
    assert_eq!(kinds(&offered(&mut host, &offer)), ["proof", "hello"]);
    // Under way when the key changed.
    let after = std::mem::replace(&mut controller.key, before);
    let late = controller.message(Kind::Ack, &host.ack(0, 0, 16));
    assert!(!kinds(&hears(&mut host, &late)).contains(&"note"));
    controller.key = after;
    let ack = controller.message(Kind::Ack, &host.ack(0, 0, 16));
    hears(&mut host, &ack);
    assert!(host.link.is_up());
}
