//! A person's word on what depends on what.

use super::facts::CmdbFact;
use super::graph::{Context, Graph, Outcome, RelationKey};
use super::life::{refusal, unknown};
use super::relations::{RelationKind, Verdict};
use crate::ids::CiId;
use crate::{Actor, Reason, Refusal};

impl Graph {
    /// Pins or denies that `from` depends on `to`, whatever connections show; or takes that word back (none).
    ///
    /// Refused: an unknown item (`unknown`), an item and itself (`invalid`), no note (`missing`), and where it stands so
    /// already (`not_allowed_in_state`).
    pub fn judge(
        &mut self,
        (from, to): (CiId, CiId),
        verdict: Option<Verdict>,
        who: &str,
        note: &str,
        ctx: &Context<'_>,
    ) -> Result<Outcome, Refusal> {
        for ci in [from, to] {
            self.get(ci).ok_or_else(|| unknown(ci))?;
        }
        let key = (from, RelationKind::DependsOn, to);
        let (one, other) = (self.describe(from), self.describe(to));
        if from == to {
            return Err(refusal("invalid", format!("{one} cannot depend on itself")));
        }
        if note.trim().is_empty() {
            let sentence = "say why in a note: what depends on what decides priorities and problems";
            return Err(refusal("missing", sentence.to_owned()));
        }
        let stands = self.relation(key).and_then(|relation| relation.verdict);
        if stands == verdict {
            let how = verdict.map_or("neither pinned nor denied", |verdict| match verdict {
                Verdict::Pinned => "pinned already",
                Verdict::Denied => "denied already",
            });
            return Err(refusal("not_allowed_in_state", format!("that {one} depends on {other} is {how}")));
        }
        let mut out = Outcome::default();
        let reasons = vec![Reason::new("hand", note), Reason::new("relation", self.stands(key))];
        let body = CmdbFact::Judged { from, kind: key.1, to, verdict };
        self.decide(from, ctx.at, Actor::Person(who.to_owned()), reasons, body, ctx, &mut out);
        Ok(self.finish(out))
    }

    /// How a relation stood before somebody judged it.
    fn stands(&self, key: RelationKey) -> String {
        let words = self.words(key);
        match self.relation(key) {
            Some(relation) if relation.until.is_none() => format!("it was so: {words}"),
            Some(relation) if !relation.claims.is_empty() => format!("it was observed and denied: {words}"),
            _ => format!("it was not so: {words}"),
        }
    }
}
