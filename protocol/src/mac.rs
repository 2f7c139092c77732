//! Messages through a broker that is not ours: a MAC under a session key, and a window of counters.
//!
//! HMAC-SHA256 over version (4 bytes, big-endian), length of the topic (4) and the topic, session (16), counter (8) and
//! the body. The lengths in front make the parts unambiguous; the topic binds a message to its sender, direction and kind,
//! so that a body cannot be moved to another. Who owns the broker can drop and delay; not forge, not replay.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{Envelope, WireError};

/// The key of one session, 32 bytes, agreed at hello. A secret: `Debug` is blank.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl Envelope {
    /// Puts the MAC on, for publishing under `topic`.
    pub fn seal(&mut self, key: &SessionKey, topic: &str) {
        self.mac = self.digest(key, topic).finalize().into_bytes().to_vec();
    }

    /// Whether the MAC is that of this content under `topic`; compared in constant time.
    ///
    /// # Errors
    /// [`WireError::Forged`] where it is missing, of another length, or another.
    pub fn verify(&self, key: &SessionKey, topic: &str) -> Result<(), WireError> {
        self.digest(key, topic).verify_slice(&self.mac).map_err(|_| WireError::Forged)
    }

    fn digest(&self, key: &SessionKey, topic: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
        mac.update(&self.version.to_be_bytes());
        mac.update(&u32::try_from(topic.len()).unwrap_or(u32::MAX).to_be_bytes());
        mac.update(topic.as_bytes());
        mac.update(&u32::try_from(self.session.len()).unwrap_or(u32::MAX).to_be_bytes());
        mac.update(&self.session);
        mac.update(&self.counter.to_be_bytes());
        mac.update(&self.body);
        mac
    }
}

/// Which counters of one direction of one session were seen: each is taken once, in any order within the last 64.
///
/// Brokers of a cluster may deliver out of order, so a lower counter is no replay by itself; one that lies 64 or more
/// behind the highest is refused unseen, as it can no longer be told from a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterWindow {
    highest: Option<u64>,
    /// Bit `n`: `highest - n` was seen.
    seen: u64,
}

impl CounterWindow {
    /// Takes `counter`, once its envelope was verified.
    ///
    /// # Errors
    /// [`WireError::Replayed`] where it was taken before or is too old to tell.
    pub fn take(&mut self, counter: u64) -> Result<(), WireError> {
        let Some(highest) = self.highest else {
            self.highest = Some(counter);
            self.seen = 1;
            return Ok(());
        };
        if counter > highest {
            let ahead = counter - highest;
            self.seen = if ahead >= 64 { 1 } else { self.seen << ahead | 1 };
            self.highest = Some(counter);
            return Ok(());
        }
        let behind = highest - counter;
        if behind >= 64 || self.seen >> behind & 1 == 1 {
            return Err(WireError::Replayed { counter });
        }
        self.seen |= 1 << behind;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Ack;

    const TOPIC: &str = "watchkeep/v1/7/web-1/up/event";

    fn sealed() -> (SessionKey, Envelope) {
        let key = SessionKey::new([7; 32]);
        let mut envelope = Envelope::new([1; 16], 5, &Ack { matters: 3, ..Ack::default() });
        envelope.seal(&key, TOPIC);
        (key, envelope)
    }

    #[test]
    fn a_sealed_envelope_verifies_under_its_topic_and_key() {
        let (key, envelope) = sealed();
        assert_eq!(envelope.verify(&key, TOPIC), Ok(()));
    }

    #[test]
    fn a_change_of_any_part_is_forged() {
        let (key, good) = sealed();
        type Change = fn(&mut Envelope);
        let changed: [(&str, Change); 6] = [
            ("version", |e| e.version += 1),
            ("session", |e| e.session[0] ^= 1),
            ("counter", |e| e.counter += 1),
            ("body", |e| e.body.push(0)),
            ("mac", |e| e.mac[31] ^= 1),
            ("no mac", |e| e.mac.clear()),
        ];
        for (part, change) in changed {
            let mut envelope = good.clone();
            change(&mut envelope);
            assert_eq!(envelope.verify(&key, TOPIC), Err(WireError::Forged), "{part}");
        }
        assert_eq!(good.verify(&key, "watchkeep/v1/7/web-1/up/status"), Err(WireError::Forged));
        assert_eq!(good.verify(&SessionKey::new([8; 32]), TOPIC), Err(WireError::Forged));
    }

    #[test]
    fn a_counter_is_taken_once_in_any_order_of_the_last_64() {
        let mut window = CounterWindow::default();
        for (counter, taken) in [
            (10, true),
            (10, false),
            (12, true),
            (11, true),
            (11, false),
            (10, false),
            (200, true),
            (137, true),
            (136, false),
            (137, false),
            (199, true),
            (u64::MAX, true),
            (0, false),
            (u64::MAX, false),
        ] {
            assert_eq!(window.take(counter).is_ok(), taken, "counter {counter}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", SessionKey::new([7; 32])), "SessionKey(…)");
    }
}
