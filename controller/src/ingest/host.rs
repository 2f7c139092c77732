//! What a shard knows of one host.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_desk::Millis;
use watchkeep_protocol::{Hello, Layout};

use super::inventory::Sections;
use super::marks::Mark;
use crate::detect::{self, HostDetection, Rules};
use crate::fleet::session::{Live, Presence};

/// One agent's side of the shard.
#[derive(Debug)]
pub struct Host {
    /// The name in its certificate; the label `instance`.
    pub agent: String,
    /// Who speaks for it, whether it is there, and why it is not.
    pub presence: Presence,
    /// How far the live session's streams are; none before its hello.
    pub streams: Option<Streams>,
    /// Marks of the matters by spool id (hexadecimal). More than one only around a renumbering.
    pub marks: BTreeMap<String, Mark>,
    pub detection: HostDetection,
    pub samples: Samples,
    pub sections: Sections,
    /// Whether something that does not read was told of in this session already.
    complained: bool,
}

/// The streams of the live session, from its hello on.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    pub session: [u8; 16],
    /// Hexadecimal.
    pub spool: String,
    /// Reports below this number are taken.
    pub taken: u64,
    /// Whether a new spool id was asked for and has not come.
    pub renumbering: bool,
}

/// The newest values of a host, in its layout's shape.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    pub layout: Option<Arc<Layout>>,
    /// One list a block: `instances × metrics`, as in the report.
    pub blocks: Vec<BlockValues>,
}

/// The newest values of one block.
#[derive(Clone, Debug, Default)]
pub struct BlockValues {
    pub at: Millis,
    pub values: Vec<f64>,
    /// One [`watchkeep_protocol::layout::Flag`] a value; empty says that all were read.
    pub flags: Vec<u8>,
}

/// What the store keeps of a host between inputs, as one row of `host_state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostRow {
    pub detection: detect::Kept,
    /// The hash that each section of its inventory stands at, hexadecimal.
    pub sections: BTreeMap<String, String>,
}

/// Everything of a host that survives a restart.
#[derive(Clone, Debug, Default)]
pub struct KeptHost {
    pub row: HostRow,
    pub marks: BTreeMap<String, Mark>,
    /// The session that the desk knew as live, hexadecimal.
    pub session: Option<String>,
}

/// A time ahead of the controller's by more than this is taken as the controller's.
const AHEAD_MS: i64 = 60_000;

impl Host {
    pub fn new(agent: &str, rules: &Rules) -> Self {
        Self::restore(agent, rules, KeptHost::default(), Millis(0))
    }

    /// A host as the store kept it; `now` is when the controller started.
    pub fn restore(agent: &str, rules: &Rules, kept: KeptHost, now: Millis) -> Self {
        let presence = kept.session.map(|session| Presence::expected(&session, now));
        Self {
            agent: agent.to_owned(),
            presence: presence.unwrap_or_default(),
            streams: None,
            marks: kept.marks,
            detection: HostDetection::restore(agent, rules, kept.row.detection),
            samples: Samples::default(),
            sections: Sections::restore(&kept.row.sections),
            complained: false,
        }
    }

    /// Begins the streams that `hello` tells of. Returns whether a spool that was asked for has come.
    pub fn begin(&mut self, session: [u8; 16], hello: &Hello) -> bool {
        let spool = super::matter::hexadecimal(&hello.spool);
        let before = self.streams.take();
        let renumbered = before.as_ref().is_some_and(|before| before.renumbering && before.spool != spool);
        if !self.marks.contains_key(&spool) {
            let old = before.as_ref().filter(|_| renumbered).and_then(|before| self.marks.remove(&before.spool));
            self.marks.insert(spool.clone(), old.unwrap_or_default().renumbered(hello.matters.first));
        }
        let same = before.as_ref().filter(|before| before.session == session);
        self.complained &= same.is_some();
        let taken = same.filter(|before| before.spool == spool).map_or(hello.samples.first, |before| before.taken);
        self.streams = Some(Streams { session, spool, taken, renumbering: false });
        renumbered
    }

    /// Whether a fault of this session is to be told: the first is, so that a broken agent cannot fill the ledger.
    pub fn complain(&mut self) -> bool {
        !std::mem::replace(&mut self.complained, true)
    }

    /// The live spool and its mark, as it is committed.
    pub fn spool_mark(&self) -> Option<(String, Mark)> {
        let spool = &self.streams.as_ref()?.spool;
        Some((spool.clone(), self.marks.get(spool)?.clone()))
    }

    /// What to keep of it, where that changed.
    pub fn row_if_changed(&mut self) -> Option<HostRow> {
        let detection = self.detection.kept_if_changed()?;
        Some(HostRow { detection, sections: self.sections.hashes() })
    }

    /// The agent's time as ours; never more than a minute ahead of now.
    pub fn corrected(&self, at_ms: i64, now: Millis) -> Millis {
        let offset = self.presence.live().map_or(0, |live: &Live| live.offset_ms);
        let at = at_ms.saturating_add(offset);
        Millis(if at > now.0.saturating_add(AHEAD_MS) { now.0 } else { at })
    }
}
