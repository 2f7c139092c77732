//! Coming to an end: hosts unseen, things long gone, what people set and take out.

use std::collections::BTreeSet;

use super::ci::{Ci, Lifecycle};
use super::classes::Class;
use super::compare::admits;
use super::facts::{AttributeChange, CmdbFact};
use super::graph::{Context, Graph, Outcome};
use super::relations::Source;
use crate::ids::CiId;
use crate::{Actor, Reason, Refusal, Timer, TimerKind};

impl Graph {
    /// The agent has been away for `missing_after`: its host is missing. What is on it stays as last seen.
    pub fn lost(&mut self, agent: &str, ctx: &Context<'_>) -> Outcome {
        let mut out = Outcome::default();
        let here = self.host_of(agent).filter(|host| host.lifecycle == Lifecycle::InUse);
        let Some((ci, last_seen)) = here.map(|host| (host.id, host.last_seen)) else { return out };
        let reason = Reason::new("unseen", format!("nothing came from the agent {agent} for too long"));
        let body = CmdbFact::Lifecycle { ci, from: Lifecycle::InUse, to: Lifecycle::Missing, also: Vec::new() };
        self.decide(ci, ctx.at.max(last_seen), Actor::Controller, vec![reason], body, ctx, &mut out);
        let due = ctx.at.plus(ctx.settings.retired_after);
        out.timers.push(Timer { due, kind: TimerKind::CiUnseen { ci } });
        if self.get(ci).is_some_and(|host| !host.more().links.is_empty()) {
            let due = ctx.at.plus(ctx.settings.relation_unseen_after);
            out.timers.push(Timer { due, kind: TimerKind::CiUnseen { ci } });
        }
        self.finish(out)
    }

    /// A timer of that host fell due: it is retired if it has been missing for `retired_after`, and so is each thing on it; and
    /// what follows from a connection unseen for `relation_unseen_after` ends.
    /// Safe to call at any time.
    pub fn due(&mut self, host: CiId, ctx: &Context<'_>) -> Outcome {
        let mut out = Outcome::default();
        let is_over = |ci: &Ci| {
            ci.lifecycle == Lifecycle::Missing && ctx.at.since(ci.lifecycle_since.learned) >= ctx.settings.retired_after
        };
        let days = ctx.settings.retired_after / 86_400_000;
        let reasons = vec![Reason::new("unseen", format!("unseen for {days} days"))];
        if self.get(host).is_some_and(is_over) {
            self.retire_all(host, Actor::Controller, reasons, ctx, &mut out);
            return self.finish(out);
        }
        let mut over: Vec<CiId> = self.all_on(host).filter(|ci| is_over(ci)).map(|ci| ci.id).collect();
        if !over.is_empty() {
            let (ci, also) = (over.remove(0), over);
            let body = CmdbFact::Lifecycle { ci, from: Lifecycle::Missing, to: Lifecycle::Retired, also };
            self.decide(host, ctx.at, Actor::Controller, reasons, body, ctx, &mut out);
        }
        self.follow(host, BTreeSet::new(), ctx, &mut out);
        self.finish(out)
    }

    /// Takes an item out by hand, with all that is on it.
    ///
    /// Refused: what is not known (`unknown`), what is retired already or spoken for by a live agent (`not_allowed_in_state`).
    pub fn retire(&mut self, ci: CiId, who: &str, note: &str, ctx: &Context<'_>) -> Result<Outcome, Refusal> {
        let known = self.get(ci).ok_or_else(|| unknown(ci))?;
        let what = self.describe(ci);
        if !known.is_current() {
            let sentence = format!("{what} is {} already", known.lifecycle.word());
            return Err(refusal("not_allowed_in_state", sentence));
        }
        let is_seen = known.lifecycle == Lifecycle::InUse;
        if let Some(agent) = known.agent.as_deref().filter(|agent| is_seen && (ctx.live)(agent)) {
            let sentence = format!(
                "{what} is seen by the live agent {agent}, which would bring it back: stop or revoke the agent first"
            );
            return Err(refusal("not_allowed_in_state", sentence));
        }
        let mut out = Outcome::default();
        self.retire_all(ci, Actor::Person(who.to_owned()), vec![Reason::new("hand", note)], ctx, &mut out);
        Ok(self.finish(out))
    }

