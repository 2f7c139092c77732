//! What the link does otherwise where the broker is not the controller's own: it agrees on a key before it says hello, and
//! takes nothing that does not carry it.

use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Envelope, MatterBody, Offer, Resync, Status, Will, WireError};

use super::machine::{Link, Steps, refused, trouble};
use super::seal::{Credentials, Seal};
use super::{Output, World};
use crate::spool::Disk;

/// A hint that the controller knows no key may be anybody's: it is followed once in so many milliseconds.
const REOPEN: u64 = 5_000;

impl Link {
    /// The same link through a broker that is not the controller's own.
    pub fn sealed(mut self, credentials: Credentials) -> Self {
        self.seal = Some(Seal::new(credentials));
        self
    }

    /// From the next connection on, keys are agreed on by these. The link must not be connected.
    pub fn reseal(&mut self, credentials: Credentials) {
        self.seal = Some(Seal::new(credentials));
    }

    /// The first message of a connection.
    pub(super) fn begin<D: Disk>(&mut self, world: &mut World<'_, D>) -> Output {
        let Some(seal) = &mut self.seal else { return self.hello(world) };
        let open = seal.open();
        (self.asked_at, self.opened_at) = (world.now, world.now);
        self.publish(Kind::Open, &open)
    }

    /// Whether hello may be said on this connection.
    pub(super) fn may_speak(&self) -> bool {
        self.connected && self.seal.as_ref().is_none_or(Seal::stands)
    }

    /// What a message leads to that is not to be taken as the controller's word; `None` for one that is.
    pub(super) fn guard<D: Disk>(
        &mut self,
        kind: Kind,
        envelope: &Envelope,
        topic: &str,
        world: &mut World<'_, D>,
    ) -> Option<Steps> {
        let seal = self.seal.as_mut()?;
        if kind == Kind::Offer {
            return Some(self.offered(envelope, topic, world));
        }
        if kind == Kind::Resync && envelope.mac.is_empty() {
            return Some(self.hinted(envelope, world));
        }
        if !seal.stands() {
            return Some(Vec::new());
        }
        let error = seal.check(envelope, topic).err()?;
        Some(self.stranger(topic, &error, world))
    }

    fn offered<D: Disk>(&mut self, envelope: &Envelope, topic: &str, world: &mut World<'_, D>) -> Steps {
        let (session, agent) = (self.session, self.agent.clone());
        let Some(seal) = &mut self.seal else { return Vec::new() };
        // The answer to an `open` that was said again comes twice.
        if seal.stands() {
            return Vec::new();
        }
        let offer = envelope.open_checked::<Offer>(Kind::Offer);
        match offer.and_then(|offer| seal.take(&agent, &session, &offer)) {
            Ok(proof) => {
                self.quiet_since = world.now;
                vec![self.publish(Kind::Proof, &proof), self.hello(world)]
            }
            Err(error) => self.stranger(topic, &error, world),
        }
    }

    /// The controller may have started again and know no key. Nothing is given up for it but a moment.
    fn hinted<D: Disk>(&mut self, envelope: &Envelope, world: &mut World<'_, D>) -> Steps {
        let asks = envelope.open_checked::<Resync>(Kind::Resync).is_ok_and(|resync| resync.hello);
        if !asks || !self.may_speak() || world.now < self.opened_at + REOPEN {
            return Vec::new();
        }
        self.welcomed = false;
        self.announced.clear();
        vec![self.begin(world)]
    }

    /// Somebody else's message in the controller's name. The first of a session is told, the rest counted.
    fn stranger<D: Disk>(&mut self, topic: &str, error: &WireError, world: &mut World<'_, D>) -> Steps {
        let count = self.seal.as_mut().map_or(0, Seal::count_refused);
        let mut steps = if count.is_power_of_two() { refused(topic, error) } else { Vec::new() };
        if count != 1 {
            return steps;
        }
        let detail =
            format!("a message on \"{topic}\" was not the controller's: {error}; the broker is not to be trusted");
        let status = Status { what: "forged".to_owned(), detail, skipped: None };
        let told = world.spool.add_matter(world.wall_ms, MatterBody::Status(status)).and_then(|_| world.spool.sync());
        steps.extend(told.err().iter().map(trouble));
        steps.extend(self.pump(world));
        steps
    }

    /// The last message of a session that ends by itself, where the broker's word for that would not count.
    pub fn farewell(&mut self) -> Vec<Output> {
        if self.seal.is_none() || !self.may_speak() {
            return Vec::new();
        }
        let will = Will { session: self.session.to_vec() };
        vec![self.publish(Kind::Will, &will)]
    }
}
