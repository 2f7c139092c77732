//! What agents say, judged and taken in: a fragment of inventory, an enrolment, coming and going.

use std::collections::BTreeMap;

use super::ci::{Ci, Dispute, Lifecycle};
use super::classes::Class;
use super::facts::{Added, CmdbFact, Edge, Match};
use super::found::{self, Found, Reading};
use super::graph::{Context, Graph, Outcome};
use super::identify::{self, Verdict};
use super::relations::{RelationKind, Source, When};
use super::section;
use crate::fact::FactBody;
use crate::ids::{CiId, derive};
use crate::input::{FoundItem, Fragment};
use crate::{Actor, Fact, Millis, Reason, Subject, Timer, TimerKind};

/// Who claims a membership that an agent's label `service` made.
const LABEL_CLAIM: &str = "label service";

impl Graph {
    /// Takes in what an agent found of one section of its host.
    ///
    /// One fact for the section with its difference, whatever the number of items; none where nothing changed. Facts of
    /// identification come before it. Nothing in a fragment is an error: what fits no class is left out, and said.
    pub fn apply_fragment(&mut self, fragment: &Fragment, ctx: &Context<'_>) -> Outcome {
        let mut out = Outcome::default();
        let host = self.host_for(&fragment.agent, fragment.happened_at, ctx, &mut out);
        let reading = found::read(fragment);
        let host = match reading.items.iter().find(|found| found.class == Class::Host && fragment.section == "host") {
            Some(found) => self.identify(host, found, fragment.happened_at, ctx, &mut out),
            None => host,
        };
        self.wake(host, fragment.happened_at, ctx, &mut out);
        self.take_in(host, fragment, reading, ctx, &mut out);
        self.note(host, |ci| ci.last_seen = ci.last_seen.max(ctx.at));
        self.finish(out)
    }

