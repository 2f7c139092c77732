//! Agents coming: enrolled with labels, seen again.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::Lifecycle;
use super::classes::Class;
use super::facts::{Added, CmdbFact, Edge};
use super::graph::{Context, Graph, Outcome};
use super::relations::{RelationKind, Source};
use crate::ids::{CiId, derive};
use crate::{Actor, Reason};

/// Who claims a membership that an agent's label `service` made.
const LABEL_CLAIM: &str = "label service";

impl Graph {
    /// An agent was enrolled, or enrolled again, with these labels (the operator's word): its host is known from now on,
    /// and a member of the business_service that the label `service` names.
    pub fn enrolled(&mut self, agent: &str, labels: &BTreeMap<String, String>, ctx: &Context<'_>) -> Outcome {
        let mut out = Outcome::default();
        let host = self.host_for(agent, ctx.at, ctx, &mut out);
        self.wake(host, ctx.at, ctx, &mut out);
        let service = labels.get("service").map(|name| name.trim()).filter(|name| !name.is_empty());
        let service = service.map(|name| self.service(name, ctx, &mut out));
        self.join(host, service, ctx, &mut out);
        if !out.facts.is_empty() {
            self.follow(host, BTreeSet::new(), ctx, &mut out);
        }
        self.finish(out)
    }

    /// The agent is here: its host is in use, should it have been missing or retired.
    pub fn seen(&mut self, agent: &str, ctx: &Context<'_>) -> Outcome {
        let mut out = Outcome::default();
        if let Some(host) = self.host_of(agent).map(|ci| ci.id) {
            self.wake(host, ctx.at, ctx, &mut out);
            self.note(host, |ci| ci.last_seen = ci.last_seen.max(ctx.at));
        }
        self.finish(out)
    }

    /// The business_service of that name, made where there is none yet.
    fn service(&mut self, name: &str, ctx: &Context<'_>, out: &mut Outcome) -> CiId {
        if let Some(service) = self.by_itself(Class::BusinessService, name) {
            let (id, from) = (service.id, service.lifecycle);
            if from != Lifecycle::InUse {
                let body = CmdbFact::Lifecycle { ci: id, from, to: Lifecycle::InUse, also: Vec::new() };
                self.decide(id, ctx.at, Actor::Controller, vec![label_reason(name)], body, ctx, out);
            }
            return id;
        }
        let ci = CiId(derive("ci", &[&ctx.order.to_be_bytes(), b"business_service", name.as_bytes()]));
        let attributes = BTreeMap::from([("name".to_owned(), super::Value::Text(name.to_owned()))]);
        let item =
            Added { ci, class: Class::BusinessService, key: name.to_owned(), host: None, agent: None, attributes };
        let body = CmdbFact::Registered { item, source: Source::Hand };
        self.decide(ci, ctx.at, Actor::Controller, vec![label_reason(name)], body, ctx, out);
        ci
    }

    /// A host is a member of the service that its label names, and of none that an earlier label named.
    fn join(&mut self, host: CiId, service: Option<CiId>, ctx: &Context<'_>, out: &mut Outcome) {
        let labelled = self.relations_from(host).filter(|relation| relation.claims.contains(LABEL_CLAIM));
        let before: Vec<CiId> = labelled.map(|relation| relation.to).collect();
        let edge = |to| Edge { from: host, kind: RelationKind::MemberOf, to, by: LABEL_CLAIM.to_owned() };
        for left in before.iter().filter(|to| Some(**to) != service) {
            let reason = Reason::new("label", "the agent was enrolled again without that label");
            self.decide(
                host,
                ctx.at,
                Actor::Controller,
                vec![reason],
                CmdbFact::Unrelated { edge: edge(*left) },
                ctx,
                out,
            );
        }
        if let Some(joined) = service.filter(|to| !before.contains(to)) {
            let name = self.get(joined).map_or("", |ci| ci.name.as_str());
            let (reason, body) = (label_reason(name), CmdbFact::Related { edge: edge(joined), source: Source::Hand });
            self.decide(host, ctx.at, Actor::Controller, vec![reason], body, ctx, out);
        }
    }
}

fn label_reason(name: &str) -> Reason {
    Reason::new("label", format!("an agent was enrolled with the label service=\"{name}\""))
}
