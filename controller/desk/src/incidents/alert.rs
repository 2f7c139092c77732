//! An alert's way to its incident, stage by stage.

use super::{
    AlertStanding, IncidentFact, MemberAlert, RuleView, earlier, evidence, key_of, notice, open, priority, record,
    resolve,
};
use crate::ids::IncidentId;
use crate::input::{AlertChange, AlertState};
use crate::problems;
use crate::runbooks;
use crate::silences;
use crate::work::Work;
use crate::{Actor, FactBody, Millis, Reason, Subject};

/// Takes in one transition of an alert.
pub(crate) fn alert(work: &mut Work<'_>, alert: &AlertChange) {
    // A host's clock may run ahead; what it saw happened no later than now.
    let bounded;
    let alert = if alert.happened_at > work.at {
        bounded = AlertChange { happened_at: work.at, ..alert.clone() };
        &bounded
    } else {
        alert
    };
    if let AlertState::Past { until } = alert.state {
        return past(work, alert, until);
    }
    let rule = RuleView::of(work.config, &alert.rule);
    let key = key_of(&rule.incident, &alert.labels);
    let known = work.desk.index.incident_of(&key);
    if silences::holds_back(work, alert, known.is_some_and(|id| is_member(work, id, alert))) {
        return;
    }
    match (alert.state, known) {
        (AlertState::Firing, Some(id)) if is_open(work, id) => join(work, id, &rule, alert),
        (AlertState::Firing, Some(id)) if still_fires(work, id, alert) => repeat(work, id, alert),
        (AlertState::Firing, Some(id)) if resolved_lately(work, id) => open::recur(work, id, &rule, alert),
        (AlertState::Firing, earlier) => {
            let earlier = earlier.or_else(|| earlier::of(work, &key));
            open::open(work, key, &rule, alert, earlier);
        }
        (AlertState::Resolved, Some(id)) => resolve::cleared(work, id, alert),
        (AlertState::Stale, Some(id)) => stale(work, id, alert),
        // What never opened an incident has nothing to resolve or hold here.
        (AlertState::Resolved | AlertState::Stale, None) | (AlertState::Past { .. }, _) => {}
    }
}

/// Late samples show that it fired and cleared again: stated of its host, at the host's time, and no more.
fn past(work: &mut Work<'_>, alert: &AlertChange, until: Millis) {
    let host = alert.agent.as_deref().and_then(|agent| work.desk.cmdb.host_of(agent));
    let subject = match (host, &alert.agent) {
        (Some(ci), _) => Subject::Ci(ci),
        (None, Some(agent)) => Subject::Agent(agent.clone()),
        (None, None) => Subject::Controller,
    };
    let sentence =
        "its samples came late: it was over before it was learned, so it opened nothing and nobody was paged";
    let mut reasons = identity(alert);
    reasons.push(Reason::new("late", sentence));
    let lasted = until.since(alert.happened_at).max(0);
    let body = FactBody::PastAlert { rule: alert.rule.clone(), labels: alert.labels.clone(), lasted };
    work.tell_seen(alert.happened_at, subject, Actor::Rule(alert.rule.clone()), reasons, body);
}

fn is_open(work: &Work<'_>, id: IncidentId) -> bool {
    work.desk.incidents.get(&id).is_some_and(|incident| incident.state.is_open())
}

/// Whether it is one of the alerts of an incident that is open.
fn is_member(work: &Work<'_>, id: IncidentId, alert: &AlertChange) -> bool {
    let incident = work.desk.incidents.get(&id).filter(|incident| incident.state.is_open());
    incident.is_some_and(|incident| incident.alerts.iter().any(|known| is(known, alert)))
}

/// It fired when a person resolved the incident, and has not been clear since: no new alert.
fn still_fires(work: &Work<'_>, id: IncidentId, alert: &AlertChange) -> bool {
    let member =
        work.desk.incidents.get(&id).and_then(|incident| incident.alerts.iter().find(|known| is(known, alert)));
    member.is_some_and(|member| member.standing == AlertStanding::Firing)
}

fn resolved_lately(work: &Work<'_>, id: IncidentId) -> bool {
    let resolution = work.desk.incidents.get(&id).and_then(|incident| incident.resolution.as_ref());
    resolution.is_some_and(|resolution| work.at.since(resolution.at) <= work.config.settings.reopen_within)
}

/// Whether an incident's alert is that one: same identity.
pub(super) fn is(member: &MemberAlert, alert: &AlertChange) -> bool {
    member.rule == alert.rule && member.labels == alert.labels
}