    fn retire_all(&mut self, ci: CiId, actor: Actor, reasons: Vec<Reason>, ctx: &Context<'_>, out: &mut Outcome) {
        let Some(from) = self.get(ci).map(|known| known.lifecycle) else { return };
        let also = self.all_on(ci).filter(|on_it| on_it.is_current()).map(|on_it| on_it.id).collect();
        let body = CmdbFact::Lifecycle { ci, from, to: Lifecycle::Retired, also };
        let host = self.get(ci).map_or(ci, |known| known.host.unwrap_or(ci));
        let before = self.addresses_of(host);
        self.decide(ci, ctx.at, actor, reasons, body, ctx, out);
        self.forget_sections(ci);
        self.follow(host, before, ctx, out);
        if let Some(host) = self.get(ci).and_then(|known| known.host) {
            // Should its agent name it still, it is to be noticed.
            self.note(host, |host| host.more_mut().sections.clear());
        }
    }

    /// Sets an attribute by hand or import.
    ///
    /// Refused: an unknown item (`unknown`), an attribute that its class does not have or a value that does not fit
    /// (`invalid`), one that a source of higher rank holds (`not_allowed_in_state`).
    pub fn set(
        &mut self,
        ci: CiId,
        (name, text): (&str, &str),
        (source, who): (Source, &str),
        note: &str,
        ctx: &Context<'_>,
    ) -> Result<Outcome, Refusal> {
        let known = self.get(ci).ok_or_else(|| unknown(ci))?;
        let what = self.describe(ci);
        let Some(schema) = known.class.schema().attribute(name) else {
            let names: Vec<_> = known.class.schema().attributes.iter().map(|attribute| attribute.name).collect();
            let sentence =
                format!("{what} has no attribute \"{name}\"; class {} has {}", known.class, names.join(", "));
            return Err(refusal("invalid", sentence));
        };
        let to = schema.kind.read(text).map_err(|why| refusal("invalid", format!("{what}: {name}: {why}")))?;
        let held = known.held(name);
        if let Some(held) = held.filter(|held| !admits(known, schema, *held, source)) {
            let sentence =
                format!("{name} of {what} is \"{}\" by a source of higher rank ({})", held.value, held.source.word());
            return Err(refusal("not_allowed_in_state", sentence));
        }
        let from = held.map(|held| held.value.clone());
        let mut out = Outcome::default();
        if from.as_ref() != Some(&to) {
            let changes = vec![AttributeChange { name: name.to_owned(), from, to: Some(to) }];
            let (actor, reasons) = (Actor::Person(who.to_owned()), vec![Reason::new("hand", note)]);
            self.decide(ci, ctx.at, actor, reasons, CmdbFact::Set { ci, source, changes }, ctx, &mut out);
        }
        Ok(self.finish(out))
    }

    /// When an item was last seen: a view. What is on a host that is in use was seen when the host was.
    pub fn last_seen(&self, ci: CiId) -> Option<crate::Millis> {
        let ci = self.get(ci)?;
        let host = ci.host.and_then(|host| self.get(host)).filter(|_| ci.lifecycle == Lifecycle::InUse);
        Some(host.map_or(ci.last_seen, |host| host.last_seen.max(ci.last_seen)))
    }

    /// What an item is, in a few words: `service_unit nginx.service on web-1`.
    pub fn describe(&self, ci: CiId) -> String {
        let Some(known) = self.get(ci) else { return format!("the unknown item {ci}") };
        match known.host.and_then(|host| self.get(host)).filter(|_| known.class != Class::Host) {
            Some(host) => format!("{} {} on {}", known.class, known.name, host.name),
            None => format!("{} {}", known.class, known.name),
        }
    }
}

pub(super) fn unknown(ci: CiId) -> Refusal {
    refusal("unknown", format!("there is no configuration item {ci}"))
}

pub(super) fn refusal(code: &str, sentence: String) -> Refusal {
    Refusal { code: code.to_owned(), sentence }
}
