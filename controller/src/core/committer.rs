//! The desk with its store: a group of work in, one transaction out.
//!
//! A step function: the time is handed in, nothing is sent from here. What [`Committer::commit`] returns is durable and may
//! go out. After an error nothing of the group is to be believed, and neither is this value: drop it and open another.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;
use watchkeep_desk::desk::Agent;
use watchkeep_desk::input::{AgentChange, AgentEvent};
use watchkeep_desk::runbooks::RunFact;
use watchkeep_desk::{Decision, Desk, FactBody, Input, InputBody, Millis, Note, Record, Refusal, Subject};

use super::handle::{Answer, Carried, Work};
use super::{checkpoints, hosts};
use crate::access::certificates;
use crate::access::keys::SigningKey;
use crate::detect::silence::Silent;
use crate::detect::{self, Rules, Watches};
use crate::generation::{Generation, GenerationError};
use crate::ingest::{KeptHost, Proposal};
use crate::ledger::LedgerSecret;
use crate::ledger::inputs::{InputLog, InputLogError};
use crate::store::lease::{self, Held};
use crate::store::outbox::{self, Errand};
use crate::store::{self, Store, StoreError, Tx};

/// The chain that this controller writes.
pub const CHAIN: &str = crate::ledger::DESK;

/// Why the core cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    #[error("keep what was decided")]
    Store(#[source] StoreError),
    /// Another controller holds the lease.
    #[error(transparent)]
    Held(#[from] Held),
    #[error("write the input log")]
    Inputs(#[from] InputLogError),
    #[error("take up the generation that was in force")]
    Generation(#[from] GenerationError),
    /// A bug of ours, met in this group; its text is in the log.
    #[error("the desk panicked")]
    Panicked,
}

impl From<StoreError> for CoreError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Held(held) => Self::Held(held),
            other => Self::Store(other),
        }
    }
}

impl CoreError {
    /// Whether an input of the group is at fault, and not the world around.
    pub fn is_of_the_input(&self) -> bool {
        match self {
            Self::Store(error) => error.is_of_the_input(),
            Self::Inputs(error) => matches!(error, InputLogError::TooLarge { .. }),
            Self::Generation(_) | Self::Held(_) => false,
            Self::Panicked => true,
        }
    }
}

/// Where an answer goes, and what it is.
pub type Answered = (oneshot::Sender<Result<Answer, Refusal>>, Result<Answer, Refusal>);

/// What a commit came to; all of it is durable.
#[derive(Debug, Default)]
pub struct Committed {
    /// What shards proposed; their `down` may go out.
    pub proposals: Vec<Proposal>,
    pub answers: Vec<Answered>,
    /// Who waits to hear that what became of an effect is noted.
    pub kept: Vec<oneshot::Sender<()>>,
    /// The sequence of the ledger's newest fact.
    pub head: u64,
    /// A generation was taken up: its rules for the shards.
    pub rules: Option<Arc<Rules>>,
    /// What runs wait for changed.
    pub watches: Option<Arc<Watches>>,
    /// Something new lies in the outbox.
    pub owed: bool,
    /// A generation was taken up: it is in force now.
    pub generation: Option<Arc<Generation>>,
    /// Agents as they now stand, where they changed.
    pub agents: Vec<Agent>,
    /// Agents whose hosts were retired.
    pub retired: Vec<String>,
    /// Inputs that were set aside.
    pub aside: u64,
}

/// The desk and where it is kept.
pub struct Committer {
    store: Box<dyn Store>,
    inputs: InputLog,
    keys: Arc<LedgerKeys>,
    checkpoint: checkpoints::Due,
    desk: Desk,
    generation: Arc<Generation>,
    /// Of the last input.
    order: u64,
    at: Millis,
    head: u64,
    watches: Vec<watchkeep_desk::runbooks::Watch>,
}

/// A committer with what else was read back.
pub struct Opened {
    pub committer: Committer,
    /// For the shards.
    pub kept: BTreeMap<String, KeptHost>,
    pub agents: Vec<Agent>,
}

/// What the ledger is sealed with.
pub struct LedgerKeys {
    pub secret: LedgerSecret,
    /// Signs checkpoints.
    pub checkpoint: SigningKey,
}