/// The alert as a member of an incident.
pub(super) fn member(alert: &AlertChange) -> MemberAlert {
    MemberAlert {
        rule: alert.rule.clone(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        standing: AlertStanding::Firing,
        fired_when_stale: false,
        first_seen: alert.happened_at,
        last_seen: alert.happened_at,
        count: 1,
        outside: alert.outside().map(str::to_owned),
    }
}

/// `unit="nginx.service", …` for people; the name first.
pub(crate) fn spoken(rule: &str, labels: &std::collections::BTreeMap<String, String>) -> String {
    let rest = labels.iter().filter(|(name, _)| *name != "alertname");
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{rule}{{{}}}", rest.join(", "))
}

/// Why the alert is what it is, with what it was concluded from.
pub(crate) fn identity(alert: &AlertChange) -> Vec<Reason> {
    let sentence = format!("rule {} fired as {}", alert.rule, spoken(&alert.rule, &alert.labels));
    let identity = Reason { evidence: alert.evidence.clone().into(), ..Reason::new("identity", sentence) };
    std::iter::once(identity).chain(evidence::reason(alert)).collect()
}

/// How a firing alert meets an incident of its key that is open.
enum Meeting {
    /// It fires already.
    Repeat,
    /// Data came back, and it fires as it did before.
    FiresStill,
    /// It had been clear.
    Again,
    Joins,
    /// There are too many to tell it apart.
    Beyond,
}

/// Dedupe: the count and the last-seen time go up, and the priority if the alert is worse.
fn join(work: &mut Work<'_>, id: IncidentId, rule: &RuleView<'_>, alert: &AlertChange) {
    let Some(meeting) = count_in(work, id, alert) else { return };
    let dedupe = |what: &str| {
        let mut reasons = identity(alert);
        reasons.push(Reason::new("dedupe", format!("{id} of its key is open: {what}")));
        reasons
    };
    let (reasons, again) = match meeting {
        Meeting::Repeat => return,
        Meeting::FiresStill => (dedupe("data came back, and the alert still fires"), false),
        Meeting::Again => (dedupe("the alert had been clear and fires again"), true),
        Meeting::Joins => (dedupe("the alert joins it"), false),
        Meeting::Beyond => return,
    };
    let labels = alert.labels.clone();
    let fired = IncidentFact::AlertFired { rule: alert.rule.clone(), labels, again };
    tell_seen(work, id, alert, Actor::Rule(alert.rule.clone()), reasons, fired);
    worsen(work, id, rule, alert);
    resolve::reconsider(work, id);
    if matches!(meeting, Meeting::Again | Meeting::Joins) {
        problems::fires_again(work, id);
        runbooks::alert_fired(work, id);
        if runbooks::start_for_alert(work, id, rule, alert) == runbooks::Started::HandedOver {
            notice::page(work, id, "handed_over", None);
        }
    }
}

/// Counts the alert in, and says how it met the incident.
fn count_in(work: &mut Work<'_>, id: IncidentId, alert: &AlertChange) -> Option<Meeting> {
    let incident = work.incident_mut(id)?;
    incident.count += 1;
    incident.last_seen = incident.last_seen.max(alert.happened_at);
    let Some(known) = incident.alerts.iter_mut().find(|known| is(known, alert)) else {
        if incident.alerts.len() >= record::ALERTS_MAX {
            incident.alerts_beyond += 1;
            return Some(Meeting::Beyond);
        }
        incident.alerts.push(member(alert));
        incident.clear_since = None;
        return Some(Meeting::Joins);
    };
    known.count += 1;
    known.last_seen = known.last_seen.max(alert.happened_at);
    let was = std::mem::replace(&mut known.standing, AlertStanding::Firing);
    incident.clear_since = None;
    Some(match was {
        AlertStanding::Firing => Meeting::Repeat,
        AlertStanding::Stale if known.fired_when_stale => Meeting::FiresStill,
        AlertStanding::Stale | AlertStanding::Cleared => Meeting::Again,
    })
}

/// A repeat of what fired when a person resolved the incident: counted, no more.
fn repeat(work: &mut Work<'_>, id: IncidentId, alert: &AlertChange) {
    count_in(work, id, alert);
}

/// Raises the priority where this alert is worse than what the incident has, unless a person set it.
pub(super) fn worsen(work: &mut Work<'_>, id: IncidentId, rule: &RuleView<'_>, alert: &AlertChange) {
    let Some(incident) = work.desk.incidents.get(&id) else { return };
    if incident.priority.set_by.is_some() {
        return;
    }
    let judged = priority::judge(work, &rule.incident, &alert.labels, incident.ci);
    let from = incident.priority.level;
    if judged.level >= from {
        return;
    }
    if let Some(incident) = work.incident_mut(id) {
        incident.priority = judged.clone();
    }
    let reasons = judged.reasons.clone();
    tell(work, id, Actor::Rule(alert.rule.clone()), reasons, IncidentFact::PriorityChanged { from, to: judged });
    problems::incident_changed(work, id);
}

/// No data: recorded; it neither resolves nor fires.
fn stale(work: &mut Work<'_>, id: IncidentId, alert: &AlertChange) {
    let Some(incident) = work.incident_mut(id) else { return };
    let firing = |known: &&mut MemberAlert| is(known, alert) && known.standing == AlertStanding::Firing;
    let Some(known) = incident.alerts.iter_mut().find(firing) else { return };
    known.standing = AlertStanding::Stale;
    known.fired_when_stale = true;
    let why = if alert.reason.is_empty() { "no data" } else { &alert.reason };
    let sentence = format!("{why}: the alert is held as it was, neither resolved nor firing");
    let reasons = vec![Reason { evidence: alert.evidence.clone().into(), ..Reason::new("stale", sentence) }];
    let (rule, labels, reason) = (alert.rule.clone(), alert.labels.clone(), alert.reason.clone());
    let body = IncidentFact::AlertStale { rule, labels, reason };
    tell_seen(work, id, alert, Actor::Controller, reasons, body);
}

/// States what an alert reports of an incident, at the host's time.
pub(super) fn tell_seen(
    work: &mut Work<'_>,
    id: IncidentId,
    alert: &AlertChange,
    actor: Actor,
    reasons: Vec<Reason>,
    fact: IncidentFact,
) {
    work.tell_seen(alert.happened_at, Subject::Incident(id), actor, reasons, FactBody::Incident(fact));
}

/// States a fact of an incident.
pub(super) fn tell(work: &mut Work<'_>, id: IncidentId, actor: Actor, reasons: Vec<Reason>, fact: IncidentFact) {
    work.tell(Subject::Incident(id), actor, reasons, FactBody::Incident(fact));
}
