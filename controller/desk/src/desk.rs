//! The desk: what is known, and the one door through which it changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::acts;
use crate::agents;
use crate::changes::Change;
use crate::estate::Estate;
use crate::ids::{ChangeId, IncidentId, ProblemId, RunId, SilenceId};
use crate::incidents::{self, Incident};
use crate::index::Index;
use crate::problems::{self, Problem};
use crate::runbooks::{self, Run, Watch};
use crate::silences::{self, Silence};
use crate::timers::Timers;
use crate::work::Work;
use crate::{Actor, Config, Decision, FactBody, Input, InputBody, Millis, Record, Subject, TimerKind};

/// An agent as the desk knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// The name in its certificate.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// Serial of the certificate in force, hexadecimal.
    pub serial: String,
    pub revoked: bool,
    pub version: String,
    /// The live session, hexadecimal; none while it is away.
    pub session: Option<String>,
    /// Why it is away.
    pub lost: Option<String>,
    pub since: Millis,
    /// Nobody on the host carries out commands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cannot_act: bool,
    /// The CI of class `host` that stands for it.
    pub ci: Option<crate::ids::CiId>,
}

impl Agent {
    pub(crate) fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            labels: BTreeMap::new(),
            serial: String::new(),
            revoked: false,
            version: String::new(),
            session: None,
            lost: None,
            since: Millis(0),
            cannot_act: false,
            ci: None,
        }
    }
}

/// All open records and the CMDB's graph, as values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desk {
    pub(crate) agents: BTreeMap<String, Agent>,
    pub(crate) incidents: BTreeMap<IncidentId, Incident>,
    pub(crate) problems: BTreeMap<ProblemId, Problem>,
    pub(crate) changes: BTreeMap<ChangeId, Change>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) cmdb: Estate,
    pub(crate) timers: Timers,
    pub(crate) settings: BTreeMap<String, Value>,
    /// Of the settings those that keep one.
    pub(crate) silences: BTreeMap<SilenceId, Silence>,
    pub(crate) index: Index,
}

impl Desk {
    /// The desk as its records left it; records that are not live are passed over, in whatever order they come.
    pub fn restore(records: impl IntoIterator<Item = Record>) -> Self {
        let mut desk = Self::default();
        let mut estate = Vec::new();
        for record in records.into_iter().filter(Record::is_live) {
            match record {
                Record::Incident(incident) => {
                    desk.index.put_incident(&incident);
                    desk.incidents.insert(incident.id, incident);
                }
                Record::Problem(problem) => {
                    desk.index.put_problem(&problem);
                    desk.problems.insert(problem.id, problem);
                }
                Record::Change(change) => {
                    desk.changes.insert(change.id, change);
                }
                Record::Run(run) => {
                    desk.index.put_run(&run);
                    desk.runs.insert(run.id, run);
                }
                Record::Agent(agent) => {
                    desk.agents.insert(agent.name.clone(), agent);
                }
                Record::Timer { timer, .. } => desk.timers.insert(timer),
                Record::Setting { name, value } => {
                    if let Some(closed_at) = incidents::mark_of(&name, &value) {
                        desk.index.put_earlier(closed_at, &name);
                    }
                    if let Some(last) = problems::mark_of(&name, &value) {
                        desk.index.put_history(last, &name);
                    }
                    if let Some(silence) = Silence::of_setting(&name, &value) {
                        desk.silences.insert(silence.id, silence);
                    }
                    desk.settings.insert(name, value);
                }
                record @ (Record::Ci(_) | Record::Relation(_)) => estate.push(record),
            }
        }
        desk.cmdb = Estate::restore(estate);
        desk
    }

