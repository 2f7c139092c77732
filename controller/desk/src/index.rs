//! Ways to find records without walking them all. Derived: [`Index::of`] makes the same from the records alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::Millis;
use crate::ids::{CommandId, IncidentId, RunId};
use crate::incidents::{Incident, IncidentKey};
use crate::runbooks::{Run, StepState};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
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
    }

    pub fn drop_incident(&mut self, incident: &Incident) {
        if let Some(same_key) = self.by_key.get_mut(&incident.key) {
            same_key.remove(&incident.id);
            if same_key.is_empty() {
                self.by_key.remove(&incident.key);
            }
        }
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
