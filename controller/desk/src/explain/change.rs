//! What happens to changes, as sentences.

use crate::changes::ChangeFact;

pub(super) fn sentence(fact: &ChangeFact) -> String {
    match fact {
        ChangeFact::Opened { kind, template, title, run, .. } => {
            format!("{kind} change from template {template} opened for {run}: {title}")
        }
        ChangeFact::Moved { from, to, .. } => {
            format!("{} is now {}", from.word().replace('_', " "), to.word().replace('_', " "))
        }
        ChangeFact::Measured { good: true, why } => format!("it did good: {why}"),
        ChangeFact::Measured { good: false, why } => format!("it did no good: {why}"),
    }
}
