//! One decision in the making: what is known, and what has been decided so far.
//!
//! Practices change records only through here, so that each record touched is in the decision exactly once, as it stands at
//! the end, and each fact about an incident or its runs is a line of that incident's timeline.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::changes::Change;
use crate::cmdb::RelationKind;
use crate::desk::{Agent, Desk};
use crate::estate::{Estate, Moment};
use crate::ids::{ChangeId, CiId, IncidentId, NoticeId, ProblemId, RunId, derive};
use crate::incidents::{Incident, TimelineEntry};
use crate::problems::Problem;
use crate::runbooks::Run;
use crate::{
    Actor, Config, Decision, Effect, Fact, FactBody, Input, Millis, Reason, Record, Refusal, Subject, Timer, TimerKind,
    explain,
};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    Agent(String),
    Incident(IncidentId),
    Problem(ProblemId),
    Change(ChangeId),
    Run(RunId),
    Timer(Timer),
    Setting(String),
}

/// A record of the CMDB, by what tells it apart: a section of a host brings hundreds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Estated {
    Ci(CiId),
    Relation(CiId, RelationKind, CiId),
}

impl Estated {
    /// None for what is of another practice.
    fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Ci(ci) => Some(Self::Ci(ci.id)),
            Record::Relation(relation) => Some(Self::Relation(relation.from, relation.kind, relation.to)),
            _ => None,
        }
    }
}

pub(crate) struct Work<'a> {
    pub desk: &'a mut Desk,
    pub config: &'a Config,
    pub input: &'a Input,
    /// The instant that is judged at.
    pub at: Millis,
    facts: Vec<Fact>,
    effects: Vec<Effect>,
    touched: BTreeSet<Touched>,
    /// What the CMDB changed, each once, however often.
    estate: BTreeMap<Estated, Record>,
    notices: u32,
}

impl<'a> Work<'a> {
    pub fn new(desk: &'a mut Desk, config: &'a Config, input: &'a Input) -> Self {
        Self {
            desk,
            config,
            input,
            at: input.at,
            facts: Vec::new(),
            effects: Vec::new(),
            touched: BTreeSet::new(),
            estate: BTreeMap::new(),
            notices: 0,
        }
    }

    /// States a fact of now, and enters it in the timeline of the incident or problem that it belongs to.
    pub fn tell(&mut self, subject: Subject, actor: Actor, reasons: Vec<Reason>, body: FactBody) {
        self.tell_seen(self.at, subject, actor, reasons, body);
    }

    /// States what a host saw, at the host's time; one that lies ahead of now is now. What follows from it is of now, and
    /// told by [`Self::tell`].
    pub fn tell_seen(&mut self, seen: Millis, subject: Subject, actor: Actor, reasons: Vec<Reason>, body: FactBody) {
        let incident = match &subject {
            Subject::Incident(incident) => Some(*incident),
            Subject::Run(run) => self.desk.runs.get(run).and_then(|run| run.incident),
            _ => None,
        };
        let at = self.at;
        if let Some(incident) = incident.and_then(|id| self.incident_mut(id)) {
            incident.enter(TimelineEntry { at, actor: actor.clone(), sentence: explain::sentence(&subject, &body) });
        }
        if let Subject::Problem(id) = &subject {
            let entry = TimelineEntry { at, actor: actor.clone(), sentence: explain::sentence(&subject, &body) };
            self.note_problem(*id, |problem| problem.enter(entry));
        }
        self.facts.push(Fact { happened_at: seen.min(self.at), subject, actor, reasons, body });
    }

