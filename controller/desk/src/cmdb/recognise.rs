//! A host that says who it is: recognised, told apart, or found to be another.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::{Ci, Dispute};
use super::facts::{CmdbFact, Match};
use super::found::{self, Found};
use super::graph::{Context, Graph, Outcome};
use super::identify::{self, Verdict};
use super::relations::{RelationKind, Source, When};
use super::{Class, compare};
use crate::ids::CiId;
use crate::input::{FoundItem, Fragment};
use crate::{Actor, Millis, Reason};

impl Graph {
    /// Which host it is, now that it says of itself; the id of the one that goes on.
    pub(super) fn identify(
        &mut self,
        host: CiId,
        found: &Found<'_>,
        happened: Millis,
        ctx: &Context<'_>,
        out: &mut Outcome,
    ) -> CiId {
        let Some(known) = self.get(host) else { return host };
        let is_fresh = !known.more().sections.contains_key("host");
        let told = as_told(known, found);
        let verdict = identify::judge(self, &told, &told.more().identifiers, is_fresh, ctx);
        let settled = identify::settled(known, &verdict);
        let actor = Actor::Agent(known.agent.as_deref().unwrap_or_default().to_owned());
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
            if self.get(host).is_some_and(|ci| ci.more().conflicts.contains(&dispute)) {
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
        let body = CmdbFact::Merged { kept, dropped, agent: agent.to_string(), matched: matched.to_vec(), weight };
        self.decide(kept, happened, Actor::Agent(agent.to_string()), reasons, body, ctx, out);
        self.forget_sections(dropped);
        self.move_links(dropped, kept, ctx, out);
        self.wake(kept, happened, ctx, out);
        for fragment in &told {
            self.take_in(kept, fragment, found::read(fragment), ctx, out);
        }
        kept
    }

    /// The connections of a host that turned out to be another are that one's.
    fn move_links(&mut self, dropped: CiId, kept: CiId, ctx: &Context<'_>, out: &mut Outcome) {
        self.follow(dropped, BTreeSet::new(), ctx, out);
        let mut theirs = BTreeMap::new();
        self.edit(dropped, |ci| theirs = std::mem::take(&mut ci.more_mut().links));
        self.edit(kept, |ci| ci.more_mut().links.extend(theirs));
    }

    /// The sections of a host, as its agent would send them whole.
    fn retell(&self, host: CiId, agent: &str) -> Vec<Fragment> {
        let Some(marks) = self.get(host).map(|ci| &ci.more().sections) else { return Vec::new() };
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
        let said = ci.attributes().filter(|(_, held)| held.source == Source::Agent);
        let said = said.map(|(name, held)| (name.to_owned(), held.value.to_string()));
        let measured = ci.measurements.iter().map(|(name, measured)| (name.to_owned(), measured.value.to_string()));
        let held = self.relations_from(ci.id).filter(|r| r.kind != RelationKind::RunsOn && r.claims.contains(section));
        let to = held.filter_map(|r| self.get(r.to).map(|to| (r.kind, to.class, to.key.clone())));
        let wanted = ci
            .more()
            .wants
            .iter()
            .filter(|want| want.by == section)
            .map(|want| (want.kind, want.class, want.key.clone()));
        let words = |(kind, class, key): (RelationKind, Class, String)| (kind.to_string(), class.to_string(), key);
        FoundItem {
            class: ci.class.to_string(),
            key: ci.key.clone(),
            attributes: said.chain(measured).collect(),
            relations: to.chain(wanted).map(words).collect(),
        }
    }
}

/// The host with what it now says of itself, as far as its attributes take it.
fn as_told(known: &Ci, found: &Found<'_>) -> Ci {
    let mut told = known.clone();
    for (schema, text) in found.state() {
        let change = compare::change(known, schema, text);
        if let Some((name, value)) = change.and_then(|change| Some((change.name, change.to?))) {
            told.hold(&name, value, Source::Agent, When::default());
        }
    }
    told.more_mut().identifiers = identify::identifiers_of(&told);
    told
}
