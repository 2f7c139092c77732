//! What a shard knows of one host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchkeep_desk::Millis;
use watchkeep_protocol::Hello;

use super::arrived::Arrived;
use super::inventory::Sections;
use super::marks::Mark;
use crate::detect::{self, HostDetection, Rules};
use crate::fleet::session::{Live, Presence};
use crate::samples::{Covered, HostSeries};

/// One agent's side of the shard.
#[derive(Debug)]
pub struct Host {
    /// The name in its certificate; the label `instance`.
    pub agent: String,
    /// Who speaks for it, whether it is there, and why it is not.
    pub presence: Presence,
    /// How far the live session's streams are; none before its hello.
    pub streams: Option<Streams>,
    /// Marks of the matters by spool id (hexadecimal): of the spool in use, and of at most [`SPOOLS`] in all.
    pub marks: BTreeMap<String, Mark>,
    pub detection: HostDetection,
    pub samples: HostSeries,
    /// As in [`KeptHost`], until samples are read back.
    pub ended: Option<Millis>,
    /// How far its spool is in block files.
    pub sealed: Option<Covered>,
    pub sections: Sections,
    /// As in [`HostRow`].
    pub retired: bool,
    /// Which session was asked for a new spool id or a hello, and when; none once a new spool has come.
    pub asked: Option<([u8; 16], Millis)>,
    /// Matters (spool and number) whose bodies cannot be kept, and why: they are taken without.
    pub aside: BTreeMap<(String, u64), String>,
    /// Whether something that does not read was told of in this session already.
    complained: bool,
}

/// The streams of the live session, from its hello on.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    pub session: [u8; 16],
    /// Hexadecimal.
    pub spool: String,
    /// Which reports are taken.
    pub reports: Arrived,
    /// The first report that the agent held when it said hello …
    pub held_from: u64,
    /// … and the first matter: those before it are committed.
    pub matters_from: u64,
    /// Matters below this number were seen in this session, or the agent no longer holds them. What is between it and the
    /// mark was taken in an earlier session; it is acknowledged only once it came again with the content that was taken.
    pub seen: u64,
    /// The envelope's counter of the hello that they began with.
    pub counter: u64,
    /// The highest counter of the session, and when it came.
    newest: (u64, Millis),
    /// The layout that was last asked for, and when: each report of it says that it is missing.
    pub layout_asked: Option<(Vec<u8>, Millis)>,
}

/// How a hello stands to what its session said before, by the envelopes' counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    InOrder,
    /// A later one overtook it.
    Late,
    /// The process counts on from an earlier number: its host was put back to a snapshot of its memory.
    Rewound,
}

/// What overtakes a message comes this shortly before it, ms.
const OVERTAKES_MS: i64 = 30_000;

impl Streams {
    /// Judges a hello of `session` with this counter.
    pub fn judge(&self, session: [u8; 16], counter: u64, now: Millis) -> Counted {
        let (newest, at) = self.newest;
        if session != self.session || counter >= newest {
            Counted::InOrder
        } else if now.since(at) >= OVERTAKES_MS {
            Counted::Rewound
        } else if counter < self.counter {
            Counted::Late
        } else {
            Counted::InOrder
        }
    }

    /// A message of the session came.
    pub fn heard(&mut self, counter: u64, now: Millis) {
        if counter >= self.newest.0 {
            self.newest = (counter, now);
        }
    }
}

/// What the store keeps of a host between inputs, as one row of `host_state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostRow {
    pub detection: detect::Kept,
    /// The hash that each section of its inventory stands at, hexadecimal.
    pub sections: BTreeMap<String, String>,
    /// What was on it is retired in the CMDB: once it is back it is asked for its whole inventory, until that comes.
    #[serde(default)]
    pub retired: bool,
}