    pub fn owe(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub fn incident_mut(&mut self, id: IncidentId) -> Option<&mut Incident> {
        let incident = self.desk.incidents.get_mut(&id)?;
        self.touched.insert(Touched::Incident(id));
        Some(incident)
    }

    /// Changes what the index reads of an incident: since when it is open, and what stands around it.
    pub fn edit_incident(&mut self, id: IncidentId, change: impl FnOnce(&mut Incident)) {
        let Some(incident) = self.desk.incidents.get_mut(&id) else { return };
        self.desk.index.drop_incident(incident);
        change(incident);
        self.desk.index.put_incident(incident);
        self.touched.insert(Touched::Incident(id));
    }

    /// Changes what no index reads of a problem: all but its keys. Nothing where it is not held.
    pub fn note_problem(&mut self, id: ProblemId, change: impl FnOnce(&mut Problem)) {
        if let Some(problem) = self.desk.problems.get_mut(&id) {
            change(problem);
            self.touched.insert(Touched::Problem(id));
        }
    }

    /// Changes a problem and its places in the index; nothing where it is not held.
    pub fn edit_problem(&mut self, id: ProblemId, change: impl FnOnce(&mut Problem)) {
        let Some(problem) = self.desk.problems.get_mut(&id) else { return };
        self.desk.index.drop_problem(problem);
        change(problem);
        self.desk.index.put_problem(problem);
        self.touched.insert(Touched::Problem(id));
    }

    pub fn change_mut(&mut self, id: ChangeId) -> Option<&mut Change> {
        let change = self.desk.changes.get_mut(&id)?;
        self.touched.insert(Touched::Change(id));
        Some(change)
    }

    pub fn run_mut(&mut self, id: RunId) -> Option<&mut Run> {
        let run = self.desk.runs.get_mut(&id)?;
        self.touched.insert(Touched::Run(id));
        Some(run)
    }

    /// The agent's record; a new one where there is none.
    pub fn agent_mut(&mut self, name: &str) -> &mut Agent {
        self.touched.insert(Touched::Agent(name.to_owned()));
        self.desk.agents.entry(name.to_owned()).or_insert_with(|| Agent::unknown(name))
    }

    pub fn add_incident(&mut self, incident: Incident) {
        self.desk.index.put_incident(&incident);
        self.touched.insert(Touched::Incident(incident.id));
        self.desk.incidents.insert(incident.id, incident);
    }

    pub fn add_problem(&mut self, problem: Problem) {
        self.desk.index.put_problem(&problem);
        self.touched.insert(Touched::Problem(problem.id));
        self.desk.problems.insert(problem.id, problem);
    }

    pub fn add_change(&mut self, change: Change) {
        self.touched.insert(Touched::Change(change.id));
        self.desk.changes.insert(change.id, change);
    }

    pub fn add_run(&mut self, run: Run) {
        self.desk.index.put_run(&run);
        self.touched.insert(Touched::Run(run.id));
        self.desk.runs.insert(run.id, run);
    }

    pub fn set_timer(&mut self, due: Millis, kind: TimerKind) {
        let timer = Timer { due, kind };
        self.touched.insert(Touched::Timer(timer.clone()));
        self.desk.timers.insert(timer);
    }

    /// Takes back every timer of that kind.
    pub fn clear_timer(&mut self, kind: &TimerKind) {
        while let Some(timer) = self.desk.timers.find(kind) {
            self.take_timer(&timer);
        }
    }

    pub fn take_timer(&mut self, timer: &Timer) {
        self.desk.timers.remove(timer);
        self.touched.insert(Touched::Timer(timer.clone()));
    }

    pub fn setting(&self, name: &str) -> Option<&Value> {
        self.desk.settings.get(name)
    }

    /// Null takes it away.
    pub fn set_setting(&mut self, name: &str, value: Value) {
        self.touched.insert(Touched::Setting(name.to_owned()));
        if value.is_null() {
            self.desk.settings.remove(name);
        } else {
            self.desk.settings.insert(name.to_owned(), value);
        }
    }

    /// The next number of `noun`, from 1, without gaps.
    pub fn next_number(&mut self, noun: &str) -> u64 {
        let name = format!("number/{noun}");
        let next = self.setting(&name).and_then(Value::as_u64).unwrap_or(0) + 1;
        self.set_setting(&name, next.into());
        next
    }

    /// A new notice's id, from the input and its ordinal in it.
    pub fn next_notice(&mut self) -> NoticeId {
        self.notices += 1;
        NoticeId(derive("notice", &[&self.input.order.to_be_bytes(), &self.notices.to_be_bytes()]))
    }

    /// Lets the CMDB decide something, and takes it into this decision.
    pub fn estate<T>(&mut self, decide: impl FnOnce(&mut Estate, Moment<'_>) -> T) -> T {
        let moment = Moment::of(self.input, self.config, &self.desk.agents);
        decide(&mut self.desk.cmdb, moment)
    }

    /// What the CMDB decided, as part of this decision.
    pub fn take_estate(&mut self, outcome: crate::cmdb::Outcome) {
        self.facts.extend(outcome.facts);
        let changed = outcome.changed.into_iter();
        self.estate.extend(changed.filter_map(|record| Some((Estated::of(&record)?, record))));
        for timer in outcome.timers {
            self.touched.insert(Touched::Timer(timer.clone()));
            self.desk.timers.insert(timer);
        }
    }

    /// The decision, with every record touched as it now stands; the desk lets go of those that are no longer live.
    pub fn finish(mut self, refused: Option<Refusal>) -> Decision {
        debug_assert!(refused.is_none() || self.facts.is_empty(), "a refused act changes nothing");
        let touched = std::mem::take(&mut self.touched);
        let mut changed: Vec<Record> = touched.into_iter().filter_map(|touched| self.desk.record(touched)).collect();
        changed.extend(self.estate.into_values());
        for record in &changed {
            self.desk.keep_or_let_go(record);
        }
        Decision { facts: self.facts, effects: self.effects, changed, refused }
    }
}

impl Desk {
    fn record(&self, touched: Touched) -> Option<Record> {
        match touched {
            Touched::Agent(name) => self.agents.get(&name).cloned().map(Record::Agent),
            Touched::Incident(id) => self.incidents.get(&id).cloned().map(Record::Incident),
            Touched::Problem(id) => self.problems.get(&id).cloned().map(Record::Problem),
            Touched::Change(id) => self.changes.get(&id).cloned().map(Record::Change),
            Touched::Run(id) => self.runs.get(&id).cloned().map(Record::Run),
            Touched::Timer(timer) => Some(Record::Timer { set: self.timers.contains(&timer), timer }),
            Touched::Setting(name) => {
                let value = self.settings.get(&name).cloned().unwrap_or(Value::Null);
                Some(Record::Setting { name, value })
            }
        }
    }

    fn keep_or_let_go(&mut self, record: &Record) {
        match record {
            Record::Incident(incident) if !record.is_live() => {
                self.index.drop_incident(incident);
                self.incidents.remove(&incident.id);
            }
            Record::Problem(problem) if !record.is_live() => {
                self.index.drop_problem(problem);
                self.problems.remove(&problem.id);
            }
            Record::Run(run) if !record.is_live() => {
                self.index.drop_run(run);
                self.runs.remove(&run.id);
            }
            Record::Run(run) => self.index.put_run(run),
            Record::Change(change) if !record.is_live() => {
                self.changes.remove(&change.id);
            }
            _ => {}
        }
    }
}
