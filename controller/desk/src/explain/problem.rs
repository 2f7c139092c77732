//! What happens to problems, as sentences.

use super::{noted, receiver, short};
use crate::ids::IncidentId;
use crate::problems::{self, Candidate, Link, ProblemFact, ProblemOpening};
use crate::{Fact, FactBody};

/// Incidents named in one sentence.
const NAMED_MOST: usize = 10;

/// Links of one incident that its story shows, the strongest.
const LINKS_SHOWN: usize = 3;

/// A fact of a problem as it belongs in the story of one of its incidents: how the problem began, what took the incident in
/// or out, what people did with the problem, and what people were told; of the links, those of this incident. None for what
/// concerns other incidents alone, and for how causes were ranked: the problem's own story has that.
pub fn seen_from(incident: IncidentId, mut fact: Fact) -> Option<Fact> {
    let FactBody::Problem(body) = &fact.body else { return Some(fact) };
    let links = match body {
        ProblemFact::Opened(opening) => &opening.links,
        ProblemFact::Joined { incidents, links } if incidents.contains(&incident) => links,
        ProblemFact::TookIn { incidents, .. }
        | ProblemFact::Split { incidents, .. }
        | ProblemFact::GaveBack { incidents, .. }
        | ProblemFact::CameBack { incidents, .. }
            if incidents.contains(&incident) =>
        {
            return Some(fact);
        }
        ProblemFact::Merged { .. }
        | ProblemFact::Moved { .. }
        | ProblemFact::Assigned { .. }
        | ProblemFact::Told { .. } => return Some(fact),
        _ => return None,
    };
    // Without links a person's word or the recurrence of a key is the reason, and stays.
    if !links.is_empty() {
        let is_ours = |link: &&Link| link.a == incident || link.b == incident;
        let ours: Vec<Link> = links.iter().filter(is_ours).take(LINKS_SHOWN).cloned().collect();
        fact.reasons = problems::why(&ours);
    }
    Some(fact)
}

pub(super) fn sentence(fact: &ProblemFact) -> String {
    match fact {
        ProblemFact::Opened(opening) => opened(opening),
        ProblemFact::Joined { incidents, .. } => format!("{} joined", named(incidents)),
        ProblemFact::Ranked { title, candidates } => match candidates.first() {
            Some(_) => format!("{title}; what may be the cause: {}", causes(candidates)),
            None => format!("{title}; nothing is known that may be the cause"),
        },
        ProblemFact::PriorityChanged { from, to } => format!("priority went from P{from} to P{to}"),
        ProblemFact::TookIn { problem, incidents, note } => {
            format!("took in {problem} with {}{}", named(incidents), noted(note))
        }
        ProblemFact::Merged { into, note } => format!("became part of {into}{}", noted(note)),
        ProblemFact::Split { incidents, note } => format!("{} taken out{}", named(incidents), noted(note)),
        ProblemFact::GaveBack { problem, incidents, to, note } => {
            let to = to.word().replace('_', " ");
            format!("{problem} stands by itself again with {}; now {to}{}", named(incidents), noted(note))
        }
        ProblemFact::CameBack { from, incidents, to, note } => {
            let to = to.word().replace('_', " ");
            format!("came out of {from} again with {}: {to} as before{}", named(incidents), noted(note))
        }
        ProblemFact::Moved { action, to, workaround, note, .. } => {
            let workaround = workaround.as_ref().map(|text| format!(", workaround: {text}")).unwrap_or_default();
            let (action, to) = (action.word().replace('_', " "), to.word().replace('_', " "));
            format!("{action}: now {to}{workaround}{}", noted(note))
        }
        ProblemFact::Assigned { assignee, group, note } => {
            format!("assigned to {}{}", receiver(assignee.as_deref(), group.as_deref()), noted(note))
        }
        ProblemFact::Noted { note } => format!("note: {}", note.trim()),
        ProblemFact::Told { notice, why, group } => {
            let whom =
                group.as_ref().map_or_else(|| "everybody who listens".to_owned(), |group| format!("group {group}"));
            format!("one notice to {whom} is on its way: {} (notice {})", news(why), short(&notice.to_string()))
        }
    }
}

fn opened(opening: &ProblemOpening) -> String {
    let ProblemOpening { title, origin, priority, incidents, candidates, note, .. } = opening;
    let causes =
        if candidates.is_empty() { String::new() } else { format!("; what may be the cause: {}", causes(candidates)) };
    format!("opened by {origin} as P{priority} for {}: {title}{causes}{}", named(incidents), noted(note))
}

/// What a notice of a problem says, as a sentence.
fn news(why: &str) -> String {
    match why {
        "opened" => "the problem is new".to_owned(),
        "reopened" => "an incident of it opened again".to_owned(),
        "worse" => "it got worse".to_owned(),
        "another" => "another kind of failure joined it".to_owned(),
        "resolved" => "all its incidents are over".to_owned(),
        "incidents_over" => "all its incidents are over; the problem itself is not".to_owned(),
        other => other.replace('_', " "),
    }
}

fn named(incidents: &[IncidentId]) -> String {
    let named: Vec<String> = incidents.iter().take(NAMED_MOST).map(ToString::to_string).collect();
    match incidents.len().saturating_sub(NAMED_MOST) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn causes(candidates: &[Candidate]) -> String {
    let causes: Vec<&str> = candidates.iter().take(3).map(|one| one.what.as_str()).collect();
    causes.join(", or ")
}