/// Everything of a host that survives a restart.
#[derive(Clone, Debug, Default)]
pub struct KeptHost {
    pub row: HostRow,
    pub marks: BTreeMap<String, Mark>,
    /// The session that the desk knew as live, hexadecimal.
    pub session: Option<String>,
    /// When its agent said goodbye, where that was the last of it.
    pub ended: Option<Millis>,
    /// The desk knows that nobody there carries out commands.
    pub cannot_act: bool,
    /// The labels of its enrolment, which its series carry.
    pub labels: BTreeMap<String, String>,
    /// Of the certificate in force.
    pub serial: String,
    /// As in [`Host`]; known to the running process alone.
    pub aside: BTreeMap<(String, u64), String>,
}

/// Spools that are remembered of an agent; past it the mark of the one that was used longest ago goes.
const SPOOLS: usize = 8;

/// What a hello changed of the streams.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// A spool that was asked for has come in place of a condemned one.
    pub renumbered: bool,
    /// Reports were taken under numbers that the agent never sent: of another past, before the host was put back to a
    /// snapshot, or of its clone.
    pub other_past: bool,
    /// Spools whose marks went.
    pub forgotten: Vec<String>,
}

/// A time ahead of the controller's by more than this is taken as the controller's.
const AHEAD_MS: i64 = 60_000;

impl Host {
    pub fn new(agent: &str, rules: &Rules) -> Self {
        Self::restore(agent, rules, KeptHost::default(), Millis(0))
    }

    /// A host as the store kept it; `now` is when the controller started.
    pub fn restore(agent: &str, rules: &Rules, kept: KeptHost, now: Millis) -> Self {
        let presence = kept.session.map(|session| Presence::expected(&session, now)).unwrap_or_default();
        Self {
            agent: agent.to_owned(),
            presence: presence.acting(!kept.cannot_act).holding(kept.serial),
            streams: None,
            marks: kept.marks,
            detection: HostDetection::restore(agent, rules, kept.row.detection),
            samples: HostSeries::new(agent, &kept.labels),
            ended: kept.ended,
            sealed: None,
            sections: Sections::restore(&kept.row.sections),
            retired: kept.row.retired,
            asked: None,
            aside: kept.aside,
            complained: false,
        }
    }

    /// Begins the streams that `hello` tells of; `counter` is its envelope's.
    pub fn begin(&mut self, session: [u8; 16], counter: u64, hello: &Hello, now: Millis) -> Begun {
        let spool = super::matter::hexadecimal(&hello.spool);
        let last = self.marks.iter().max_by_key(|(_, mark)| mark.used_at);
        let (last_spool, last_used) = last.map(|(spool, mark)| (spool.clone(), mark.used_at)).unzip();
        let follows = last_spool.as_ref().filter(|last| **last != spool);
        let renumbered = follows.is_some_and(|last| self.marks[last].condemned);
        let mut mark = self.marks.remove(&spool).unwrap_or_else(|| Mark::begun(hello.matters.first));
        if follows.is_some() {
            self.asked = None;
            mark.inherit(self.marks.values(), hello.matters.next);
        }
        mark.used_at = last_used.map_or(now, |last| now.max(Millis(last.0 + 1)));
        self.marks.insert(spool.clone(), mark);
        let before = self.streams.take();
        let same_session = before.as_ref().is_some_and(|before| before.session == session);
        self.complained &= same_session;
        let newest = before.as_ref().filter(|_| same_session).map(|before| before.newest);
        let before = before.filter(|before| before.spool == spool);
        let seen = before.as_ref().filter(|_| same_session).map_or(0, |before| before.seen).max(hello.matters.first);
        // Reports keep their numbers from process to process: what is in memory is not taken again, at an instant that the
        // other session's clock offset makes another. What is in block files is not asked for again, though an agent that
        // heard no such ack still holds it.
        let known = before.map(|before| before.reports);
        let sealed = self.sealed.as_ref().filter(|sealed| sealed.spool == spool);
        let mut reports = known.or_else(|| sealed.map(Arrived::sealed)).unwrap_or_default();
        let other_past = reports.end() > hello.unsent_from().samples;
        reports.skip(0..hello.samples.first, now);
        reports.wait(now);
        self.streams = Some(Streams {
            session,
            spool,
            reports,
            held_from: hello.samples.first,
            matters_from: hello.matters.first,
            seen,
            counter,
            newest: newest.map_or((counter, now), |newest| newest.max((counter, now))),
            layout_asked: None,
        });
        Begun { renumbered, other_past, forgotten: self.forget_spools() }
    }

