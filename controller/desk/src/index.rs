//! Ways to find records without walking them all. Derived: [`Index::of`] makes the same from the records alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::Millis;
use crate::ids::{CiId, CommandId, IncidentId, ProblemId, RunId};
use crate::incidents::{Incident, IncidentKey};
use crate::problems::Problem;
use crate::runbooks::{Run, StepState};

/// Something that incidents may share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Around {
    /// They are about that very item.
    Own(CiId),
    /// They are about it or need it.
    Needs(CiId),
    /// They saw that change.
    Change(String),
    Rule(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    /// By when they opened, or opened again.
    by_time: BTreeSet<(Millis, IncidentId)>,
    around: BTreeMap<Around, BTreeSet<(Millis, IncidentId)>>,
    problems: BTreeMap<IncidentKey, BTreeSet<ProblemId>>,
    /// Settings that remember how often a key opened, by when it did last.
    histories: BTreeSet<(Millis, String)>,
    by_key: BTreeMap<IncidentKey, BTreeSet<IncidentId>>,
    by_agent: BTreeMap<String, BTreeSet<RunId>>,
    by_command: BTreeMap<CommandId, (RunId, usize)>,
    /// Runs whose turn it is to watch a condition.
    watching: BTreeSet<RunId>,
    /// Settings that remember the last incident of a key, by when it was closed.
    earlier: BTreeSet<(Millis, String)>,
}

impl Index {
    pub fn put_incident(&mut self, incident: &Incident) {
        self.by_key.entry(incident.key.clone()).or_default().insert(incident.id);
        let place = (incident.since, incident.id);
        self.by_time.insert(place);
        for thing in around(incident) {
            self.around.entry(thing).or_default().insert(place);
        }
    }

    pub fn drop_incident(&mut self, incident: &Incident) {
        let place = (incident.since, incident.id);
        self.by_time.remove(&place);
        for thing in around(incident) {
            if let Some(places) = self.around.get_mut(&thing) {
                places.remove(&place);
                if places.is_empty() {
                    self.around.remove(&thing);
                }
            }
        }
        if let Some(same_key) = self.by_key.get_mut(&incident.key) {
            same_key.remove(&incident.id);
            if same_key.is_empty() {
                self.by_key.remove(&incident.key);
            }
        }
    }

    pub fn put_problem(&mut self, problem: &Problem) {
        for key in &problem.keys {
            self.problems.entry(key.clone()).or_default().insert(problem.id);
        }
    }

    pub fn drop_problem(&mut self, problem: &Problem) {
        for key in &problem.keys {
            if let Some(problems) = self.problems.get_mut(key) {
                problems.remove(&problem.id);
                if problems.is_empty() {
                    self.problems.remove(key);
                }
            }
        }
    }

    /// The newest problem that the desk holds and the key belongs to.
    pub fn problem_of(&self, key: &IncidentKey) -> Option<ProblemId> {
        self.problems.get(key)?.last().copied()
    }

    /// Incidents that share it and opened since then, the newest first.
    pub fn around<'a>(&'a self, thing: &Around, since: Millis) -> impl Iterator<Item = IncidentId> + use<'a> {
        let places = self.around.get(thing).into_iter();
        places.flat_map(move |places| places.range((since, IncidentId(0))..).rev()).map(|(_, id)| *id)
    }

    /// Incidents that opened since then, the newest first.
    pub fn opened_since(&self, since: Millis) -> impl Iterator<Item = IncidentId> + '_ {
        self.by_time.range((since, IncidentId(0))..).rev().map(|(_, id)| *id)
    }

    pub fn put_history(&mut self, last: Millis, setting: &str) {
        self.histories.insert((last, setting.to_owned()));
    }

    pub fn forget_history(&mut self, last: Millis, setting: &str) {
        self.histories.remove(&(last, setting.to_owned()));
    }

    /// The setting whose key opened longest ago.
    pub fn oldest_history(&self) -> Option<(Millis, String)> {
        self.histories.first().cloned()
    }

    pub fn history_len(&self) -> usize {
        self.histories.len()
    }

    pub fn put_run(&mut self, run: &Run) {
        self.by_agent.entry(run.agent.clone()).or_default().insert(run.id);
        for (step, journal) in run.journal.iter().enumerate() {
            self.by_command.extend(journal.commands.iter().map(|command| (*command, (run.id, step))));
        }
        let watches = !run.state.is_over() && run.journal.iter().any(|step| step.state == StepState::Watching);
        if watches {
            self.watching.insert(run.id)
        } else {
            self.watching.remove(&run.id)
        };
    }

    pub fn drop_run(&mut self, run: &Run) {
        if let Some(same_agent) = self.by_agent.get_mut(&run.agent) {
            same_agent.remove(&run.id);
            if same_agent.is_empty() {
                self.by_agent.remove(&run.agent);
            }
        }
        for command in run.journal.iter().flat_map(|step| &step.commands) {
            self.by_command.remove(command);
        }
        self.watching.remove(&run.id);
    }

    pub fn put_earlier(&mut self, closed_at: Millis, setting: &str) {
        self.earlier.insert((closed_at, setting.to_owned()));
    }

    pub fn forget_earlier(&mut self, closed_at: Millis, setting: &str) {
        self.earlier.remove(&(closed_at, setting.to_owned()));
    }

    /// The setting whose incident was closed longest ago.
    pub fn oldest_earlier(&self) -> Option<(Millis, String)> {
        self.earlier.first().cloned()
    }

    pub fn earlier_len(&self) -> usize {
        self.earlier.len()
    }

    /// The newest incident of the key that the desk holds, open or resolved.
    pub fn incident_of(&self, key: &IncidentKey) -> Option<IncidentId> {
        self.by_key.get(key)?.last().copied()
    }

    /// All runs on the host that the desk holds, in the order they were asked for.
    pub fn runs_on(&self, agent: &str) -> impl Iterator<Item = RunId> + '_ {
        self.by_agent.get(agent).into_iter().flatten().copied()
    }

    /// The run and the step that ordered a command.
    pub fn ordered_by(&self, command: CommandId) -> Option<(RunId, usize)> {
        self.by_command.get(&command).copied()
    }

    pub fn watching(&self) -> impl Iterator<Item = RunId> + '_ {
        self.watching.iter().copied()
    }
}

/// What an incident may share with others.
fn around(incident: &Incident) -> impl Iterator<Item = Around> + '_ {
    let surroundings = &incident.surroundings;
    let needs = surroundings.needs.iter().map(|need| Around::Needs(need.ci));
    let changes = surroundings.changes.iter().map(|change| Around::Change(change.identity.clone()));
    let own = surroundings.own().map(Around::Own);
    needs.chain(changes).chain(own).chain([Around::Rule(incident.rule.clone())])
}
