//! What happens to configuration items, as sentences.

use crate::cmdb::CmdbFact;

pub(super) fn sentence(fact: &CmdbFact) -> String {
    match fact {
        CmdbFact::Registered { item, .. } => format!("{} {} came into the CMDB", item.class.word(), item.key),
        CmdbFact::Section(section) => {
            let counts = [
                (section.added.len(), "came"),
                (section.changed.len(), "changed"),
                (section.removed.len(), "went"),
                (section.related.len(), "relations came"),
                (section.unrelated.len(), "relations went"),
            ];
            let said: Vec<String> =
                counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
            format!("section {} has {} items: {}", section.section, section.items, said.join(", "))
        }
        CmdbFact::Set { changes, .. } => format!("{} attributes were set", changes.len()),
        CmdbFact::Lifecycle { from, to, .. } => {
            format!("{} is now {}", from.word().replace('_', " "), to.word().replace('_', " "))
        }
        CmdbFact::Related { edge, .. } => format!("a relation came: {}", edge.kind.word()),
        CmdbFact::Unrelated { edge } => format!("a relation went: {}", edge.kind.word()),
        CmdbFact::Merged { agent, weight, .. } => {
            format!("two hosts turned out to be one, known by agent {agent} (weight {weight})")
        }
        CmdbFact::Conflict(_) => "identifiers disagree over which host this is; nothing was merged".to_owned(),
        CmdbFact::ConflictEnded { over, .. } => format!("the conflict over {} {} is over", over.kind, over.value),
    }
}
