//! What silences hold back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SilenceFact;
use crate::ids::{NoticeId, SilenceId, derive};
use crate::incidents::{self, AlertStanding};
use crate::input::{AlertChange, AlertState};
use crate::problems;
use crate::work::Work;
use crate::{Actor, Desk, FactBody, Millis, Reason, Subject, TimerKind};

/// What the setting of an alert that is held back begins with; a digest of its identity follows.
const PREFIX: &str = "suppressed/";
/// Alerts held back at most; further ones go their way, so that nothing is forgotten in silence.
const HELD_MAX: usize = 10_000;
/// Alerts released in one decision.
const RELEASED_AT_ONCE: usize = 500;

/// An alert that is held back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suppressed {
    pub alert: AlertChange,
    pub since: Millis,
    /// The silence that held it back first.
    pub by: SilenceId,
}

/// The silences that take an alert with these labels, by id.
pub fn silenced_by(desk: &Desk, labels: &BTreeMap<String, String>, at: Millis) -> Vec<SilenceId> {
    desk.silences.values().filter(|silence| silence.takes(labels, at)).map(|silence| silence.id).collect()
}

/// All alerts that are held back.
pub fn suppressed(desk: &Desk) -> impl Iterator<Item = Suppressed> {
    held(desk).filter_map(|(_, value)| serde_json::from_value(value.clone()).ok())
}

fn held(desk: &Desk) -> impl Iterator<Item = (&String, &Value)> {
    desk.settings.range(PREFIX.to_owned()..).take_while(|(name, _)| name.starts_with(PREFIX))
}

fn setting_of(alert: &AlertChange) -> String {
    let identity = json!([alert.rule, alert.labels]).to_string();
    format!("{PREFIX}{}", NoticeId(derive("alert", &[identity.as_bytes()])))
}

/// Whether this transition goes no further, because a silence takes the alert. What is a `member` of an open incident goes on
/// as it did before the silence.
pub(crate) fn holds_back(work: &mut Work<'_>, alert: &AlertChange, member: bool) -> bool {
    if work.desk.silences.is_empty() {
        return false;
    }
    let name = setting_of(alert);
    let was = work.desk.settings.get(&name).and_then(|value| serde_json::from_value::<Suppressed>(value.clone()).ok());
    let by = silenced_by(work.desk, &alert.labels, work.at).first().copied();
    match (alert.state, was, by) {
        (AlertState::Firing, Some(_), Some(_)) => true,
        (AlertState::Firing, Some(_), None) => {
            work.set_setting(&name, Value::Null);
            false
        }
        (AlertState::Firing, None, Some(by)) if !member && held(work.desk).take(HELD_MAX).count() < HELD_MAX => {
            let kept = Suppressed { alert: alert.clone(), since: work.at, by };
            work.set_setting(&name, json!(kept));
            let fired = SilenceFact::Suppressed { rule: alert.rule.clone(), labels: alert.labels.clone() };
            tell(work, by, alert, incidents::identity(alert), fired);
            true
        }
        (AlertState::Resolved, Some(was), _) => {
            work.set_setting(&name, Value::Null);
            let cleared = SilenceFact::Cleared { rule: alert.rule.clone(), labels: alert.labels.clone() };
            tell(work, was.by, alert, Vec::new(), cleared);
            true
        }
        (AlertState::Stale, Some(_), _) => true,
        _ => false,
    }
}

/// Whether silences take all that fires of an incident, so that it pages nobody.
pub(crate) fn mutes(work: &Work<'_>, incident: &incidents::Incident) -> bool {
    if work.desk.silences.is_empty() {
        return false;
    }
    let mut firing = incident.alerts.iter().filter(|alert| alert.standing != AlertStanding::Cleared).peekable();
    firing.peek().is_some() && firing.all(|alert| !silenced_by(work.desk, &alert.labels, work.at).is_empty())
}

/// A silence takes less than before: what was held back and no silence takes any more goes its way, some at once and the
/// rest in the next decisions.
pub(crate) fn release(work: &mut Work<'_>, id: SilenceId) {
    let at = work.at;
    let free = suppressed(work.desk).filter(|kept| silenced_by(work.desk, &kept.alert.labels, at).is_empty());
    let free: Vec<Suppressed> = free.take(RELEASED_AT_ONCE).collect();
    if free.len() == RELEASED_AT_ONCE {
        work.set_timer(at, TimerKind::SilenceEnds { silence: id });
    }
    for Suppressed { alert, by, .. } in free {
        work.set_setting(&setting_of(&alert), Value::Null);
        let released = SilenceFact::Released { rule: alert.rule.clone(), labels: alert.labels.clone() };
        tell(
            work,
            by,
            &alert,
            vec![Reason::new("silence", "it fires still, and no silence takes it any more")],
            released,
        );
        incidents::alert(work, &alert);
    }
    incidents::unmuted(work);
    problems::unmuted(work);
}

fn tell(work: &mut Work<'_>, id: SilenceId, alert: &AlertChange, reasons: Vec<Reason>, fact: SilenceFact) {
    work.tell(Subject::Silence(id), Actor::Rule(alert.rule.clone()), reasons, FactBody::Silence(fact));
}
