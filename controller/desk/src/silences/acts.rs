//! People set silences and end them.

use serde_json::{Value, json};
use watchkeep_rules::selector::{Selector, anchored};

use super::record::setting_of;
use super::suppress;
use super::{Silence, SilenceFact, SilenceState};
use crate::ids::{SilenceId, derive};
use crate::work::Work;
use crate::{Actor, FactBody, Millis, Refusal, Subject, TimerKind};

/// Silences that are kept, expired ones included.
const SILENCES_MAX: usize = 1_000;
/// An expired silence is shown for so long, ms.
const SHOWN: i64 = 5 * 24 * 60 * 60_000;

/// A silence as a person asks for it.
pub(crate) struct Wanted<'a> {
    /// The one to change.
    pub silence: Option<SilenceId>,
    pub matchers: &'a Selector,
    pub starts_at: Millis,
    pub ends_at: Millis,
    pub author: &'a str,
    pub comment: &'a str,
}

/// Sets a silence, or changes one: where its matchers stay, that very one; else it ends and another takes its place.
pub(crate) fn set(work: &mut Work<'_>, who: &str, wanted: &Wanted<'_>) -> Result<(), Refusal> {
    check(work, wanted)?;
    let known = match wanted.silence {
        Some(id) => Some(known(work, id)?),
        None => None,
    };
    let at = work.at;
    let same =
        known.as_ref().filter(|known| known.matchers == *wanted.matchers && known.state(at) != SilenceState::Expired);
    let silence = Silence {
        id: same.map_or_else(|| SilenceId(derive("silence", &[&work.input.order.to_be_bytes()])), |known| known.id),
        matchers: wanted.matchers.clone(),
        // What has begun keeps its beginning; nothing begins in the past.
        starts_at: match same {
            Some(known) if known.state(at) == SilenceState::Active => known.starts_at,
            _ => wanted.starts_at.max(at),
        },
        ends_at: wanted.ends_at,
        author: wanted.author.to_owned(),
        by: who.to_owned(),
        comment: wanted.comment.to_owned(),
        updated_at: at,
    };
    let is_change = same.is_some();
    let before = known.filter(|known| !is_change && known.state(at) != SilenceState::Expired);
    if !is_change && work.desk.silences.len() >= SILENCES_MAX {
        let sentence =
            format!("{SILENCES_MAX} silences are kept already; let some expire, or make one that takes more");
        return Err(Refusal::new("guard", sentence));
    }
    put(work, silence.clone());
    let actor = Actor::Person(who.to_owned());
    let (id, instead_of) = (silence.id, before.as_ref().map(|before| before.id));
    let fact = if is_change { SilenceFact::Changed { silence } } else { SilenceFact::Set { silence, instead_of } };
    tell(work, id, actor.clone(), fact);
    if let Some(before) = before {
        end(work, before, actor, format!("silence {id} takes its place"));
    }
    // A changed one may take less than before.
    suppress::release(work, id);
    Ok(())
}

/// Ends a silence now.
pub(crate) fn expire(work: &mut Work<'_>, who: &str, id: SilenceId, note: &str) -> Result<(), Refusal> {
    let silence = known(work, id)?;
    if silence.state(work.at) == SilenceState::Expired {
        return Err(Refusal::new("not_allowed_in_state", format!("silence {id} has expired already")));
    }
    end(work, silence, Actor::Person(who.to_owned()), note.to_owned());
    suppress::release(work, id);
    Ok(())
}

/// The timer of a silence is due: its end, or the end of its being shown.
pub(crate) fn ended(work: &mut Work<'_>, id: SilenceId) {
    let Some(silence) = work.desk.silences.get(&id) else { return };
    let over_for = work.at.since(silence.ends_at);
    if over_for >= SHOWN {
        work.desk.silences.remove(&id);
        work.set_setting(&setting_of(id), Value::Null);
        return;
    }
    if over_for == 0 {
        tell(work, id, Actor::Controller, SilenceFact::Ended);
    }
    let ends_at = silence_end(work, id);
    work.set_timer(ends_at.plus(SHOWN), TimerKind::SilenceEnds { silence: id });
    suppress::release(work, id);
}

fn silence_end(work: &Work<'_>, id: SilenceId) -> Millis {
    work.desk.silences.get(&id).map_or(work.at, |silence| silence.ends_at)
}

fn end(work: &mut Work<'_>, mut silence: Silence, actor: Actor, note: String) {
    let (id, at) = (silence.id, work.at);
    silence.starts_at = silence.starts_at.min(at);
    silence.ends_at = at;
    silence.updated_at = at;
    put(work, silence);
    work.clear_timer(&TimerKind::SilenceEnds { silence: id });
    work.set_timer(at.plus(SHOWN), TimerKind::SilenceEnds { silence: id });
    tell(work, id, actor, SilenceFact::Expired { note });
}

fn put(work: &mut Work<'_>, silence: Silence) {
    let timer = TimerKind::SilenceEnds { silence: silence.id };
    work.clear_timer(&timer);
    work.set_timer(silence.ends_at, timer);
    work.set_setting(&setting_of(silence.id), json!(silence));
    work.desk.silences.insert(silence.id, silence);
}

fn known(work: &Work<'_>, id: SilenceId) -> Result<Silence, Refusal> {
    let unknown = || Refusal::new("unknown", format!("no silence {id} is known; `amtool silence query` lists them"));
    work.desk.silences.get(&id).cloned().ok_or_else(unknown)
}

fn check(work: &Work<'_>, wanted: &Wanted<'_>) -> Result<(), Refusal> {
    let invalid = |sentence: String| Err(Refusal::new("invalid", sentence));
    for matcher in wanted.matchers.matchers.iter().filter(|matcher| matcher.op.is_pattern()) {
        if let Err(why) = anchored(&matcher.value) {
            return invalid(format!("the pattern \"{}\" for label {}: {why}", matcher.value, matcher.label));
        }
    }
    if wanted.matchers.takes_everything() {
        return invalid("it would take every alert; at least one matcher must refuse the empty text".to_owned());
    }
    if wanted.ends_at <= wanted.starts_at || wanted.ends_at <= work.at {
        return invalid("it ends before it begins, or has ended already; name an end in the future".to_owned());
    }
    let longest = work.config.settings.silence_at_most;
    if wanted.ends_at.since(wanted.starts_at.max(work.at)) > longest {
        let longest = crate::time::spoken(longest);
        return invalid(format!("it lasts longer than {longest}, which `silence_at_most` of the settings allows"));
    }
    match [("an author", wanted.author), ("a comment", wanted.comment)].iter().find(|(_, text)| text.trim().is_empty())
    {
        Some((what, _)) => {
            Err(Refusal::new("missing", format!("a silence needs {what}: others must know whose it is")))
        }
        None => Ok(()),
    }
}

fn tell(work: &mut Work<'_>, id: SilenceId, actor: Actor, fact: SilenceFact) {
    work.tell(Subject::Silence(id), actor, Vec::new(), FactBody::Silence(fact));
}
