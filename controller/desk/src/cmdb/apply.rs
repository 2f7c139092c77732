//! A fragment of an agent's inventory, taken in; and how any conclusion becomes a fact.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::Lifecycle;
use super::classes::Class;
use super::facts::{Added, CmdbFact};
use super::found::{self, Reading};
use super::graph::{Context, Graph, Outcome};
use super::relations::{Source, When};
use super::{links, section};
use crate::fact::FactBody;
use crate::ids::{CiId, derive};
use crate::input::Fragment;
use crate::{Actor, Fact, Millis, Reason, Subject, Timer, TimerKind};

impl Graph {
    /// Takes in what an agent found of one section of its host.
    ///
    /// One fact for the section with its difference, whatever the number of items; none where nothing changed. Facts of
    /// identification come before it. Nothing in a fragment is an error: what fits no class is left out, and said.
    pub fn apply_fragment(&mut self, fragment: &Fragment, ctx: &Context<'_>) -> Outcome {
        let mut out = Outcome::default();
        let host = self.host_for(&fragment.agent, fragment.happened_at, ctx, &mut out);
        let before = self.addresses_of(host);
        if fragment.section == links::SECTION {
            self.wake(host, fragment.happened_at, ctx, &mut out);
            self.take_links(host, fragment, ctx, &mut out);
            self.follow(host, before, ctx, &mut out);
            self.note(host, |ci| ci.last_seen = ci.last_seen.max(ctx.at));
            return self.finish(out);
        }
        let reading = found::read(fragment);
        let host = match reading.items.iter().find(|found| found.class == Class::Host && fragment.section == "host") {
            Some(found) => self.identify(host, found, fragment.happened_at, ctx, &mut out),
            None => host,
        };
        self.wake(host, fragment.happened_at, ctx, &mut out);
        self.take_in(host, fragment, reading, ctx, &mut out);
        if out.facts.iter().any(moves_links) {
            self.follow(host, before, ctx, &mut out);
        }
        self.note(host, |ci| ci.last_seen = ci.last_seen.max(ctx.at));
        self.finish(out)
    }

    /// What a message comes to, taken in.
    pub(super) fn take_in(
        &mut self,
        host: CiId,
        fragment: &Fragment,
        mut reading: Reading<'_>,
        ctx: &Context<'_>,
        out: &mut Outcome,
    ) {
        let Some(known) = self.get(host) else { return };
        let before = known.more().sections.get(&fragment.section).map(|mark| mark.happened_at);
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
    pub(super) fn host_for(&mut self, agent: &str, happened: Millis, ctx: &Context<'_>, out: &mut Outcome) -> CiId {
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

    /// A host whose agent speaks is in use.
    pub(super) fn wake(&mut self, host: CiId, happened: Millis, ctx: &Context<'_>, out: &mut Outcome) {
        let Some(known) = self.get(host) else { return };
        let from = known.lifecycle;
        if from == Lifecycle::InUse {
            return;
        }
        let agent = known.agent.as_deref().unwrap_or_default().to_owned();
        let reason = Reason::new("seen", format!("the agent {agent} is here"));
        let body = CmdbFact::Lifecycle { ci: host, from, to: Lifecycle::InUse, also: Vec::new() };
        self.decide(host, happened, Actor::Agent(agent), vec![reason], body, ctx, out);
        self.follow(host, BTreeSet::new(), ctx, out);
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
                if !ci.named_by.is_empty() {
                    ci.said_mut().named_by.clear();
                }
                let more = ci.more_mut();
                more.sections.clear();
                more.wants.clear();
            });
        }
    }
}

/// Whether what connections lead to may be another thing after it.
fn moves_links(fact: &Fact) -> bool {
    match &fact.body {
        FactBody::Cmdb(CmdbFact::Merged { .. }) => true,
        FactBody::Cmdb(CmdbFact::Section(section)) => match section.section.as_str() {
            "listener" | "interface" => true,
            // How units fare moves nothing.
            "service" => {
                let is_back = section.changed.iter().any(|changed| changed.back_from.is_some());
                is_back || !section.added.is_empty() || !section.removed.is_empty()
            }
            _ => false,
        },
        _ => false,
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

fn agent_of(fragment: &Fragment) -> Actor {
    Actor::Agent(fragment.agent.clone())
}
