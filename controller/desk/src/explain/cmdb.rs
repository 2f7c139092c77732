//! What happens to configuration items, as sentences.

use super::short;
use crate::cmdb::facts::{Added, Changed, Conflict, ConflictKind, Edge, Match, Named, SectionFact, Side};
use crate::cmdb::{AttributeChange, CmdbFact, Value, Verdict};

/// Items, attributes or identifiers named in one sentence; of further ones only the number is said.
const NAMED_MOST: usize = 5;

pub(super) fn sentence(fact: &CmdbFact) -> String {
    match fact {
        CmdbFact::Registered { item, .. } => format!("{} {} came into the CMDB", item.class.word(), item.key),
        CmdbFact::Section(section) => of_section(section),
        CmdbFact::Set { changes, .. } => listed(changes, attribute),
        CmdbFact::Lifecycle { from, to, also, .. } => {
            let with = if also.is_empty() { String::new() } else { format!(", with {} things on it", also.len()) };
            format!("went from {} to {}{with}", spaced(from.word()), spaced(to.word()))
        }
        CmdbFact::Related { edge, .. } => format!("a relation came: {}", relation(edge)),
        CmdbFact::Unrelated { edge } => format!("a relation went: {}", relation(edge)),
        CmdbFact::Followed { came, went } => of_connections(came, went),
        CmdbFact::Judged { from, kind, to, verdict } => {
            let edge = Edge { from: *from, kind: *kind, to: *to, by: String::new() };
            let what = verdict.map_or("left to what is observed", Verdict::word);
            format!("a relation was {what}: {}", relation(&edge))
        }
        CmdbFact::Merged { kept, dropped, agent, matched, weight } => format!(
            "CI {} turned out to be CI {}, which lives on under agent {agent}: both have {} (weight {weight})",
            short(&dropped.to_string()),
            short(&kept.to_string()),
            listed(matched, identifier)
        ),
        CmdbFact::Conflict(conflict) => of_conflict(conflict),
        CmdbFact::ConflictEnded { with, over, .. } => {
            format!("the conflict with CI {} over {} {} is over", short(&with.to_string()), over.kind, over.value)
        }
    }
}

fn spaced(word: &str) -> String {
    word.replace('_', " ")
}

/// The first few in words, and how many more there are.
fn listed<T>(all: &[T], say: impl Fn(&T) -> String) -> String {
    let mut said: Vec<String> = all.iter().take(NAMED_MOST).map(say).collect();
    if all.len() > NAMED_MOST {
        said.push(format!("{} more", all.len() - NAMED_MOST));
    }
    said.join(", ")
}

fn of_section(section: &SectionFact) -> String {
    let came = |item: &Added| format!("{} {}", item.class.word(), item.key);
    let went = |item: &Named| format!("{} {}", item.class.word(), item.key);
    let mut said = Vec::new();
    let mut say = |what: &str, all: String| {
        if !all.is_empty() {
            said.push(format!("{what} {all}"));
        }
    };
    say("came:", listed(&section.added, came));
    say("changed:", listed(&section.changed, changed));
    say("went:", listed(&section.removed, went));
    say("relations came:", listed(&section.related, relation));
    say("relations went:", listed(&section.unrelated, relation));
    format!("section {} has {} items; {}", section.section, section.items, said.join("; "))
}

fn of_connections(came: &[Edge], went: &[Edge]) -> String {
    let parts = [("relations came", came), ("relations went", went)];
    let said = parts.iter().filter(|(_, edges)| !edges.is_empty());
    let said: Vec<String> = said.map(|(what, edges)| format!("{what}: {}", listed(edges, relation))).collect();
    format!("by connections between hosts {}", said.join("; "))
}

fn changed(item: &Changed) -> String {
    let back = item.back_from.map(|from| format!("is back from {}", spaced(from.word())));
    let attributes = (!item.attributes.is_empty()).then(|| listed(&item.attributes, attribute));
    let what: Vec<String> = back.into_iter().chain(attributes).collect();
    format!("{} {} ({})", item.class.word(), item.key, what.join(", "))
}

fn attribute(change: &AttributeChange) -> String {
    let quoted = |value: &Value| format!("\"{value}\"");
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{} went from {} to {}", change.name, quoted(from), quoted(to)),
        (None, Some(to)) => format!("{} was set to {}", change.name, quoted(to)),
        (Some(from), None) => format!("{} is gone, which was {}", change.name, quoted(from)),
        (None, None) => format!("{} was looked at", change.name),
    }
}

fn relation(edge: &Edge) -> String {
    format!("CI {} {} CI {}", short(&edge.from.to_string()), edge.kind.word(), short(&edge.to.to_string()))
}

fn identifier(matched: &Match) -> String {
    format!("{} {}", matched.identifier.kind, matched.identifier.value)
}

fn of_conflict(conflict: &Conflict) -> String {
    let side = |side: &Side| {
        let live = if side.live { ", live" } else { "" };
        let agent = side.agent.as_ref().map_or_else(|| "no agent".to_owned(), |agent| format!("agent {agent}"));
        format!("{} ({agent}{live})", side.name)
    };
    let [here, there] = &conflict.sides;
    let what = match conflict.kind {
        ConflictKind::Clone => "both have it, as a cloned machine would",
        ConflictKind::Disagreement => "it says that they are one, and a more certain identifier that they are not",
        ConflictKind::Ambiguous => "identifiers point at both",
    };
    let differ = listed(&conflict.differ, |differ| {
        format!("{} is \"{}\" here and \"{}\" there", differ.kind, differ.here, differ.there)
    });
    let differ = if differ.is_empty() { String::new() } else { format!("; {differ}") };
    let (kind, value) = (&conflict.over.kind, &conflict.over.value);
    format!(
        "{kind} {value} is in conflict between {} and {}: {what}{differ}; nothing was merged",
        side(here),
        side(there)
    )
}
