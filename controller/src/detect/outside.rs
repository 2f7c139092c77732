//! Alerts that others make and send here, as a Prometheus sends them to its Alertmanager: which there are, and until when.
//!
//! A sender repeats what fires, about once a minute, and says until when it is to be believed; what it repeats changes nothing
//! but that. Only beginnings and ends become changes for the desk. A step function: what it returns is to be told the desk,
//! and [`Outside::told`] when that is durable; what was not is returned again, when it is sent again or by
//! [`Outside::expire`].

use std::collections::BTreeMap;

use serde_json::json;
use watchkeep_desk::Millis;
use watchkeep_desk::input::{AlertChange, AlertState, OUTSIDE};

/// Alerts that fire at the same time; further ones are refused.
pub const ALERTS_MAX: usize = 100_000;

pub type Labels = BTreeMap<String, String>;

/// One alert as it was sent. Instants are UTC milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    pub labels: Labels,
    pub annotations: Labels,
    /// None: now.
    pub starts_at: Option<i64>,
    /// None: when it was not sent again for as long as the settings say.
    pub ends_at: Option<i64>,
    /// Where it was made.
    pub source: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    annotations: Labels,
    starts_at: i64,
    ends_at: i64,
    source: String,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It fires; whether the desk knows.
    Firing { told: bool },
    /// It is over, and the desk does not know yet.
    Ended,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Outside {
    alerts: BTreeMap<Labels, Known>,
}

/// What follows from alerts that were sent.
#[derive(Debug, Default, PartialEq)]
pub struct Step {
    pub changes: Vec<AlertChange>,
    /// How many found no room.
    pub refused: usize,
}

impl Outside {
    /// An alert that the desk knows to fire, of a life before; it is believed for `timeout` from now.
    pub fn restore(&mut self, posted: Posted, now: i64, timeout: i64) {
        let starts_at = posted.starts_at.unwrap_or(now);
        let (ends_at, stage) = (now.saturating_add(timeout), Stage::Firing { told: true });
        let known = Known { annotations: posted.annotations, starts_at, ends_at, source: posted.source, stage };
        self.alerts.insert(posted.labels, known);
    }

    /// Takes what was sent. What names no end is over when it was not sent again for `timeout`, ms.
    pub fn post(&mut self, alerts: Vec<Posted>, now: i64, timeout: i64) -> Step {
        let mut step = Step::default();
        for posted in alerts {
            let is_full = self.alerts.len() >= ALERTS_MAX;
            let ends_at = posted.ends_at.unwrap_or_else(|| now.saturating_add(timeout));
            let is_firing = ends_at > now;
            match self.alerts.get_mut(&posted.labels) {
                Some(known) if is_firing => {
                    // What overlaps is one alert, as old as its oldest part.
                    known.starts_at = known.starts_at.min(posted.starts_at.unwrap_or(known.starts_at));
                    known.ends_at = ends_at;
                    known.annotations = posted.annotations;
                    known.source = posted.source;
                    if known.stage != (Stage::Firing { told: true }) {
                        known.stage = Stage::Firing { told: false };
                        step.changes.push(fires(&posted.labels, known));
                    }
                }
                Some(known) => {
                    known.ends_at = ends_at;
                    known.stage = Stage::Ended;
                    step.changes.push(is_over(&posted.labels, known, "its sender says that it is over"));
                }
                None if !is_firing => {}
                None if is_full => step.refused += 1,
                None => {
                    let starts_at = posted.starts_at.unwrap_or(now);
                    let (annotations, source) = (posted.annotations, posted.source);
                    let stage = Stage::Firing { told: false };
                    let known = Known { annotations, starts_at, ends_at, source, stage };
                    step.changes.push(fires(&posted.labels, &known));
                    self.alerts.insert(posted.labels, known);
                }
            }
        }
        step
    }

    /// What is over because its time is, and what was over before and could not be told.
    pub fn expire(&mut self, now: i64) -> Vec<AlertChange> {
        let mut changes = Vec::new();
        for (labels, known) in &mut self.alerts {
            if known.stage == Stage::Ended || known.ends_at <= now {
                known.stage = Stage::Ended;
                changes.push(is_over(labels, known, "its sender has not repeated it in time"));
            }
        }
        changes
    }

    /// The desk knows, durably, that this alert fires or is over.
    pub fn told(&mut self, labels: &Labels, state: AlertState) {
        let Some(known) = self.alerts.get_mut(labels) else { return };
        match (known.stage, state) {
            (Stage::Firing { .. }, AlertState::Firing) => known.stage = Stage::Firing { told: true },
            (Stage::Ended, AlertState::Resolved) => drop(self.alerts.remove(labels)),
            // It went on in the meantime; what follows from that is on its way.
            _ => {}
        }
    }

    /// Until when an alert is believed; none where it is not one of these.
    pub fn ends_at(&self, labels: &Labels) -> Option<i64> {
        self.alerts.get(labels).map(|known| known.ends_at)
    }

    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }
}

