//! The step function itself.

use std::collections::VecDeque;
use std::net::SocketAddr;

use watchkeep_desk::Millis;
use watchkeep_desk::input::AgentEvent;
use watchkeep_protocol::Hello;

use super::suspicions::Suspicions;
use super::{Heard, Kick, Live, Outcome};
use crate::access::hex;
use crate::fleet::gate::{Gone, Peer};

/// A closed socket is forgiven for this long, milliseconds: as long as a broker waits with the will.
const BACK_WITHIN: i64 = 5_000;
/// For this long after a new incarnation began, what still comes of the one before was under way already.
const DRAINED_WITHIN: i64 = 10_000;
/// So many intervals without a word are silence.
const MISSED_INTERVALS: i64 = 3;
/// The interval of an agent that has not said hello.
const INTERVAL: i64 = 15_000;
/// What a hello may ask for, milliseconds.
const INTERVALS: std::ops::RangeInclusive<i64> = 1_000..=3_600_000;
/// After its own start the controller waits this long for agents that it expects back.
const START_GRACE: i64 = 60_000;
/// A hello without a nonce is followed by one with it within this, where there is an `act`, milliseconds.
const ACT_WITHIN: i64 = 5_000;
/// Earlier incarnations that are remembered.
const PAST: usize = 8;

/// What is known of one agent's sessions.
#[derive(Debug, Default)]
pub struct Presence {
    newest: Option<Session>,
    /// Incarnations that a newer one followed, newest last, with when that began.
    past: VecDeque<(String, Millis)>,
    /// Of the newest certificate that is known: of a connection that stood when the controller read everything back nobody
    /// tells again.
    serial: String,
    /// The certificate of the clones.
    quarantined: Option<String>,
    /// Silence before this instant does not count.
    judged_from: Millis,
    /// The desk knows that nobody on the host carries out commands.
    cannot_act: bool,
    suspicions: Suspicions,
}

/// One incarnation.
#[derive(Debug)]
struct Session {
    incarnation: String,
    serial: String,
    /// The connection that stands, as far as a broker of ours tells.
    connection: Option<SocketAddr>,
    client: Option<String>,
    live: Option<Live>,
    /// The session as the desk knows it.
    announced: Option<String>,
    heard_at: Millis,
    /// Lost for this reason at that instant, unless something is heard before.
    doomed: Option<(&'static str, Millis)>,
    /// Somebody said then that it is gone, and nothing was heard of it since.
    hinted_at: Option<Millis>,
    lost: bool,
    /// Since when its hellos bring no nonce.
    idle_since: Option<Millis>,
}

/// How a message stands to what is known.
enum Speaker {
    Newest,
    /// An earlier incarnation, which may only be emptying its socket.
    Draining,
    /// An earlier incarnation that is alive.
    Clone,
}

impl Presence {
    /// An agent that the desk knew with this session (hexadecimal) when the controller stopped, and expects back.
    pub fn expected(session: &str, started_at: Millis) -> Self {
        let incarnation = session.chars().take(16).collect();
        let mut newest = Session::new(incarnation, started_at);
        newest.announced = Some(session.to_owned());
        Self { newest: Some(newest), judged_from: started_at.plus(START_GRACE), ..Self::default() }
    }

    /// The same, where the desk knows that somebody on the host carries out commands, or that nobody does.
    #[must_use]
    pub fn acting(self, able: bool) -> Self {
        Self { cannot_act: !able, ..self }
    }

    /// The same, where this certificate is in force.
    #[must_use]
    pub fn holding(self, serial: String) -> Self {
        Self { serial, ..self }
    }

    /// The session that has said hello and is there.
    pub fn live(&self) -> Option<&Live> {
        let newest = self.newest.as_ref().filter(|newest| !newest.lost && self.quarantined.is_none())?;
        newest.live.as_ref()
    }

    /// Whether two live sessions were seen, and neither has been enrolled again.
    pub fn is_quarantined(&self) -> bool {
        self.quarantined.is_some()
    }

