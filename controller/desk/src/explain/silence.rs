//! What happens to a silence, and what it holds back.

use super::noted;
use crate::incidents::spoken;
use crate::silences::{Silence, SilenceFact};
use crate::time;

pub(super) fn sentence(fact: &SilenceFact) -> String {
    match fact {
        SilenceFact::Set { silence, instead_of: None } => format!("{} was silenced{}", taken(silence), words(silence)),
        SilenceFact::Set { silence, instead_of: Some(before) } => {
            format!("{} was silenced in place of silence {before}{}", taken(silence), words(silence))
        }
        SilenceFact::Changed { silence } => format!("the silence of {} was changed{}", taken(silence), words(silence)),
        SilenceFact::Expired { note } => format!("the silence was ended{}", noted(note)),
        SilenceFact::Ended => "the silence is over".to_owned(),
        SilenceFact::Suppressed { rule, labels } => format!("{} fires and is held back", spoken(rule, labels)),
        SilenceFact::Cleared { rule, labels } => format!("{} was held back, and is over", spoken(rule, labels)),
        SilenceFact::Released { rule, labels } => format!("{} is held back no longer", spoken(rule, labels)),
    }
}

fn taken(silence: &Silence) -> String {
    let of = |matcher: &watchkeep_rules::selector::Matcher| {
        format!("{}{}{:?}", matcher.label, matcher.op.as_str(), matcher.value)
    };
    format!("{{{}}}", silence.matchers.matchers.iter().map(of).collect::<Vec<_>>().join(", "))
}

fn words(silence: &Silence) -> String {
    let length = time::spoken(silence.ends_at.since(silence.starts_at));
    format!(" for {length}, says {}{}", silence.author, noted(&silence.comment))
}
