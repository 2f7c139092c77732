//! What passes between the hosts and the controller's broker, and what is lost on the way.

use prost::Message as _;
use watchkeep::fleet::gate::Gone;
use watchkeep::ingest::Incoming;
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Ack, Envelope, Resync, Will};

use super::super::broker::{KEEP_ALIVE, Line, Taken, WILL_DELAY, peer};
use super::super::controller::Sent;
use super::super::host::Wish;
use super::super::invariants;
use super::{Due, World};

impl World {
    pub(super) fn is_cut(&self, host: usize) -> bool {
        self.lines[host].cut_until > self.timeline.now
    }

    /// Does what a host wishes of the world.
    pub(super) fn grant(&mut self, host: usize, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Publish { topic, payload } => {
                    let life = self.hosts[host].life.as_ref();
                    let Some((connection, true)) = life.and_then(|life| life.connection) else { continue };
                    if self.is_cut(host) {
                        continue;
                    }
                    for delay in self.weather.arrivals(&mut self.chance) {
                        let (topic, payload) = (topic.clone(), payload.clone());
                        self.after(delay, Due::Up { host, connection, topic, payload });
                    }
                }
                Wish::Connect { connection } => {
                    let Some((client, session)) = self.hosts[host].client() else { continue };
                    let delay = 1 + self.chance.below(100);
                    self.after(delay, Due::Connect { host, connection, client, session });
                }
                Wish::Drop { connection } => {
                    if !self.is_cut(host) {
                        self.after(10, Due::Closed { host, connection });
                    }
                }
            }
        }
    }

    pub(super) fn connect(&mut self, host: usize, connection: u64, client: String, session: [u8; 16]) {
        if self.is_cut(host) || !self.controller.is_up() {
            let delay = if self.is_cut(host) { 15_000 } else { 20 };
            return self.after(delay, Due::Refused { host, connection });
        }
        let (now, name) = (self.timeline.now, self.hosts[host].agent.clone());
        let serial = self.hosts[host].serial.clone();
        if let Err(refusal) = self.controller.admit(&name, &serial) {
            self.timeline.say("broker", format!("refuses {}: {refusal}", self.hosts[host].name));
            return self.after(20, Due::Refused { host, connection });
        }
        if let Some(before) = self.lines[host].taken.as_ref().map(|taken| taken.connection) {
            self.gone(host, before, Gone::TakenOver);
        }
        let peer = peer(&name, &serial, &client, connection);
        self.lines[host].taken = Some(Taken { connection, peer: peer.clone(), session, heard_at: now });
        self.hear(&name, Incoming::Connected(peer));
        let delay = 1 + self.chance.below(100);
        self.after(delay, Due::Connected { host, connection });
    }

    /// A connection is over at the broker.
    pub(super) fn gone(&mut self, host: usize, connection: u64, how: Gone) {
        if self.lines[host].taken.as_ref().is_none_or(|taken| taken.connection != connection) {
            return;
        }
        let Some(Taken { peer, session, .. }) = self.lines[host].taken.take() else { return };
        let (agent, client) = (peer.agent.clone(), peer.client.clone());
        self.timeline.say("broker", format!("the connection of {agent} is over: {how:?}"));
        self.hear(&agent, Incoming::Gone { peer, how });
        self.after(WILL_DELAY, Due::Will { host, client, session });
        let delay = self.chance.below(50);
        if !self.is_cut(host) {
            self.after(delay, Due::Refused { host, connection });
        }
    }

    /// The broker sends a last will, unless the same process is back.
    pub(super) fn will(&mut self, host: usize, client: &str, session: [u8; 16]) {
        if self.lines[host].taken.as_ref().is_some_and(|taken| taken.peer.client == client) {
            return;
        }
        let Some((agent, _)) = client.split_once('/') else { return };
        let agent = agent.to_owned();
        let payload = Envelope::new(session, 0, &Will { session: session.to_vec() }).encode_to_vec().into();
        self.hear(
            &agent,
            Incoming::Message { agent: agent.clone(), client: client.to_owned(), kind: Kind::Will, payload },
        );
    }

    pub(super) fn up(&mut self, host: usize, connection: u64, topic: &str, payload: Vec<u8>) {
        let now = self.timeline.now;
        if self.is_cut(host) {
            return;
        }
        let Some(taken) = self.lines[host].taken.as_mut().filter(|taken| taken.connection == connection) else {
            return;
        };
        taken.heard_at = now;
        let client = taken.peer.client.clone();
        let Some(Topic { agent, kind }) = Topic::parse(topic) else { return };
        self.hear(&agent.clone(), Incoming::Message { agent, client, kind, payload: payload.into() });
    }

    /// The agent learns that its connection is over.
    pub(super) fn disconnect(&mut self, host: usize, connection: u64) {
        let wall = self.wall();
        let wishes = self.hosts[host].disconnected(connection, wall, &mut self.timeline);
        self.grant(host, wishes);
    }

    /// Something comes for a shard.
    pub(super) fn hear(&mut self, agent: &str, incoming: Incoming) {
        let now = self.now();
        self.controller.hear(agent, incoming, now);
        self.after_step();
    }

    /// What the controller sent goes on its way.
    pub(super) fn send(&mut self) {
        for sent in self.controller.sent() {
            match sent {
                Sent::Kick { client } => {
                    let kicked = |line: &Line| line.taken.as_ref().is_some_and(|taken| taken.peer.client == client);
                    if let Some(host) = self.lines.iter().position(kicked) {
                        let connection = self.lines[host].taken.as_ref().map_or(0, |taken| taken.connection);
                        self.gone(host, connection, Gone::Kicked);
                    }
                }
                Sent::KickAgent { agent } => {
                    for host in 0..self.hosts.len() {
                        let taken = self.lines[host].taken.as_ref().filter(|taken| taken.peer.agent == agent);
                        if let Some(connection) = taken.map(|taken| taken.connection) {
                            self.gone(host, connection, Gone::Kicked);
                        }
                    }
                }
                Sent::Message { topic, payload } => self.send_down(&topic, payload),
            }
        }
    }

    pub(super) fn send_down(&mut self, topic: &Topic, payload: Vec<u8>) {
        if topic.kind == Kind::Ack {
            self.check_ack(&topic.agent, &payload);
        }
        let resync = || Envelope::read(&payload).ok()?.open_checked::<Resync>(Kind::Resync).ok();
        if let Some(resync) = resync().filter(|_| topic.kind == Kind::Resync) {
            self.timeline.say("controller", format!("asks {}: {}", topic.agent, resync.reason));
        }
        // Whoever bears the name has subscribed to it.
        for host in 0..self.hosts.len() {
            let taken = self.lines[host].taken.as_ref().filter(|taken| taken.peer.agent == topic.agent);
            let Some(connection) = taken.map(|taken| taken.connection) else { continue };
            if self.is_cut(host) {
                continue;
            }
            for delay in self.weather.arrivals(&mut self.chance) {
                let (topic, payload) = (topic.to_string(), payload.clone());
                self.after(delay, Due::Down { host, connection, topic, payload });
            }
        }
    }

    /// Nothing is acknowledged that is not committed.
    pub(super) fn check_ack(&mut self, agent: &str, payload: &[u8]) {
        let Ok(envelope) = Envelope::read(payload) else { return };
        let Ok(ack) = envelope.open_checked::<Ack>(Kind::Ack) else { return };
        self.note_sealed(&envelope.session, &ack);
        let spool: String = ack.spool.iter().map(|byte| format!("{byte:02x}")).collect();
        match invariants::committed_mark(&mut self.controller, agent, &spool) {
            Ok(committed) if ack.matters <= committed.unwrap_or(0) => {}
            Ok(committed) => {
                let committed = committed.map_or("nothing".to_owned(), |mark| format!("matters below {mark}"));
                self.broken.get_or_insert(format!(
                    "matters below {} of spool {spool} are acknowledged, and {committed} are committed",
                    ack.matters
                ));
            }
            Err(error) => {
                self.broken.get_or_insert(format!("{error:#}"));
            }
        }
    }

    /// What is acknowledged as sealed the agent may delete: it must be in the controller's samples from then on.
    pub(super) fn note_sealed(&mut self, session: &[u8], ack: &Ack) {
        let Some(number) = self.hosts.iter().position(|host| host.is_session(session)) else { return };
        if self.is_unnoticed_twin(number) {
            return;
        }
        let host = &mut self.hosts[number];
        let sealed = host.serials(&ack.spool, 0, ack.sealed);
        host.sealed.extend(sealed);
    }

    /// Both ends of a connection that nothing passes give it up in time.
    pub(super) fn keep_alive(&mut self) {
        let now = self.timeline.now;
        for host in 0..self.hosts.len() {
            let believed = self.hosts[host].life.as_ref().and_then(|life| life.connection);
            let cut = self.is_cut(host);
            let Some(taken) = &mut self.lines[host].taken else {
                if let Some((connection, true)) = believed
                    && !cut
                {
                    // The other end is gone; whatever is sent there is answered with a reset.
                    self.after(1, Due::Refused { host, connection });
                }
                continue;
            };
            if !cut && believed.is_some_and(|(connection, _)| connection == taken.connection) {
                taken.heard_at = now;
            } else if now > taken.heard_at + KEEP_ALIVE {
                let connection = taken.connection;
                self.gone(host, connection, Gone::KeepAlive);
            }
        }
    }
}