    /// When a tick is due at the latest.
    pub fn next_due(&self) -> Option<Millis> {
        let newest = self.newest.as_ref().filter(|newest| !newest.lost && newest.announced.is_some());
        let judged = newest.map(|newest| {
            let silent = self.silent_at(newest);
            newest.doomed.map_or(silent, |(_, at)| at.min(silent))
        });
        judged.into_iter().chain(self.suspicions.next_due()).chain(self.idle_at()).min()
    }

    /// One step.
    pub fn hear(&mut self, heard: Heard<'_>, now: Millis) -> Outcome {
        let mut outcome = Outcome::default();
        match heard {
            Heard::Connected(peer) => self.connected(peer, now, &mut outcome),
            Heard::Gone { peer, how } => self.gone(peer, how, now, &mut outcome),
            Heard::Message { client, session } => {
                outcome.taken = self.speaks(client, session, now, &mut outcome);
                if outcome.taken {
                    self.announce(&mut outcome);
                }
            }
            Heard::Hello { client, session, hello } => {
                outcome.taken = self.speaks(client, session, now, &mut outcome);
                if outcome.taken {
                    self.greeted(session, hello, now);
                    self.announce(&mut outcome);
                    self.tell_acting(now, &mut outcome);
                }
            }
            Heard::Will { session } => self.will(session, &mut outcome),
            Heard::Hint { session } => self.hint(session, now),
            Heard::Suspicious(what) => self.suspect(what.kind, &what.detail, now, &mut outcome),
            Heard::Tick { behind } => self.tick(behind, now, &mut outcome),
        }
        outcome
    }

    fn connected(&mut self, peer: &Peer, now: Millis, outcome: &mut Outcome) {
        self.serial.clone_from(&peer.serial);
        match &mut self.quarantined {
            // The messages that gave the clones away came before any connection was told of.
            Some(serial) if serial.is_empty() => serial.clone_from(&peer.serial),
            // Enrolled again: the clones' certificate is not this one.
            Some(serial) if *serial != peer.serial => {
                self.quarantined = None;
                self.past.clear();
            }
            _ => {}
        }
        if self.quarantined.is_some() {
            return outcome.kicks.push(Kick { client: peer.client.clone(), reason: "quarantined" });
        }
        match self.speaker(&peer.incarnation, now) {
            Speaker::Clone => self.quarantine(&peer.incarnation, Some(&peer.client), outcome),
            Speaker::Draining => {}
            Speaker::Newest => {
                if let Some(newest) = &mut self.newest {
                    newest.serial.clone_from(&peer.serial);
                    newest.client = Some(peer.client.clone());
                    newest.connection = peer.remote;
                    newest.heard(now);
                }
                self.announce(outcome);
            }
        }
    }

    fn gone(&mut self, peer: &Peer, how: &Gone, now: Millis, outcome: &mut Outcome) {
        // Through a foreign broker there is no connection, and the session itself said this.
        let is_this =
            |newest: &&mut Session| newest.connection == peer.remote && newest.incarnation == peer.incarnation;
        let Some(newest) = self.newest.as_mut().filter(is_this) else { return };
        newest.connection = None;
        let reason = match how {
            Gone::Goodbye => return self.lose("goodbye", outcome),
            Gone::Closed => "agent_down",
            Gone::KeepAlive | Gone::TakenOver | Gone::Kicked | Gone::Fault(_) => "link_down",
        };
        newest.doomed = Some((reason, now.plus(BACK_WITHIN)));
    }

    /// A will counts for the newest session alone, and only where that is not connected: a broker sends the will of the
    /// connection before when the same process takes over with a clean start.
    fn will(&mut self, session: [u8; 16], outcome: &mut Outcome) {
        let Some(newest) = &self.newest else { return };
        if newest.incarnation == hex(&session[..8]) && newest.connection.is_none() {
            let reason = newest.doomed.map_or("agent_down", |(reason, _)| reason);
            self.lose(reason, outcome);
        }
    }