    /// Reports of that spool below this number are in block files; 0 where none are.
    fn sealed_of(&self, spool: &str) -> u64 {
        self.sealed.as_ref().filter(|sealed| sealed.spool == spool).map_or(0, |sealed| sealed.number)
    }

    /// Reports of the live spool below this number may be deleted by the agent.
    pub fn sealed(&self) -> u64 {
        let sealed =
            |streams: &Streams| self.sealed_of(&streams.spool).max(streams.held_from).min(streams.reports.below());
        self.streams.as_ref().map_or(0, sealed)
    }

    /// How far the spool is taken: what a block file that has all samples of this instant covers.
    pub fn covered(&self) -> Covered {
        let live = self.streams.as_ref().map(|Streams { spool, reports, .. }| reports.covered(&self.agent, spool));
        let sealed = || self.sealed.clone().unwrap_or_default();
        Covered { agent: self.agent.clone(), ..live.unwrap_or_else(sealed) }
    }

    /// Keeps the list of marks bounded.
    fn forget_spools(&mut self) -> Vec<String> {
        let mut forgotten = Vec::new();
        while self.marks.len() > SPOOLS {
            let oldest = self.marks.iter().min_by_key(|(_, mark)| mark.used_at).map(|(spool, _)| spool.clone());
            forgotten.extend(oldest.inspect(|oldest| drop(self.marks.remove(oldest))));
        }
        forgotten
    }

    /// Whether the live spool is condemned: nothing of it is taken until it numbers anew.
    pub fn is_condemned(&self) -> bool {
        self.spool_mark().is_some_and(|(_, mark)| mark.condemned)
    }

    /// Whether a fault of this session is to be told: the first is, so that a broken agent cannot fill the ledger.
    pub fn complain(&mut self) -> bool {
        !std::mem::replace(&mut self.complained, true)
    }

    /// What was on it is retired: what it tells from now on says nothing about what it told before.
    pub fn retire(&mut self) {
        self.sections = Sections::default();
        self.retired = true;
        self.detection.touch();
    }

    /// The live spool and its mark.
    pub fn spool_mark(&self) -> Option<(&String, &Mark)> {
        let spool = &self.streams.as_ref()?.spool;
        Some((spool, self.marks.get(spool)?))
    }

    /// What to keep of it, where that changed.
    pub fn row_if_changed(&mut self) -> Option<HostRow> {
        let detection = self.detection.kept_if_changed()?;
        Some(HostRow { detection, sections: self.sections.hashes(), retired: self.retired })
    }

    /// When a report was read, in our time; `None` where that is more than a minute ahead of now: no sample of the future is
    /// taken.
    pub fn corrected_sample(&self, at_ms: i64, now: Millis) -> Option<Millis> {
        let offset = self.presence.live().map_or(0, |live: &Live| live.offset_ms);
        let at = at_ms.saturating_add(offset);
        (at <= now.0.saturating_add(AHEAD_MS)).then_some(Millis(at))
    }

    /// The agent's time as ours; never more than a minute ahead of now.
    pub fn corrected(&self, at_ms: i64, now: Millis) -> Millis {
        let offset = self.presence.live().map_or(0, |live: &Live| live.offset_ms);
        let at = at_ms.saturating_add(offset);
        Millis(if at > now.0.saturating_add(AHEAD_MS) { now.0 } else { at })
    }
}