fn fires(labels: &Labels, known: &Known) -> AlertChange {
    change(labels, known, AlertState::Firing, known.starts_at, "")
}

fn is_over(labels: &Labels, known: &Known, reason: &str) -> AlertChange {
    change(labels, known, AlertState::Resolved, known.ends_at, reason)
}

fn change(labels: &Labels, known: &Known, state: AlertState, at: i64, reason: &str) -> AlertChange {
    AlertChange {
        rule: labels.get("alertname").filter(|name| !name.is_empty()).map_or("unnamed", String::as_str).to_owned(),
        labels: labels.clone(),
        annotations: known.annotations.clone(),
        state,
        happened_at: Millis(at),
        agent: None,
        reason: reason.to_owned(),
        evidence: vec![json!({OUTSIDE: known.source, "startsAt": known.starts_at})],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: i64 = 300;

    fn posted(name: &str, ends_at: Option<i64>) -> Posted {
        let labels = Labels::from([("alertname".to_owned(), name.to_owned())]);
        Posted { labels, ends_at, source: "http://there".to_owned(), ..Posted::default() }
    }

    /// Names with `+` where they fire and `-` where they are over.
    fn names(changes: &[AlertChange]) -> String {
        let sign = |change: &AlertChange| if change.state == AlertState::Firing { '+' } else { '-' };
        changes.iter().map(|change| format!("{}{}", sign(change), change.rule)).collect::<Vec<_>>().join(" ")
    }

    /// Sends, and has all that follows told.
    fn send(outside: &mut Outside, name: &str, ends_at: Option<i64>, now: i64) -> String {
        let step = outside.post(vec![posted(name, ends_at)], now, TIMEOUT);
        step.changes.iter().for_each(|change| outside.told(&change.labels, change.state));
        names(&step.changes)
    }

    #[test]
    fn only_beginnings_and_ends_are_news() {
        let mut outside = Outside::default();
        assert_eq!(send(&mut outside, "A", Some(200), 100), "+A");
        assert_eq!(send(&mut outside, "A", Some(300), 150), "", "a repeat");
        assert_eq!(outside.ends_at(&posted("A", None).labels), Some(300));
        assert_eq!(send(&mut outside, "A", Some(200), 200), "-A", "its end is named");
        assert!(outside.is_empty());
        assert_eq!(send(&mut outside, "A", Some(200), 210), "", "what was never told as firing needs no end");
        assert_eq!(send(&mut outside, "A", None, 220), "+A", "again");
    }

    #[test]
    fn what_is_not_repeated_ends_when_it_said_or_by_the_timeout() {
        let mut outside = Outside::default();
        send(&mut outside, "Said", Some(150), 100);
        send(&mut outside, "Silent", None, 100);
        assert_eq!(names(&outside.expire(149)), "");
        let over = outside.expire(150);
        assert_eq!((names(&over).as_str(), over[0].happened_at), ("-Said", Millis(150)));
        assert_eq!(names(&outside.expire(151)), "-Said", "nobody said that it was told");
        over.iter().for_each(|change| outside.told(&change.labels, change.state));
        assert_eq!(names(&outside.expire(100 + TIMEOUT - 1)), "");
        assert_eq!(names(&outside.expire(100 + TIMEOUT)), "-Silent");
    }

    #[test]
    fn what_could_not_be_told_is_told_with_the_next_repeat() {
        let mut outside = Outside::default();
        assert_eq!(names(&outside.post(vec![posted("A", None)], 100, TIMEOUT).changes), "+A");
        assert_eq!(send(&mut outside, "A", None, 110), "+A");
        assert_eq!(send(&mut outside, "A", None, 120), "");
        let over = outside.post(vec![posted("A", Some(130))], 130, TIMEOUT).changes;
        assert_eq!(send(&mut outside, "A", None, 140), "+A", "it fires again before its end was told");
        over.iter().for_each(|change| outside.told(&change.labels, change.state));
        assert_eq!(outside.len(), 1, "the end that is told late is of before");
    }

    #[test]
    fn what_the_desk_knew_before_a_restart_is_believed_for_the_timeout() {
        let mut outside = Outside::default();
        outside.restore(posted("A", None), 1_000, TIMEOUT);
        assert_eq!(send(&mut outside, "A", Some(2_000), 1_100), "", "it is repeated");
        outside.restore(posted("B", None), 1_000, TIMEOUT);
        assert_eq!(names(&outside.expire(1_000 + TIMEOUT)), "-B");
    }

    #[test]
    fn there_is_a_most() {
        let mut outside = Outside::default();
        let all = (0..=ALERTS_MAX).map(|number| posted(&number.to_string(), None)).collect();
        let step = outside.post(all, 0, TIMEOUT);
        assert_eq!((step.changes.len(), step.refused, outside.len()), (ALERTS_MAX, 1, ALERTS_MAX));
    }
}