    /// Whoever owns a foreign broker can say this of anybody. An agent that is there speaks within an interval; one that does
    /// not is lost sooner than by three missed intervals, and for the reason that silence has.
    fn hint(&mut self, session: [u8; 16], now: Millis) {
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.incarnation == hex(&session[..8])) {
            newest.hinted_at.get_or_insert(now);
        }
    }

    fn tick(&mut self, behind: bool, now: Millis, outcome: &mut Outcome) {
        let counted = self.suspicions.due(now).into_iter();
        outcome.events.extend(counted.map(|detail| AgentEvent::Suspicious { detail }));
        let Some(newest) = self.newest.as_ref().filter(|newest| !newest.lost) else { return };
        if behind {
            let patience = newest.interval().saturating_mul(MISSED_INTERVALS);
            self.judged_from = self.judged_from.max(now.plus(patience));
            return;
        }
        match newest.doomed {
            Some((reason, at)) if at <= now => self.lose(reason, outcome),
            _ if self.silent_at(newest) <= now => {
                let reason = if newest.connection.is_some() { "agent_down" } else { "link_down" };
                self.lose(reason, outcome);
            }
            _ => self.tell_acting(now, outcome),
        }
    }

    fn silent_at(&self, newest: &Session) -> Millis {
        let missed = newest.heard_at.plus(newest.interval().saturating_mul(MISSED_INTERVALS));
        let hinted = newest.hinted_at.map(|at| at.plus(newest.interval().saturating_add(BACK_WITHIN)));
        hinted.map_or(missed, |hinted| hinted.min(missed)).max(self.judged_from)
    }

    /// Whether the sender of a message speaks for the agent.
    fn speaks(&mut self, client: Option<&str>, session: [u8; 16], now: Millis, outcome: &mut Outcome) -> bool {
        if self.quarantined.is_some() {
            return false;
        }
        let incarnation = hex(&session[..8]);
        if let Some(client) = client.filter(|client| !client.ends_with(&format!("/{incarnation}"))) {
            let detail =
                format!("client \"{client}\" sent a message of session {incarnation}…, which is another process");
            self.suspect("session", &detail, now, outcome);
            return false;
        }
        match self.speaker(&incarnation, now) {
            Speaker::Newest => {
                if let Some(newest) = &mut self.newest {
                    newest.heard(now);
                }
                true
            }
            Speaker::Draining => false,
            Speaker::Clone => {
                self.quarantine(&incarnation, client, outcome);
                false
            }
        }
    }

    /// Who that incarnation is; one that was never seen becomes the newest.
    fn speaker(&mut self, incarnation: &str, now: Millis) -> Speaker {
        if self.newest.as_ref().is_some_and(|newest| newest.incarnation == incarnation) {
            return Speaker::Newest;
        }
        if let Some((_, followed_at)) = self.past.iter().find(|(past, _)| past == incarnation) {
            let draining = now.since(*followed_at) < DRAINED_WITHIN;
            return if draining { Speaker::Draining } else { Speaker::Clone };
        }
        if let Some(before) = self.newest.replace(Session::new(incarnation.to_owned(), now)) {
            if self.past.len() >= PAST {
                self.past.pop_front();
            }
            self.past.push_back((before.incarnation, now));
        }
        Speaker::Newest
    }

    fn greeted(&mut self, session: [u8; 16], hello: &Hello, now: Millis) {
        let Some(newest) = &mut self.newest else { return };
        let before = newest.live.take().filter(|live| live.session == session);
        let offset_ms = before.as_ref().map_or_else(|| now.0.saturating_sub(hello.clock_ms), |live| live.offset_ms);
        newest.idle_since = hello.command_nonce.is_empty().then(|| newest.idle_since.unwrap_or(now));
        let same_nonce = before.filter(|live| live.nonce == hello.command_nonce);
        newest.live = Some(Live {
            session,
            nonce: hello.command_nonce.clone(),
            nonce_at: same_nonce.map_or(now, |live| live.nonce_at),
            epoch: hello.epoch,
            offset_ms,
            interval_ms: i64::from(hello.interval_ms).clamp(*INTERVALS.start(), *INTERVALS.end()),
            spool: hex(&hello.spool),
            version: hello.version.clone(),
        });
    }