/// A group as it was decided: each input with its decision, at the same place.
#[derive(Default)]
struct Judged {
    inputs: Vec<Input>,
    decisions: Vec<Decision>,
    /// The generation that each was judged under, whose channels its notices go to.
    generations: Vec<Arc<Generation>>,
}

impl Committer {
    /// Reads everything back: the desk from its records, the place in the input log, the hosts' kept state.
    pub fn open(
        mut store: Box<dyn Store>,
        inputs: &Path,
        keys: Arc<LedgerKeys>,
        generation: Arc<Generation>,
    ) -> Result<Opened, CoreError> {
        let (records, mark, head, mut kept) = store::reading(store.as_mut(), |tx| {
            let records = store::records::restore(tx)?;
            let mark = store::marks::committed(tx, CHAIN)?;
            let head = crate::ledger::head(tx, CHAIN)?;
            Ok((records, mark, head, hosts::kept(tx)?))
        })?;
        let (order, at) = mark.unwrap_or_default();
        let mut inputs = InputLog::open(inputs)?;
        inputs.cut(order)?;
        let agents: Vec<Agent> = records.iter().filter_map(agent).cloned().collect();
        for agent in &agents {
            let kept = kept.entry(agent.name.clone()).or_default();
            kept.session.clone_from(&agent.session);
            kept.cannot_act = agent.cannot_act;
            kept.labels.clone_from(&agent.labels);
            kept.serial.clone_from(&agent.serial);
            let is_stopped = agent.session.is_none() && agent.lost.as_deref().is_some_and(Silent::ends_series);
            kept.ended = is_stopped.then_some(agent.since);
        }
        let desk = Desk::restore(records);
        let watches = desk.watches();
        let committer = Self {
            store,
            inputs,
            keys,
            checkpoint: checkpoints::Due::default(),
            desk,
            generation,
            order,
            at,
            head: head.seq,
            watches,
        };
        Ok(Opened { committer, kept, agents })
    }

    /// The sequence of the ledger's newest fact.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// When the earliest timer falls due.
    pub fn next_due(&self) -> Option<Millis> {
        self.desk.next_due()
    }