    /// An agent was enrolled, or enrolled again, with these labels (the operator's word): its host is known from now on,
    /// and a member of the business_service that the label `service` names.
    pub fn enrolled(&mut self, agent: &str, labels: &BTreeMap<String, String>, ctx: &Context<'_>) -> Outcome {
        let mut out = Outcome::default();
        let host = self.host_for(agent, ctx.at, ctx, &mut out);
        self.wake(host, ctx.at, ctx, &mut out);
        let service = labels.get("service").map(|name| name.trim()).filter(|name| !name.is_empty());
        let service = service.map(|name| self.service(name, ctx, &mut out));
        self.join(host, service, ctx, &mut out);
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

    /// What a message comes to, taken in.
    fn take_in(
        &mut self,
        host: CiId,
        fragment: &Fragment,
        mut reading: Reading<'_>,
        ctx: &Context<'_>,
        out: &mut Outcome,
    ) {
        let Some(known) = self.get(host) else { return };
        let before = known.sections.get(&fragment.section).map(|mark| mark.happened_at);
        let plan = section::plan(self, known, fragment, &mut reading, ctx.order);
        out.left_out += reading.refused.count();
        if let Some(body) = plan.fact.clone() {
            let mut reasons = reading.refused.reasons();
            let (happened, reason) = not_before(fragment.happened_at, before);
            reasons.extend(reason);
            if !body.removed.is_empty() {
                let due = ctx.at.plus(ctx.settings.retired_after);
                out.timers.push(Timer { due, kind: TimerKind::CiUnseen { ci: host } });
            }
            self.decide(host, happened, agent_of(fragment), reasons, CmdbFact::Section(body), ctx, out);
        }
        self.keep(host, &fragment.section, plan);
        self.measure(host, &reading, fragment.happened_at);
    }

    /// The host that an agent speaks for, made where there is none yet.
    fn host_for(&mut self, agent: &str, happened: Millis, ctx: &Context<'_>, out: &mut Outcome) -> CiId {
        if let Some(host) = self.host_of(agent) {
            return host.id;
        }
        let ci = CiId(derive("ci", &[&ctx.order.to_be_bytes(), b"host", agent.as_bytes()]));
        let (key, agent_name) = (agent.to_owned(), Some(agent.to_owned()));
        let attributes = BTreeMap::new();
        let item = Added { ci, class: Class::Host, key, host: None, agent: agent_name, attributes };
        let body = CmdbFact::Registered { item, source: Source::Agent };
        let reason = Reason::new("identification", format!("the agent {agent} spoke for no known host"));
        self.decide(ci, happened, Actor::Agent(agent.to_owned()), vec![reason], body, ctx, out);
        ci
    }

    /// Which host it is, now that it says of itself; the id of the one that goes on.
    fn identify(
        &mut self,
        host: CiId,
        found: &Found<'_>,
        happened: Millis,
        ctx: &Context<'_>,
        out: &mut Outcome,
    ) -> CiId {
        let Some(known) = self.get(host) else { return host };
        let is_fresh = !known.sections.contains_key("host");
        let told = as_told(known, found);
        let verdict = identify::judge(self, &told, &told.identifiers, is_fresh, ctx);
        let settled = identify::settled(known, &verdict);
        let actor = Actor::Agent(known.agent.clone().unwrap_or_default());
        for dispute in settled {
            let Dispute { with, over } = dispute;
            let reason = Reason::new("identification", format!("{} is no longer shared", over.kind));
            let body = CmdbFact::ConflictEnded { ci: host, with, over };
            self.decide(host, happened, actor.clone(), vec![reason], body, ctx, out);
        }
        let host = match &verdict.merge {
            Some((kept, matched)) => self.merge_into(*kept, host, matched, happened, ctx, out),
            None => host,
        };
        self.raise_conflicts(host, verdict, happened, &actor, ctx, out);
        host
    }

    fn raise_conflicts(
        &mut self,
        host: CiId,
        verdict: Verdict,
        happened: Millis,
        actor: &Actor,
        ctx: &Context<'_>,
        out: &mut Outcome,
    ) {
        for conflict in verdict.conflicts {
            let dispute = Dispute { with: conflict.sides[1].ci, over: conflict.over.clone() };
            if self.get(host).is_some_and(|ci| ci.conflicts.contains(&dispute)) {
                continue;
            }
            let mut reasons = vec![identify::conflict_reason(&conflict)];
            reasons.extend(verdict.junk.iter().map(|(identifier, hosts)| identify::junk_reason(identifier, *hosts)));
            self.decide(host, happened, actor.clone(), reasons, CmdbFact::Conflict(conflict), ctx, out);
        }
    }

    /// `dropped`, new and never identified, is `kept`, known from before: it goes on under the new agent.
    fn merge_into(
        &mut self,
        kept: CiId,
        dropped: CiId,
        matched: &[Match],
        happened: Millis,
        ctx: &Context<'_>,
        out: &mut Outcome,
    ) -> CiId {
        let Some(agent) = self.get(dropped).and_then(|ci| ci.agent.clone()) else { return dropped };
        let told = self.retell(dropped, &agent);
        let reasons = matched.iter().map(identify::match_reason).collect();
        let weight = matched.iter().map(|m| m.weight).sum();
        let body = CmdbFact::Merged { kept, dropped, agent: agent.clone(), matched: matched.to_vec(), weight };
        self.decide(kept, happened, Actor::Agent(agent), reasons, body, ctx, out);
        self.forget_sections(dropped);
        self.wake(kept, happened, ctx, out);
        for fragment in &told {
            self.take_in(kept, fragment, found::read(fragment), ctx, out);
        }
        kept
    }

    /// The sections of a host, as its agent would send them whole.
    fn retell(&self, host: CiId, agent: &str) -> Vec<Fragment> {
        let Some(marks) = self.get(host).map(|ci| &ci.sections) else { return Vec::new() };
        let named = |section: &str| {
            let here = self.all_on(host).filter(|ci| ci.named_by.contains_key(section));
            here.map(|ci| self.retell_item(ci, section)).collect()
        };
        let fragment = |(section, mark): (&String, &super::SectionMark)| Fragment {
            agent: agent.to_owned(),
            section: section.clone(),
            whole: true,
            items: named(section),
            gone: Vec::new(),
            happened_at: mark.happened_at,
        };
        marks.iter().map(fragment).collect()
    }

    fn retell_item(&self, ci: &Ci, section: &str) -> FoundItem {
        let said = ci.attributes.iter().filter(|(_, held)| held.source == Source::Agent);
        let said = said.map(|(name, held)| (name.clone(), held.value.to_string()));
        let measured = ci.measurements.iter().map(|(name, measured)| (name.clone(), measured.value.to_string()));
        let held = self.relations_from(ci.id).filter(|r| r.kind != RelationKind::RunsOn && r.claims.contains(section));
        let to = held.filter_map(|r| self.get(r.to).map(|to| (r.kind, to.class, to.key.clone())));
        let wanted =
            ci.wants.iter().filter(|want| want.by == section).map(|want| (want.kind, want.class, want.key.clone()));
        let words = |(kind, class, key): (RelationKind, Class, String)| (kind.to_string(), class.to_string(), key);
        FoundItem {
            class: ci.class.to_string(),
            key: ci.key.clone(),
            attributes: said.chain(measured).collect(),
            relations: to.chain(wanted).map(words).collect(),
        }
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

    /// A host whose agent speaks is in use.
    fn wake(&mut self, host: CiId, happened: Millis, ctx: &Context<'_>, out: &mut Outcome) {
        let Some(known) = self.get(host) else { return };
        let from = known.lifecycle;
        if from == Lifecycle::InUse {
            return;
        }
        let agent = known.agent.clone().unwrap_or_default();
        let reason = Reason::new("seen", format!("the agent {agent} is here"));
        let body = CmdbFact::Lifecycle { ci: host, from, to: Lifecycle::InUse, also: Vec::new() };
        self.decide(host, happened, Actor::Agent(agent), vec![reason], body, ctx, out);
    }

    /// One more fact: taken into the graph, and into the outcome.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a fact, each said once")]
    pub(super) fn decide(
        &mut self,
        subject: CiId,
        happened_at: Millis,
        actor: Actor,
        reasons: Vec<Reason>,
        body: CmdbFact,
        ctx: &Context<'_>,
        out: &mut Outcome,
    ) {
        self.take(&body, When { happened: happened_at, learned: ctx.at });
        let (subject, body) = (Subject::Ci(subject), FactBody::Cmdb(body));
        out.facts.push(Fact { happened_at, subject, actor, reasons, body });
    }

    pub(super) fn finish(&mut self, mut out: Outcome) -> Outcome {
        out.changed = self.take_touched();
        out
    }

    /// What agents said of a host is no measure for what they say next: all of it is new then.
    pub(super) fn forget_sections(&mut self, host: CiId) {
        let ids: Vec<CiId> = self.all_on(host).map(|ci| ci.id).chain([host]).collect();
        for id in ids {
            self.edit(id, |ci| {
                ci.sections.clear();
                ci.named_by.clear();
                ci.wants.clear();
            });
        }
    }
}

/// An agent's messages are in order, its clock need not be: what came later happened no earlier.
fn not_before(happened: Millis, before: Option<Millis>) -> (Millis, Option<Reason>) {
    match before {
        Some(before) if before > happened => {
            let by = before.since(happened);
            let sentence = format!("the agent's clock says {by} ms before the section it follows; taken as of then");
            (before, Some(Reason::new("time", sentence)))
        }
        _ => (happened, None),
    }
}

/// The host with what it now says of itself, as far as its attributes take it.
fn as_told(known: &Ci, found: &Found<'_>) -> Ci {
    let mut told = known.clone();
    for (schema, text) in found.state() {
        if let Some(change) = section::change(known, schema, text) {
            let held = change.to.map(|value| super::Held {
                value,
                source: Source::Agent,
                happened_at: Millis::default(),
                learned_at: Millis::default(),
            });
            told.attributes.extend(held.map(|held| (change.name, held)));
        }
    }
    told.identifiers = identify::identifiers_of(&told);
    told
}

fn agent_of(fragment: &Fragment) -> Actor {
    Actor::Agent(fragment.agent.clone())
}

fn label_reason(name: &str) -> Reason {
    Reason::new("label", format!("an agent was enrolled with the label service=\"{name}\""))
}