    /// Tells the desk that the session is there, where it does not know or took it for lost.
    fn announce(&mut self, outcome: &mut Outcome) {
        let Some(newest) = &mut self.newest else { return };
        let Some(live) = &newest.live else { return };
        let session = hex(&live.session);
        if newest.lost || newest.announced.as_ref() != Some(&session) {
            newest.lost = false;
            newest.announced = Some(session.clone());
            let (version, spool) = (live.version.clone(), live.spool.clone());
            outcome.events.push(AgentEvent::Connected { session, version, spool });
        }
    }

    /// When the session will have been without a nonce for too long.
    fn idle_at(&self) -> Option<Millis> {
        let newest = self.newest.as_ref().filter(|newest| !newest.lost && !self.cannot_act)?;
        newest.idle_since.map(|since| since.plus(ACT_WITHIN))
    }

    /// Tells the desk whether anybody carries out commands there, where that is news.
    fn tell_acting(&mut self, now: Millis, outcome: &mut Outcome) {
        let has_nonce = self.live().is_some_and(|live| !live.nonce.is_empty());
        let news = if self.cannot_act { has_nonce } else { self.idle_at().is_some_and(|at| at <= now) };
        if news {
            self.cannot_act = !self.cannot_act;
            outcome.events.push(AgentEvent::Acts { able: !self.cannot_act });
        }
    }

    fn lose(&mut self, reason: &'static str, outcome: &mut Outcome) {
        let Some(newest) = self.newest.as_mut().filter(|newest| !newest.lost) else { return };
        newest.doomed = None;
        // What never said hello was never there.
        if let Some(session) = newest.announced.clone() {
            newest.lost = true;
            outcome.events.push(AgentEvent::Lost { session, reason: reason.to_owned() });
        }
    }

    fn quarantine(&mut self, other: &str, client: Option<&str>, outcome: &mut Outcome) {
        let Some(newest) = &self.newest else { return };
        let known = [&newest.serial, &self.serial].into_iter().find(|serial| !serial.is_empty());
        self.quarantined = Some(known.cloned().unwrap_or_default());
        let detail = format!(
            "two live sessions of one name: {} began last, and {other} still speaks; the host was cloned or restored. Enrol \
             one of them again",
            newest.incarnation
        );
        outcome.events.push(AgentEvent::Suspicious { detail });
        let clients = newest.client.iter().cloned().chain(client.map(str::to_owned));
        outcome.kicks.extend(clients.map(|client| Kick { client, reason: "two live sessions" }));
        self.lose("quarantined", outcome);
    }

    fn suspect(&mut self, kind: &'static str, detail: &str, now: Millis, outcome: &mut Outcome) {
        let told = self.suspicions.note(kind, detail, now);
        outcome.events.extend(told.map(|detail| AgentEvent::Suspicious { detail }));
    }
}

impl Session {
    fn new(incarnation: String, now: Millis) -> Self {
        Self {
            incarnation,
            serial: String::new(),
            connection: None,
            client: None,
            live: None,
            announced: None,
            heard_at: now,
            doomed: None,
            hinted_at: None,
            lost: false,
            idle_since: None,
        }
    }

    fn heard(&mut self, now: Millis) {
        self.heard_at = self.heard_at.max(now);
        self.doomed = None;
        self.hinted_at = None;
    }

    fn interval(&self) -> i64 {
        self.live.as_ref().map_or(INTERVAL, |live| live.interval_ms)
    }
}
