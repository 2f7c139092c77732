//! The committer over a real SQLite database: what commits together, and what is read back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use watchkeep_desk::input::{AgentChange, AgentEvent};
use watchkeep_desk::{InputBody, Millis};

use super::committer::{Committed, Committer, LedgerKeys, Opened};
use super::handle::Work;
use crate::access::keys::SigningKey;
use crate::generation::Generation;
use crate::ingest::{HostRow, KeptHost, Proposal};
use crate::ledger::LedgerSecret;
use crate::store::{self, Database};

const BEGIN: Millis = Millis(1_800_000_000_000);
const DAY: i64 = 86_400_000;

/// A committer with its folder, as one controller after another opens it.
struct Bench {
    database: Database,
    inputs: PathBuf,
    keys: Arc<LedgerKeys>,
    committer: Committer,
    kept: BTreeMap<String, KeptHost>,
    now: Millis,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database =
            store::open(&format!("sqlite:{}", folder.path().join("watchkeep.db").display())).expect("opened");
        let inputs = folder.path().join("inputs");
        let keys = LedgerKeys { secret: LedgerSecret::new([7; 32]), checkpoint: SigningKey::generate() };
        let keys = Arc::new(keys);
        let Opened { committer, kept, .. } = open(&database, &inputs, &keys);
        Self { database, inputs, keys, committer, kept, now: BEGIN, _folder: folder }
    }

    /// As after a restart.
    fn reopen(&mut self) {
        let Opened { committer, kept, .. } = open(&self.database, &self.inputs, &self.keys);
        (self.committer, self.kept) = (committer, kept);
    }

    fn commit(&mut self, group: Vec<Work>) -> Committed {
        self.committer.commit(self.now, group).expect("committed")
    }

    fn agent(&mut self, what: AgentEvent) {
        let body = InputBody::Agent(AgentChange { agent: "web-1".into(), happened_at: self.now, what });
        self.commit(vec![Work::Input { body, answer: None }]);
    }
}

fn open(database: &Database, inputs: &std::path::Path, keys: &Arc<LedgerKeys>) -> Opened {
    let generation = Arc::new(Generation::check(BTreeMap::new()).expect("no file has no fault"));
    let store = database.writer().expect("connected");
    Committer::open(store, inputs, Arc::clone(keys), generation).expect("read back")
}

#[test]
fn a_host_that_is_retired_is_to_tell_all_of_itself_when_it_is_back() {
    let mut bench = Bench::new();
    bench.agent(AgentEvent::Enrolled { serial: "a".repeat(32), labels: BTreeMap::new(), token: "t".into() });
    let sections = BTreeMap::from([("package".to_owned(), "5a".to_owned())]);
    let row = Some(HostRow { sections, ..HostRow::default() });
    bench.commit(vec![Work::Proposal(Proposal { agent: "web-1".into(), row, ..Proposal::default() })]);
    bench.agent(AgentEvent::Connected { session: "5e".into(), version: "0.1.0".into(), spool: "5b".into() });
    bench.agent(AgentEvent::Lost { session: "5e".into(), reason: "agent_down".into() });
    let mut retired = Vec::new();
    for _ in 0..40 {
        bench.now = bench.now.plus(DAY);
        retired.extend(bench.commit(Vec::new()).retired);
    }
    assert_eq!(retired, ["web-1"], "once");
    bench.reopen();
    let row = &bench.kept["web-1"].row;
    assert!(row.retired && row.sections.is_empty(), "{row:?}");
}