    /// What shards detect by.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::new(Rules::new(&self.generation))
    }

    /// What runs wait for.
    pub fn watches(&self) -> Arc<Watches> {
        Arc::new(Watches::new(self.watches.clone()))
    }

    /// Says that this controller goes on deciding; to be called every [`lease::RENEWED_MS`].
    pub fn renew(&mut self, now: Millis) -> Result<(), CoreError> {
        Ok(self.store.write(&mut |tx| lease::renew(tx, lease::DESK, now))?)
    }

    /// Signs the head of the ledger as it stands, so that nothing that was committed before a stop can be cut off unseen, and
    /// lets the lease go.
    pub fn close(&mut self, now: Millis) -> Result<(), CoreError> {
        let key = &self.keys.checkpoint;
        Ok(self.store.write(&mut |tx| {
            checkpoints::sign(tx, key, now)?;
            lease::let_go(tx, lease::DESK, now)
        })?)
    }

    /// Decides the timers that are due and then `group`, in order, and commits all of it.
    pub fn commit(&mut self, now: Millis, group: Vec<Work>) -> Result<Committed, CoreError> {
        let mut judged = Judged::default();
        let mut committed = Committed::default();
        let (mut taken_up, mut carry) = (Vec::new(), Vec::new());
        self.due(now, &mut judged);
        for work in group {
            match work {
                Work::Proposal(mut proposal) => {
                    for body in std::mem::take(&mut proposal.inputs) {
                        self.decide(now, body, &mut judged);
                    }
                    committed.proposals.push(proposal);
                }
                Work::Input { body, answer } => {
                    let answered = self.judge(now, body, &mut judged);
                    committed.answers.extend(answer.map(|answer| (answer, answered)));
                }
                Work::TakeUp { generation, author, answer } => {
                    self.generation = Arc::clone(&generation);
                    committed.rules = Some(Arc::new(Rules::new(&generation)));
                    let body = InputBody::Configured { author: author.clone(), files: generation.file_hashes() };
                    committed.answers.push((answer, self.judge(now, body, &mut judged)));
                    taken_up.push((generation, author));
                }
                Work::Carried { errand, carried, told, kept } => {
                    committed.kept.push(kept);
                    if let Some(body) = told {
                        self.decide(now, body, &mut judged);
                    }
                    carry.push((errand, carried));
                }
                Work::Look(look) => (look.0)(&self.desk, &self.generation),
                Work::Stop => {}
            }
        }
        committed.retired = hosts::retired(&judged.decisions, self.desk.cmdb());
        self.keep(now, &judged, &committed, &taken_up, &carry)?;
        committed.head = self.head;
        committed.owed = judged.decisions.iter().any(|decision| !decision.effects.is_empty())
            || judged
                .inputs
                .iter()
                .any(|input| matches!(input.body, InputBody::Noted { note: Note::SentAgain { .. }, .. }));
        committed.generation = taken_up.last().map(|(generation, _)| Arc::clone(generation));
        committed.agents = changed_agents(&judged.decisions);
        committed.aside = judged.inputs.iter().filter(|input| is_set_aside(&input.body)).count() as u64;
        let watches = self.desk.watches();
        if watches != self.watches {
            self.watches = watches;
            committed.watches = Some(self.watches());
        }
        Ok(committed)
    }

    /// Timers are judged at the instant they were due. One that sets itself again at once waits for the next commit, so
    /// that a fault of a practice cannot hold up the desk.
    fn due(&mut self, now: Millis, judged: &mut Judged) {
        for _ in 0..super::engine::GROUP {
            match self.desk.next_due() {
                Some(due) if due <= now => {
                    self.decide(due, InputBody::Due, judged);
                }
                _ => return,
            }
        }
    }

    /// Decides what somebody waits for, and answers.
    fn judge(&mut self, at: Millis, body: InputBody, judged: &mut Judged) -> Result<Answer, Refusal> {
        self.decide(at, body, judged);
        match judged.decisions.last() {
            Some(Decision { refused: Some(refusal), .. }) => Err(refusal.clone()),
            decision => {
                Ok(Answer { order: self.order, facts: decision.map(|one| one.facts.clone()).unwrap_or_default() })
            }
        }
    }

    /// Decides one input, and puts it last among what was judged.
    fn decide(&mut self, at: Millis, body: InputBody, judged: &mut Judged) {
        self.order += 1;
        self.at = self.at.max(at);
        let input = Input { order: self.order, at: self.at, generation: self.generation.hash.clone(), body };
        let decision = self.desk.decide(&self.generation.config, &input);
        judged.inputs.push(input);
        judged.decisions.push(decision);
        judged.generations.push(Arc::clone(&self.generation));
    }

    fn keep(
        &mut self,
        now: Millis,
        judged: &Judged,
        Committed { proposals, retired, .. }: &Committed,
        taken_up: &[(Arc<Generation>, String)],
        carried: &[(Errand, Carried)],
    ) -> Result<(), CoreError> {
        if judged.inputs.is_empty() && carried.is_empty() && proposals.iter().all(Proposal::is_empty) {
            return Ok(());
        }
        self.inputs.append(&judged.inputs)?;
        let changed = newest_versions(&judged.decisions);
        let LedgerKeys { secret, checkpoint } = &*self.keys;
        let was = self.head;
        let due = &self.checkpoint;
        let head: (u64, bool) = store::writing(self.store.as_mut(), |tx| {
            for (generation, author) in taken_up {
                let (hash, files) = (generation.hash.clone(), generation.files.clone());
                store::generations::save(
                    tx,
                    &store::generations::Generation { hash, at: now, author: author.clone(), files },
                )?;
            }
            let mut head: Option<crate::ledger::Head> = None;
            let decided = judged.inputs.iter().zip(&judged.decisions).zip(&judged.generations);
            for (((input, decision), generation), changed) in decided.zip(&changed) {
                let channels = if decision.effects.is_empty() { Vec::new() } else { generation.channels() };
                head = Some(store::settle::settle_with(tx, CHAIN, input, decision, changed, &channels, secret)?);
                keep_access(tx, input, decision)?;
            }
            for (errand, carried) in carried {
                keep_carried(tx, errand, carried, now)?;
            }
            hosts::keep(tx, proposals)?;
            retired.iter().try_for_each(|agent| detect::kept::retire(tx, agent))?;
            let head = head.map_or(was, |head| head.seq);
            let signed = due.is(head, now);
            if signed {
                checkpoints::sign(tx, checkpoint, now)?;
            }
            Ok((head, signed))
        })?;
        self.head = head.0;
        if head.1 {
            self.checkpoint.done(head.0, now);
        }
        Ok(())
    }
}

