//! The story that facts tell, in plain sentences: for timelines, and for `watchkeep why`.

mod change;
mod cmdb;
mod incident;
mod problem;
mod run;
mod silence;

pub use problem::seen_from;

use crate::fact::{Actor, Reason};
use crate::incidents::Incident;
use crate::input::{AgentEvent, CommandOutcome};
use crate::{Fact, FactBody, Millis, Subject};

/// One line of a story.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Line {
    /// The fact's place in the ledger.
    pub seq: u64,
    /// When it was so, by the clock of whoever saw it.
    pub happened_at: Millis,
    /// When the controller learned it.
    pub learned_at: Millis,
    /// What it is about, as people write it: `INC-7`, `RUN-3`, `agent web-1`.
    pub subject: String,
    pub sentence: String,
    /// `by rule UnitFailed`; empty for the controller's own clockwork.
    pub actor: String,
    /// Why, each a stage and a sentence.
    pub because: Vec<String>,
}

/// The story of these facts, in the order given. Each comes with its sequence and when it was learned.
pub fn why<'a>(facts: impl IntoIterator<Item = (u64, Millis, &'a Fact)>) -> Vec<Line> {
    facts.into_iter().map(|(seq, learned_at, fact)| line(seq, learned_at, fact)).collect()
}

/// Whose facts tell the story of an incident: its own, and those of its runs and changes.
pub fn subjects_of(incident: &Incident) -> Vec<Subject> {
    let runs = incident.runs.iter().copied().map(Subject::Run);
    let changes = incident.changes.iter().copied().map(Subject::Change);
    std::iter::once(Subject::Incident(incident.id)).chain(runs).chain(changes).collect()
}

fn line(seq: u64, learned_at: Millis, fact: &Fact) -> Line {
    Line {
        seq,
        happened_at: fact.happened_at,
        learned_at,
        subject: subject(&fact.subject),
        sentence: sentence(&fact.subject, &fact.body),
        actor: actor(&fact.actor),
        because: fact.reasons.iter().map(because).collect(),
    }
}

fn because(reason: &Reason) -> String {
    format!("{}: {}", reason.stage, reason.sentence)
}

/// A subject as people write it.
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Incident(id) => id.to_string(),
        Subject::Problem(id) => id.to_string(),
        Subject::Change(id) => id.to_string(),
        Subject::Run(id) => id.to_string(),
        Subject::Ci(id) => format!("CI {}", &id.to_string()[..8]),
        Subject::Agent(name) => format!("agent {name}"),
        Subject::Silence(id) => format!("silence {}", short(&id.to_string())),
        Subject::Generation(hash) => format!("configuration {}", short(hash)),
        Subject::Controller => "controller".to_owned(),
    }
}

/// Who did it, with "by"; empty for the controller's own clockwork.
pub fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Person(id) => format!("by {id}"),
        Actor::Agent(name) => format!("by agent {name}"),
        Actor::Rule(name) => format!("by rule {name}"),
        Actor::Run(id) => format!("by {id}"),
        Actor::Controller => String::new(),
    }
}

/// One fact as a sentence, without its subject's number and its actor where they go without saying.
pub fn sentence(subject: &Subject, body: &FactBody) -> String {
    match body {
        FactBody::Incident(fact) => incident::sentence(fact),
        FactBody::Problem(fact) => problem::sentence(fact),
        FactBody::Change(fact) => change::sentence(subject, fact),
        FactBody::Run(fact) => run::sentence(subject, fact),
        FactBody::Cmdb(fact) => cmdb::sentence(fact),
        FactBody::Agent(event) => agent(event),
        FactBody::Silence(fact) => silence::sentence(fact),
        FactBody::Configured { author, files } => format!("{author} put {} into force", counted(files.len(), "file")),
        FactBody::StopSwitch { on: true, note } => format!("the stop switch was turned on{}", noted(note)),
        FactBody::StopSwitch { on: false, note } => format!("the stop switch was turned off{}", noted(note)),
        FactBody::PastAlert { rule, labels, lasted } => {
            let (alert, lasted) = (crate::incidents::spoken(rule, labels), crate::time::spoken(*lasted));
            format!("{alert} had fired for {lasted} and cleared before its samples came")
        }
        FactBody::StrayResult(result) => stray(result),
        FactBody::Note(note) => note.sentence(),
        FactBody::Notified { notice, channel, delivered, detail } => {
            let notice = short(&notice.to_string()).to_owned();
            match (delivered, channel.as_str()) {
                (true, "") => format!("notice {notice} was delivered"),
                (true, channel) => format!("notice {notice} was delivered to {channel}"),
                (false, "") => format!("notice {notice} was given up: {detail}"),
                (false, channel) => format!("notice {notice} was given up on {channel}: {detail}"),
            }
        }
    }
}

fn agent(event: &AgentEvent) -> String {
    match event {
        AgentEvent::Enrolled { serial, .. } => format!("enrolled with certificate {}", short(serial)),
        AgentEvent::Renewed { serial, before } => {
            format!("renewed its certificate: {} takes the place of {}", short(serial), short(before))
        }
        AgentEvent::Revoked { serial, reason, .. } => {
            format!("certificate {} was revoked{}", short(serial), noted(reason))
        }
        AgentEvent::Connected { version, .. } => format!("connected, version {version}"),
        AgentEvent::Acts { able: true } => "carries out commands again".to_owned(),
        AgentEvent::Acts { able: false } => {
            "carries out no commands: watchkeep-act does not answer there, or has no policy".to_owned()
        }
        AgentEvent::Lost { reason, .. } => format!("went away: {}", reason.replace('_', " ")),
        AgentEvent::Renumbered { reason, .. } => format!("numbers its spool anew: {reason}"),
        AgentEvent::Suspicious { detail } => format!("gave reason for suspicion: {detail}"),
        AgentEvent::Said { what, detail } => format!("said {}{}", what.replace('_', " "), noted(detail)),
    }
}

fn stray(result: &CommandOutcome) -> String {
    let what = match (&result.refusal, result.claims.is_empty()) {
        (Some(word), _) => format!("was refused ({word}: {})", result.reason),
        (None, _) => format!("ended {:?}", result.outcome).to_lowercase(),
    };
    let claims = if result.claims.is_empty() { String::new() } else { format!(" that claims to be {}", result.claims) };
    format!("a command{claims} {what} there, which this controller did not order or does not wait for")
}

/// `: note`, or nothing.
fn noted(note: &str) -> String {
    if note.trim().is_empty() { String::new() } else { format!(": {}", note.trim()) }
}

/// `alice of group linux`.
fn receiver(assignee: Option<&str>, group: Option<&str>) -> String {
    let named = assignee.map(str::to_owned).into_iter().chain(group.map(|group| format!("group {group}")));
    named.collect::<Vec<_>>().join(" of ")
}

/// `1 step`, `3 steps`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The first eight characters of an id or a hash.
fn short(id: &str) -> &str {
    &id[..id.floor_char_boundary(8)]
}
