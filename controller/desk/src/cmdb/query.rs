//! Questions about the CMDB: what is there, by class and attribute; what hangs together; what was so at a past instant.

use std::collections::BTreeMap;

use watchkeep_rules::selector::Selector;

use super::ci::Ci;
use super::classes::{Class, Value};
use super::facts::CmdbFact;
use super::graph::Graph;
use super::relations::When;
use crate::fact::FactBody;
use crate::ids::CiId;
use crate::{Fact, Millis};

impl Graph {
    /// The current items of a class whose attributes have those values, by id; on the host of `agent` where one is named.
    ///
    /// Beside the class's own attributes these are known: `instance` (the agent's name), `name`, `key`.
    pub fn find(&self, class: Class, attributes: &BTreeMap<String, String>, agent: Option<&str>) -> Vec<&Ci> {
        let agent = agent.or(attributes.get("instance").map(String::as_str));
        let fits = |ci: &&Ci| ci.is_current() && attributes.iter().all(|(name, value)| has(ci, name, value));
        let Some(agent) = agent else {
            return self.candidates(class, attributes).into_iter().filter(fits).collect();
        };
        let Some(host) = self.host_of(agent) else { return Vec::new() };
        if class == Class::Host {
            return Some(host).into_iter().filter(fits).collect();
        }
        self.of_class_on(host.id, class).filter(fits).collect()
    }

    /// The items of a class, or of all, that a selector takes; retired ones among them, which `lifecycle` tells apart.
    pub fn select<'a>(&'a self, class: Option<Class>, selector: &'a Selector) -> impl Iterator<Item = &'a Ci> {
        let of_class = class.map(|class| self.of_class(class));
        let all = of_class.is_none().then(|| self.items());
        let known = of_class.into_iter().flatten().chain(all.into_iter().flatten());
        known.filter(|ci| selector.matches(&Self::labels(ci)))
    }

    /// Items that may fit, by the narrowest index there is.
    fn candidates(&self, class: Class, attributes: &BTreeMap<String, String>) -> Vec<&Ci> {
        let text = |value: &String| Value::Text(value.clone());
        let mut indexed = attributes.iter().filter_map(|(name, value)| self.by_value(class, name, &text(value)));
        match indexed.next() {
            Some(found) => found,
            None => self.of_class(class).collect(),
        }
    }

    /// The unit of that name on the host of an agent, while it is there.
    pub fn unit(&self, agent: &str, unit: &str) -> Option<&Ci> {
        let host = self.host_of(agent)?;
        self.on_host(host.id, Class::ServiceUnit, unit).filter(|ci| ci.is_current())
    }

    /// The item itself, or the one that it was merged into.
    pub fn resolve(&self, ci: CiId) -> Option<&Ci> {
        let mut at = self.get(ci)?;
        // A merge never points back; the bound is there for records that somebody wrote by hand.
        for _ in 0..32 {
            match at.more().merged_into {
                Some(into) => at = self.get(into)?,
                None => return Some(at),
            }
        }
        None
    }

    /// What is on a host, class by class, while it is there.
    pub fn tree(&self, host: CiId) -> Vec<(Class, Vec<&Ci>)> {
        let mut by_class: BTreeMap<Class, Vec<&Ci>> = BTreeMap::new();
        for ci in self.all_on(host).filter(|ci| ci.is_current()) {
            by_class.entry(ci.class).or_default().push(ci);
        }
        by_class.into_iter().collect()
    }

    /// The labels that selectors see of an item: its attributes and measurements, `class`, `name`, `key`, `lifecycle`, and `instance` (its
    /// agent's name).
    pub fn labels(ci: &Ci) -> BTreeMap<String, String> {
        let mut labels: BTreeMap<String, String> =
            ci.attributes().map(|(name, held)| (name.to_owned(), held.value.to_string())).collect();
        labels.extend(ci.measurements.iter().map(|(name, measured)| (name.to_owned(), measured.value.to_string())));
        labels.extend(ci.agent.as_deref().map(|agent| ("instance".to_owned(), agent.to_owned())));
        let own =
            [("class", ci.class.word()), ("name", &ci.name), ("key", &ci.key), ("lifecycle", ci.lifecycle.word())];
        labels.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        labels
    }
}

fn has(ci: &Ci, name: &str, value: &str) -> bool {
    match name {
        "instance" => ci.agent.as_deref() == Some(value),
        "name" => ci.name == value || ci.text("name") == Some(value),
        "key" => ci.key == value,
        _ => ci.attribute(name).is_some_and(|held| held.to_string() == value),
    }
}

/// The CMDB as it was at `happened`, as far as it was known at `learned`.
///
/// `facts` are the ledger's, in its order, each with when it was learned. Measurements are no facts and are not in it.
pub fn as_of<'a>(facts: impl IntoIterator<Item = (Millis, &'a Fact)>, happened: Millis, learned: Millis) -> Graph {
    let known = facts.into_iter().filter(|(at, fact)| *at <= learned && fact.happened_at <= happened);
    let of_cmdb = known.filter_map(|(at, fact)| match &fact.body {
        FactBody::Cmdb(body) => Some((When { happened: fact.happened_at, learned: at }, body)),
        _ => None,
    });
    let mut history: Vec<(When, &CmdbFact)> = of_cmdb.collect();
    // Stable: what happened at the same instant stays in the ledger's order.
    history.sort_by_key(|(when, _)| when.happened);
    let mut graph = Graph::default();
    for (when, body) in history {
        graph.take(body, when);
    }
    graph
}
