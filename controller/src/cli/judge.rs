//! Incidents in rule tests and of the past: the desk itself judges them, from an empty beginning.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchkeep_desk::config::Settings;
use watchkeep_desk::ids::IncidentId;
use watchkeep_desk::input::{AgentChange, AgentEvent, AlertChange, AlertState};
use watchkeep_desk::{Config, Desk, Input, InputBody, Millis};
use watchkeep_rules::events::{Transition, What};
use watchkeep_rules::model::RuleBook;
use watchkeep_rules::test::{IncidentJudge, IncidentSeen};

/// Timers that one test may bring due.
const TIMERS_MAX: usize = 100_000;

/// A desk with the settings' defaults and every host of the test enrolled.
#[derive(Debug, Default)]
pub struct DeskJudge;

impl IncidentJudge for DeskJudge {
    fn open_at(&mut self, book: &RuleBook, transitions: &[Transition], at: i64) -> Vec<IncidentSeen> {
        let mut course = Course {
            desk: Desk::default(),
            config: Config { rules: book.clone(), settings: Settings::default() },
            order: 0,
        };
        let hosts: BTreeSet<&String> = transitions.iter().filter_map(|t| t.labels.get("instance")).collect();
        for host in hosts {
            course.decide(0, enrolled(host, 0));
        }
        for transition in transitions {
            course.let_timers_fall_due(transition.at);
            course.decide(transition.at, InputBody::Alert(alert(transition)));
        }
        course.let_timers_fall_due(at);
        course.open()
    }
}

/// An incident that would have been.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentLived {
    pub rule: String,
    pub key: String,
    pub title: String,
    /// 1 to 5, as it was last.
    pub priority: u8,
    /// Alerts of its key that fired, repeats included.
    pub count: u64,
    /// UTC milliseconds.
    pub opened: i64,
    /// None: it is open still.
    pub resolved: Option<i64>,
}

/// The incidents that a desk, empty at first, makes of transitions until `until`; hosts are enrolled at `from`. Nobody
/// works on them and no runbook is run: they end as their alerts do.
pub fn incidents(book: &RuleBook, transitions: &[Transition], from: i64, until: i64) -> Vec<IncidentLived> {
    let mut course = Course {
        desk: Desk::default(),
        config: Config { rules: book.clone(), settings: Settings::default() },
        order: 0,
    };
    course.config.rules.event_rules.iter_mut().for_each(|rule| rule.runbook = None);
    course.config.rules.alert_rules.iter_mut().for_each(|rule| rule.runbook = None);
    let hosts: BTreeSet<&String> = transitions.iter().filter_map(|t| t.labels.get("instance")).collect();
    hosts.into_iter().for_each(|host| course.decide(from, enrolled(host, from)));
    let mut lived = BTreeMap::new();
    for transition in transitions {
        // The desk forgets what has been closed for long, so each is looked at as it goes.
        course.let_timers_fall_due(transition.at);
        course.note(&mut lived);
        course.decide(transition.at, InputBody::Alert(alert(transition)));
    }
    course.let_timers_fall_due(until);
    course.note(&mut lived);
    lived.into_values().collect()
}

struct Course {
    desk: Desk,
    config: Config,
    order: u64,
}

impl Course {
    fn decide(&mut self, at: i64, body: InputBody) {
        self.order += 1;
        let input = Input { order: self.order, at: Millis(at), generation: "test".to_owned(), body };
        self.desk.decide(&self.config, &input);
    }

    fn let_timers_fall_due(&mut self, until: i64) {
        for _ in 0..TIMERS_MAX {
            match self.desk.next_due() {
                Some(due) if due.0 <= until => self.decide(due.0, InputBody::Due),
                _ => return,
            }
        }
    }

    fn note(&self, lived: &mut BTreeMap<IncidentId, IncidentLived>) {
        for incident in self.desk.incidents() {
            let resolved = incident.resolution.as_ref().filter(|_| !incident.state.is_open());
            let now = IncidentLived {
                rule: incident.rule.clone(),
                key: incident.key.to_string(),
                title: incident.title.clone(),
                priority: incident.priority.level,
                count: incident.count,
                opened: incident.opened_at.0,
                resolved: resolved.map(|resolution| resolution.at.0),
            };
            lived.insert(incident.id, now);
        }
    }

    fn open(&self) -> Vec<IncidentSeen> {
        let open = self.desk.incidents().filter(|incident| incident.state.is_open());
        let run_of = |id| self.desk.run(id).map(|run| run.runbook.clone());
        open.map(|incident| IncidentSeen {
            rule: incident.rule.clone(),
            key: incident.key.to_string(),
            priority: incident.priority.level,
            ci: incident.ci.map(|ci| self.desk.cmdb().describe(ci)),
            runbook: incident.runs.iter().rev().find_map(|run| run_of(*run)),
        })
        .collect()
    }
}

fn enrolled(host: &str, at: i64) -> InputBody {
    let what = AgentEvent::Enrolled { serial: "01".to_owned(), labels: Default::default(), token: "test".to_owned() };
    InputBody::Agent(AgentChange { agent: host.to_owned(), happened_at: Millis(at), what })
}

fn alert(transition: &Transition) -> AlertChange {
    AlertChange {
        rule: transition.rule.clone(),
        labels: transition.labels.clone(),
        annotations: transition.annotations.clone(),
        state: match transition.what {
            What::Firing | What::FiringAgain => AlertState::Firing,
            What::Stale => AlertState::Stale,
            What::Resolved => AlertState::Resolved,
        },
        happened_at: Millis(transition.at),
        agent: transition.labels.get("instance").cloned(),
        reason: String::new(),
        evidence: transition.evidence.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeep_rules::{load, packs, test};

    /// Two services fail on one host, one is back; what is open is compared at three times.
    const TEST: &str = r#"tests:
  - name: two services are two incidents
    input_events:
      - {at: 1s, labels: {kind: unit_failed, instance: web-1, unit: nginx.service}}
      - {at: 2s, labels: {kind: unit_failed, instance: web-1, unit: cron.service}}
      - {at: 10s, labels: {kind: unit_recovered, instance: web-1, unit: nginx.service}}
    incident_test:
      - {eval_time: 0s}
      - eval_time: 5s
        exp_incidents:
          - {rule: UnitFailed, key: 'UnitFailed{instance="web-1",unit="nginx.service"}', priority: 3, runbook: restart-service}
          - {rule: UnitFailed, key: 'UnitFailed{instance="web-1",unit="cron.service"}'}
      - {eval_time: 1h, exp_incidents: [{key: 'UnitFailed{instance="web-1",unit="cron.service"}'}]}
"#;

    fn judged(text: &str) -> test::FileReport {
        let files: Vec<_> = packs::shipped().iter().flat_map(packs::Pack::sources).collect();
        let book = load::load(&files).unwrap_or_else(|faults| panic!("{faults}"));
        test::run_file("t.yaml", text, &book, Some(&mut DeskJudge)).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn the_desk_judges_what_is_open() {
        let report = judged(TEST);
        assert!(report.tests[0].failures.is_empty(), "{report}");
        let wrong = judged(&TEST.replace("priority: 3", "priority: 1"));
        assert_eq!(wrong.tests[0].failures.len(), 1, "{wrong}");
    }
}
