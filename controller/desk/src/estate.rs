//! What the other practices ask of the CMDB, in one place.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cmdb::{Class, Context, Graph, Outcome, Source, Verdict};
use crate::desk::Agent;
use crate::ids::CiId;
use crate::input::{AgentEvent, Fragment};
use crate::{Config, Input, Millis, Reason, Record, Refusal};

/// The graph, compared by its records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Estate(Graph);

impl PartialEq for Estate {
    fn eq(&self, other: &Self) -> bool {
        self.0.records().eq(other.0.records())
    }
}

/// The moment of a decision, as the CMDB is told it.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub order: u64,
    pub at: Millis,
    pub config: &'a Config,
    pub agents: &'a BTreeMap<String, Agent>,
}

impl<'a> Moment<'a> {
    pub fn of(input: &Input, config: &'a Config, agents: &'a BTreeMap<String, Agent>) -> Self {
        Self { order: input.order, at: input.at, config, agents }
    }

    fn with<T>(self, work: impl FnOnce(&Context<'_>) -> T) -> T {
        let live = |name: &str| self.agents.get(name).is_some_and(|agent| agent.session.is_some());
        work(&Context { order: self.order, at: self.at, settings: &self.config.settings, live: &live })
    }
}

impl Estate {
    pub fn restore(records: Vec<Record>) -> Self {
        Self(Graph::restore(records))
    }

    pub fn graph(&self) -> &Graph {
        &self.0
    }

    /// Takes in a section of a host's inventory.
    pub fn apply(&mut self, fragment: &Fragment, moment: Moment<'_>) -> Outcome {
        // A host's clock may run ahead; what it found was so no later than now.
        if fragment.happened_at > moment.at {
            let bounded = Fragment { happened_at: moment.at, ..fragment.clone() };
            return moment.with(|context| self.0.apply_fragment(&bounded, context));
        }
        moment.with(|context| self.0.apply_fragment(fragment, context))
    }

    /// Takes in what an agent's coming means for its host.
    pub fn agent(&mut self, name: &str, what: &AgentEvent, moment: Moment<'_>) -> Outcome {
        match what {
            AgentEvent::Enrolled { labels, .. } => moment.with(|context| self.0.enrolled(name, labels, context)),
            AgentEvent::Connected { .. } => moment.with(|context| self.0.seen(name, context)),
            _ => Outcome::default(),
        }
    }

    /// The timer of a host fell due: its agent has been away for too long, or it has been missing for too long.
    pub fn due(&mut self, host: CiId, moment: Moment<'_>) -> Vec<Outcome> {
        let away_for = |agent: &Agent| moment.at.since(agent.since);
        let missing_after = moment.config.settings.missing_after;
        let agent = self.0.get(host).and_then(|host| moment.agents.get(host.agent.as_deref()?));
        let lost = agent.filter(|agent| agent.session.is_none() && away_for(agent) >= missing_after);
        let lost = lost.map(|agent| moment.with(|context| self.0.lost(&agent.name, context)));
        let due = moment.with(|context| self.0.due(host, context));
        lost.into_iter().chain([due]).collect()
    }

    /// Takes an item out by hand.
    pub fn retire(&mut self, ci: CiId, who: &str, note: &str, moment: Moment<'_>) -> Result<Outcome, Refusal> {
        moment.with(|context| self.0.retire(ci, who, note, context))
    }

    /// The host that an agent speaks for.
    pub fn host_of(&self, agent: &str) -> Option<CiId> {
        self.0.host_of(agent).map(|host| host.id)
    }

    /// Sets an attribute of an item by hand.
    pub fn set(
        &mut self,
        ci: CiId,
        (name, value): (&str, &str),
        who: &str,
        note: &str,
        moment: Moment<'_>,
    ) -> Result<Outcome, Refusal> {
        moment.with(|context| self.0.set(ci, (name, value), (Source::Hand, who), note, context))
    }

    /// Pins or denies that one item depends on another, or takes that word back.
    pub fn judge(
        &mut self,
        ends: (CiId, CiId),
        verdict: Option<Verdict>,
        who: &str,
        note: &str,
        moment: Moment<'_>,
    ) -> Result<Outcome, Refusal> {
        moment.with(|context| self.0.judge(ends, verdict, who, note, context))
    }

    /// The one item of a class with these attributes.
    ///
    /// Errors: how many there are, where it is not one.
    pub fn find(&self, class: &str, attributes: &BTreeMap<String, String>, agent: Option<&str>) -> Result<CiId, usize> {
        let Some(class) = Class::parse(class) else { return Err(0) };
        match self.0.find(class, attributes, agent).as_slice() {
            [one] => Ok(one.id),
            found => Err(found.len()),
        }
    }

    /// The item that lives on where this one was merged into another; else itself.
    fn living(&self, ci: CiId) -> CiId {
        self.0.resolve(ci).map_or(ci, |living| living.id)
    }

    /// The unit of that name on an agent's host.
    pub fn unit(&self, agent: &str, unit: &str) -> Option<CiId> {
        self.0.unit(agent, unit).map(|ci| ci.id)
    }

    /// How much suffers with the item, 1 to 3, and why.
    pub fn impact(&self, ci: CiId) -> (u8, Vec<Reason>) {
        self.0.impact(self.living(ci))
    }

    /// The item as templates see it: its attributes, and `id`, `class`, `name`, `key`.
    pub fn describe(&self, ci: CiId) -> Map<String, Value> {
        let Some(ci) = self.0.get(self.living(ci)) else { return Map::new() };
        let mut seen: Map<String, Value> =
            ci.attributes().map(|(name, held)| (name.to_owned(), json!(held.value))).collect();
        seen.insert("id".to_owned(), json!(ci.id));
        seen.insert("class".to_owned(), json!(ci.class.word()));
        seen.insert("name".to_owned(), json!(ci.name));
        seen.insert("key".to_owned(), json!(ci.key));
        seen
    }

    /// The item as a notice tells of it.
    pub fn in_short(&self, ci: CiId) -> Value {
        let ci = self.living(ci);
        json!({ "id": ci, "what": self.0.describe(ci) })
    }
}
