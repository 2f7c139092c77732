//! What happens to changes, as sentences.

use crate::Subject;
use crate::changes::ChangeFact;

pub(super) fn sentence(subject: &Subject, fact: &ChangeFact) -> String {
    let change = super::subject(subject);
    match fact {
        ChangeFact::Opened { kind, template, title, run, .. } => {
            format!("{change} opened for {run}, a {kind} change from template {template}: {title}")
        }
        ChangeFact::Moved { from, to, .. } => {
            format!("{change} went from {} to {}", from.word().replace('_', " "), to.word().replace('_', " "))
        }
        ChangeFact::Measured { good: true, why } => format!("{change} did good: {why}"),
        ChangeFact::Measured { good: false, why } => format!("{change} did no good: {why}"),
    }
}