/// What follows for certificates and the outbox: the desk has learnt of one, has revoked one, knows what became of a command.
fn keep_access(tx: &mut dyn Tx, input: &Input, decision: &Decision) -> Result<(), StoreError> {
    match &input.body {
        InputBody::Agent(AgentChange {
            what: AgentEvent::Enrolled { serial, .. } | AgentEvent::Renewed { serial, .. },
            ..
        }) => certificates::mark_told(tx, serial)?,
        InputBody::Agent(AgentChange { agent, what: AgentEvent::Lost { reason, .. }, .. })
            if reason == "quarantined" =>
        {
            certificates::quarantine(tx, agent)?;
        }
        // An agent's word on a command that was not ordered of it changes nothing.
        InputBody::Result(outcome) if !decision.facts.iter().any(is_stray) => {
            outbox::done(tx, &Errand::command(outcome.command), input.at)?
        }
        InputBody::Noted { note: Note::SentAgain { id, channels, .. }, .. } => {
            outbox::send_to(tx, id, channels, input.at)?;
        }
        _ => {}
    }
    for fact in &decision.facts {
        if let (Subject::Agent(name), FactBody::Agent(AgentEvent::Revoked { by, reason, .. })) =
            (&fact.subject, &fact.body)
        {
            certificates::revoke(tx, name, by, reason, input.at.0)?;
        }
        if let FactBody::Run(RunFact::StepOverdue { command, .. }) = &fact.body {
            outbox::give_up(tx, &Errand::command(*command), "the run waits no longer for its result", input.at)?;
        }
    }
    Ok(())
}

/// For each decision the records to write: of a record that changes several times in a group only the last version, so that
/// a burst on one incident costs one row. Items and relations of the CMDB have a history and are all written.
fn newest_versions(decisions: &[Decision]) -> Vec<Vec<&Record>> {
    let has_history = |record: &Record| matches!(record, Record::Ci(_) | Record::Relation(_));
    let mut newest = BTreeMap::new();
    for (place, decision) in decisions.iter().enumerate() {
        let plain = decision.changed.iter().filter(|record| !has_history(record));
        newest.extend(plain.map(|record| (record.key(), place)));
    }
    let written = |place: usize, record: &&Record| has_history(record) || newest.get(&record.key()) == Some(&place);
    let all = decisions.iter().enumerate();
    all.map(|(place, decision)| decision.changed.iter().filter(|record| written(place, record)).collect()).collect()
}

fn keep_carried(tx: &mut dyn Tx, errand: &Errand, carried: &Carried, now: Millis) -> Result<(), StoreError> {
    match carried {
        Carried::Done => outbox::done(tx, errand, now),
        Carried::Failed { error, again_at } => outbox::failed(tx, errand, error, *again_at),
        Carried::GivenUp { error } => outbox::give_up(tx, errand, error, now),
        Carried::HandedTo { channels } => outbox::send_to(tx, &errand.id, channels, now),
    }
}

fn is_set_aside(body: &InputBody) -> bool {
    matches!(body, InputBody::Noted { note: Note::SetAside { .. }, .. })
}

fn is_stray(fact: &watchkeep_desk::Fact) -> bool {
    matches!(fact.body, FactBody::StrayResult(_))
}

fn changed_agents(decisions: &[Decision]) -> Vec<Agent> {
    let changed = decisions.iter().flat_map(|decision| &decision.changed);
    changed.filter_map(agent).cloned().collect()
}

fn agent(record: &Record) -> Option<&Agent> {
    match record {
        Record::Agent(agent) => Some(agent),
        _ => None,
    }
}
