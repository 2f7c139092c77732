//! The session's key through a broker that is not the controller's own, see [`watchkeep_protocol::agreement`].
//!
//! One agreement a connection, and another where the controller says that it knows no key. Until it stands nothing but
//! `open` goes up, and nothing but an offer is listened to. Messages that were under way under the key before are still
//! known until the first under the new one.

use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey as Share, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use watchkeep_protocol::{Agreement, CounterWindow, Envelope, Offer, Open, Proof, SessionKey, WireError};

use crate::enrol::HostKey;

/// With what an agent proves who it is, and by what it knows the controller.
pub struct Credentials {
    pub key: HostKey,
    /// The agent's certificate, DER.
    pub certificate: Vec<u8>,
    /// Ed25519 public keys of the controller (32 bytes each), from enrolment.
    pub command_keys: Vec<Vec<u8>>,
}

/// The seal on everything that goes up and comes down.
pub struct Seal {
    credentials: Credentials,
    opened: Option<Opened>,
    agreed: Option<Keyed>,
    before: Option<Keyed>,
    /// Whether the agreement of this connection stands.
    stands: bool,
    /// Messages that were not the controller's, or came before.
    refused: u64,
}

struct Opened {
    secret: EphemeralPrivateKey,
    share: Vec<u8>,
}

struct Keyed {
    key: SessionKey,
    came: CounterWindow,
}

impl Seal {
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, opened: None, agreed: None, before: None, stands: false, refused: 0 }
    }

    /// Whether the key of this connection is agreed on.
    pub fn stands(&self) -> bool {
        self.stands
    }

    /// Begins an agreement; one that was begun before is forgotten.
    pub fn open(&mut self) -> Open {
        let drawn = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new());
        let secret = drawn.expect("the operating system gives random bytes");
        let share = secret.compute_public_key().expect("a key that was drawn has a public half").as_ref().to_vec();
        self.opened = Some(Opened { secret, share: share.clone() });
        self.stands = false;
        Open { share }
    }

    /// Takes the controller's offer; with the proof that is to go up first, sealed.
    ///
    /// # Errors
    /// It is not by a command key, or not for what was opened; the agreement that was begun stays open.
    pub fn take(&mut self, agent: &str, session: &[u8; 16], offer: &Offer) -> Result<Proof, WireError> {
        let opened = self.opened.take().ok_or_else(|| wrong("comes without an agreement that was opened"))?;
        let agent_share = opened.share.clone();
        let agreement = Agreement {
            agent,
            session,
            agent_share: &agent_share,
            controller_share: &offer.share,
            nonce: &offer.nonce,
        };
        if !self.is_by_the_controller(offer, &agreement.offer_bytes()) {
            self.opened = Some(opened);
            return Err(WireError::Forged);
        }
        let shared = agree_ephemeral(opened.secret, &Share::new(&X25519, &offer.share), |shared| agreement.key(shared));
        let key = shared.map_err(|_| wrong("its share leads to no secret"))??;
        self.before = self.agreed.replace(Keyed { key, came: CounterWindow::default() });
        self.stands = true;
        let signature = self.credentials.key.sign(&agreement.proof_bytes());
        Ok(Proof { certificate: self.credentials.certificate.clone(), signature })
    }

    fn is_by_the_controller(&self, offer: &Offer, signed: &[u8]) -> bool {
        let mut known = self.credentials.command_keys.iter().filter(|key| Sha256::digest(key)[..8] == offer.key);
        known.any(|key| UnparsedPublicKey::new(&ED25519, key).verify(signed, &offer.signature).is_ok())
    }

    /// Seals what goes up; without a key it stays as it is.
    pub fn put(&self, envelope: &mut Envelope, topic: &str) {
        if let Some(keyed) = &self.agreed {
            envelope.seal(&keyed.key, topic);
        }
    }

    /// Whether a message that came down is the controller's, and new.
    ///
    /// # Errors
    /// [`WireError::Forged`] or [`WireError::Replayed`].
    pub fn check(&mut self, envelope: &Envelope, topic: &str) -> Result<(), WireError> {
        let Some(agreed) = &mut self.agreed else { return Err(WireError::Forged) };
        if envelope.verify(&agreed.key, topic).is_ok() {
            self.before = None;
            return agreed.came.take(envelope.counter);
        }
        let before = self.before.as_mut().ok_or(WireError::Forged)?;
        envelope.verify(&before.key, topic)?;
        before.came.take(envelope.counter)
    }

    /// Counts a message that was no input; how many there were in this session.
    pub fn count_refused(&mut self) -> u64 {
        self.refused += 1;
        self.refused
    }
}

fn wrong(found: &str) -> WireError {
    WireError::Invalid { what: "offer", found: found.to_owned() }
}