    /// Decides one input and takes the outcome into what is known. Should the decision not be committed, this desk is
    /// ahead of the ledger: drop it and restore another.
    pub fn decide(&mut self, config: &Config, input: &Input) -> Decision {
        let mut work = Work::new(self, config, input);
        let mut refused = None;
        match &input.body {
            InputBody::Alert(alert) => incidents::alert(&mut work, alert),
            InputBody::Alerts { alerts } => alerts.iter().for_each(|alert| incidents::alert(&mut work, alert)),
            InputBody::Inventory(fragment) => agents::inventory(&mut work, fragment),
            InputBody::Agent(change) => agents::change(&mut work, change),
            InputBody::Result(outcome) => runbooks::result(&mut work, outcome),
            InputBody::Watched { run, step, held, detail } => runbooks::watched(&mut work, *run, *step, *held, detail),
            InputBody::Notified { notice, channel, about, delivered, detail } => {
                let body = FactBody::Notified {
                    notice: *notice,
                    channel: channel.clone(),
                    delivered: *delivered,
                    detail: detail.clone(),
                };
                incidents::notified(&mut work, *notice, about.clone(), body);
            }
            InputBody::Act(act) => refused = acts::act(&mut work, act).err(),
            InputBody::Due => due(&mut work),
            InputBody::Configured { author, files } => {
                let body = FactBody::Configured { author: author.clone(), files: files.clone() };
                let subject = Subject::Generation(input.generation.clone());
                work.tell(subject, Actor::Person(author.clone()), Vec::new(), body);
                // Guards may be other ones now.
                runbooks::wake_all(&mut work);
            }
            InputBody::Noted { by, note } => crate::note::note(&mut work, by, note),
        }
        work.finish(refused)
    }

    /// When the earliest timer falls due; an input [`InputBody::Due`] with that instant is owed then.
    pub fn next_due(&self) -> Option<Millis> {
        self.timers.next_due()
    }

    /// The conditions that runs wait for now; the body watches them and answers with `Watched`.
    pub fn watches(&self) -> Vec<Watch> {
        self.index.watching().filter_map(|run| self.runs.get(&run)).filter_map(runbooks::watch_of).collect()
    }

    /// The order of the input that carried out this request of `who`; none where it is not among the last that are
    /// remembered. For answering a request that is sent again with what it made the first time.
    pub fn done_at(&self, who: &str, request: &str) -> Option<u64> {
        acts::done_at(self, who, request)
    }

    /// The CMDB's graph.
    pub fn cmdb(&self) -> &crate::cmdb::Graph {
        self.cmdb.graph()
    }

    /// An agent by its certificate's name.
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.get(name)
    }

    /// All agents that ever enrolled, by name.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// An incident that is not closed or cancelled.
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// Incidents that are not closed or cancelled, by number.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// A problem that is not closed or cancelled.
    pub fn problem(&self, id: ProblemId) -> Option<&Problem> {
        self.problems.get(&id)
    }

    /// Problems that are not closed or cancelled, by number.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.values()
    }

    /// A run whose success is not yet measured.
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id)
    }

    /// Runs whose success is not yet measured, by number.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// A change whose success is not yet measured.
    pub fn change(&self, id: ChangeId) -> Option<&Change> {
        self.changes.get(&id)
    }

    /// Silences that are pending or active, or expired lately, by id.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.values()
    }

    /// Whether the fleet-wide stop switch is on.
    pub fn is_stopped(&self) -> bool {
        self.settings.contains_key(acts::STOP_SWITCH)
    }
}

/// Carries out what has fallen due; a timer set on the way waits for its own input.
fn due(work: &mut Work<'_>) {
    for timer in work.desk.timers.due_by(work.at) {
        // One that fell due with it may have taken it back.
        if !work.desk.timers.contains(&timer) {
            continue;
        }
        work.take_timer(&timer);
        match timer.kind {
            TimerKind::IncidentResolve { incident } => incidents::recover(work, incident),
            TimerKind::IncidentClose { incident } => incidents::expire(work, incident),
            TimerKind::IncidentPage { incident } => incidents::page_due(work, incident),
            TimerKind::ProblemPage { problem } => problems::due(work, problem),
            TimerKind::ProblemClose { problem } => problems::expire(work, problem),
            TimerKind::StepOverdue { run, step, attempt } => runbooks::overdue(work, run, step, attempt),
            TimerKind::VerifyOverdue { run } => runbooks::verify_overdue(work, run),
            TimerKind::ApprovalExpired { run } => runbooks::approval_expired(work, run),
            TimerKind::RunWake { run } => runbooks::wake(work, run),
            TimerKind::RunSettle { run } => runbooks::settle(work, run),
            TimerKind::SilenceEnds { silence } => silences::ended(work, silence),
            TimerKind::CiUnseen { ci } => agents::unseen(work, ci),
        }
    }
}
