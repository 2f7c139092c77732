//! A desk on the bench: feeds it inputs, keeps what it decides as a store would, and holds it to what is always true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};
use watchkeep_desk::config::Settings;
use watchkeep_desk::decision::{Notice, Order};
use watchkeep_desk::ids::{CommandId, IncidentId, RunId};
use watchkeep_desk::incidents::Incident;
use watchkeep_desk::input::{
    Act, ActBody, AgentChange, AgentEvent, AlertChange, AlertState, CommandOutcome, FoundItem, Fragment, Outcome,
};
use watchkeep_desk::runbooks::Run;
use watchkeep_desk::{
    Config, Decision, Desk, Effect, Fact, Input, InputBody, Millis, Record, Refusal, Subject, explain,
};

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// 2026-11-23 12:00:00 UTC.
pub const NOON: i64 = 1_795_435_200_000;

#[derive(Clone)]
pub struct Bench {
    pub desk: Desk,
    pub config: Config,
    pub at: i64,
    pub inputs: Vec<Input>,
    /// With the instant each was learned at.
    pub facts: Vec<(Millis, Fact)>,
    pub orders: Vec<Order>,
    pub notices: Vec<Notice>,
    /// What a store would hold.
    pub records: BTreeMap<(&'static str, String), Record>,
}

/// A configuration from the text of one file of rules and one a runbook.
pub fn config(rules: &str, runbooks: &[&str]) -> Config {
    let mut files: Vec<(PathBuf, String)> = vec![(PathBuf::from("rules.yaml"), rules.to_owned())];
    files.extend(
        runbooks.iter().enumerate().map(|(n, text)| (PathBuf::from(format!("runbook-{n}.yaml")), (*text).to_owned())),
    );
    let rules =
        watchkeep_rules::load::load(&files).unwrap_or_else(|faults| panic!("the test's own files are wrong: {faults}"));
    // Pages go out at once, so that a test reads them where they come from; those of `problems` wait.
    let settings = Settings { group_wait: 0, ..Settings::default() };
    Config { rules, settings }
}

pub fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The alert of a failed unit on a host, as the event rule makes it.
pub fn unit_failed(host: &str, unit: &str, state: AlertState) -> AlertChange {
    let labels = labels(&[("alertname", "UnitFailed"), ("instance", host), ("unit", unit), ("severity", "critical")]);
    AlertChange {
        rule: "UnitFailed".to_owned(),
        labels,
        annotations: BTreeMap::from([("summary".to_owned(), format!("{unit} failed on {host}"))]),
        state,
        happened_at: Millis(NOON),
        agent: Some(host.to_owned()),
        reason: String::new(),
        evidence: vec![json!({
            "at": NOON,
            "labels": {"kind": "unit_failed", "instance": host, "unit": unit},
            "text": format!("{unit} failed"),
        })],
    }
}

impl Bench {
    pub fn new(config: Config) -> Self {
        Self {
            desk: Desk::default(),
            config,
            at: NOON,
            inputs: Vec::new(),
            facts: Vec::new(),
            orders: Vec::new(),
            notices: Vec::new(),
            records: BTreeMap::new(),
        }
    }

    /// With an enrolled and connected host that has a unit nginx.service.
    pub fn with_host(config: Config, host: &str) -> Self {
        let mut bench = Self::new(config);
        bench.enrol(host);
        bench
    }

    pub fn enrol(&mut self, host: &str) {
        let labels = labels(&[("environment", "production"), ("service", "shop")]);
        self.agent(host, AgentEvent::Enrolled { serial: "01ab".to_owned(), labels, token: "t1".to_owned() });
        self.connect(host);
        let item = |class: &str, key: &str, attributes: &[(&str, &str)]| FoundItem {
            class: class.to_owned(),
            key: key.to_owned(),
            attributes: self::labels(attributes),
            relations: Vec::new(),
        };
        let machine = "f".repeat(31) + &host.len().to_string();
        let found = item("host", host, &[("hostname", host), ("machine_id", &machine)]);
        self.feed(InputBody::Inventory(fragment(host, "host", vec![found])));
        let unit = item("service_unit", "nginx.service", &[("active_state", "active")]);
        self.feed(InputBody::Inventory(fragment(host, "service", vec![unit])));
    }

    pub fn agent(&mut self, host: &str, what: AgentEvent) -> Decision {
        self.feed(InputBody::Agent(AgentChange { agent: host.to_owned(), happened_at: Millis(self.at), what }))
    }

    pub fn connect(&mut self, host: &str) -> Decision {
        let (session, version, spool) = ("5e55".to_owned(), "0.1.0".to_owned(), "59001".to_owned());
        self.agent(host, AgentEvent::Connected { session, version, spool })
    }

    pub fn lose(&mut self, host: &str) -> Decision {
        self.agent(host, AgentEvent::Lost { session: "5e55".to_owned(), reason: "link_down".to_owned() })
    }

    /// Decides one input now, and checks what is always true.
    pub fn feed(&mut self, body: InputBody) -> Decision {
        let order = self.inputs.len() as u64 + 1;
        let input = Input { order, at: Millis(self.at), generation: "g1".to_owned(), body };
        let decision = self.desk.decide(&self.config, &input);
        self.inputs.push(input);
        self.commit(&decision);
        decision
    }

    fn commit(&mut self, decision: &Decision) {
        if decision.refused.is_some() {
            assert_eq!(
                (&decision.facts, &decision.effects, &decision.changed),
                (&vec![], &vec![], &vec![]),
                "refused means nothing"
            );
        }
        let keys: Vec<_> = decision.changed.iter().map(Record::key).collect();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a record is there twice: {keys:?}");
        self.records.extend(keys.into_iter().zip(decision.changed.iter().cloned()));
        self.facts.extend(decision.facts.iter().map(|fact| (Millis(self.at), fact.clone())));
        for effect in &decision.effects {
            match effect {
                Effect::Command(order) => self.orders.push(order.clone()),
                Effect::Notice(notice) => self.notices.push(notice.clone()),
            }
        }
    }

    /// The desk that the records alone would give.
    pub fn restored(&self) -> Desk {
        // By way of JSON, as a store keeps them.
        let records = self.records.values().map(|record| {
            let text = serde_json::to_string(record).expect("records are plain data");
            serde_json::from_str::<Record>(&text).expect("a record reads back")
        });
        Desk::restore(records)
    }

    /// Lets time pass; timers fall due on the way, each at its instant.
    pub fn pass(&mut self, length: i64) {
        let until = self.at + length;
        for _ in 0..1_000 {
            let Some(due) = self.desk.next_due().filter(|due| due.0 <= until) else {
                self.at = until;
                return;
            };
            self.at = due.0.max(self.at);
            self.feed(InputBody::Due);
        }
        panic!("timers do not come to an end");
    }

    pub fn alert(&mut self, host: &str, unit: &str, state: AlertState) -> Decision {
        let alert = AlertChange { happened_at: Millis(self.at), ..unit_failed(host, unit, state) };
        self.feed(InputBody::Alert(alert))
    }

    pub fn fire(&mut self, host: &str, unit: &str) -> Decision {
        self.alert(host, unit, AlertState::Firing)
    }

    pub fn clear(&mut self, host: &str, unit: &str) -> Decision {
        self.alert(host, unit, AlertState::Resolved)
    }

    pub fn act(&mut self, who: &str, act: ActBody) -> Result<(), Refusal> {
        let request = format!("request-{}", self.inputs.len());
        self.act_as(who, &request, act)
    }

    pub fn act_as(&mut self, who: &str, request: &str, act: ActBody) -> Result<(), Refusal> {
        let decision = self.feed(InputBody::Act(Act { who: who.to_owned(), request: request.to_owned(), act }));
        decision.refused.map_or(Ok(()), Err)
    }

    pub fn result(&mut self, command: CommandId, agent: &str, outcome: Outcome) -> Decision {
        let result = outcome_of(command, agent, outcome, self.at);
        self.feed(InputBody::Result(result))
    }

    /// The newest order, ended so after a second.
    pub fn answer(&mut self, outcome: Outcome) -> Decision {
        let order = self.orders.last().expect("a command was sent").clone();
        self.at += SECOND;
        self.result(order.command, &order.agent, outcome)
    }

    /// The newest order, refused with that word.
    pub fn refuse(&mut self, word: &str, reason: &str) -> Decision {
        let order = self.orders.last().expect("a command was sent").clone();
        let mut result = outcome_of(order.command, &order.agent, Outcome::Refused, self.at);
        (result.refusal, result.reason) = (Some(word.to_owned()), reason.to_owned());
        self.feed(InputBody::Result(result))
    }

    /// The watch that a run is at holds, or does not.
    pub fn watched(&mut self, held: bool) -> Decision {
        let watch = self.desk.watches().pop().expect("a run watches");
        self.feed(InputBody::Watched { run: watch.run, step: watch.step, held, detail: String::new() })
    }

    pub fn incident(&self, number: u64) -> Incident {
        let key = ("incident", IncidentId(number).to_string());
        match self.records.get(&key) {
            Some(Record::Incident(incident)) => incident.clone(),
            _ => panic!("no INC-{number}"),
        }
    }

    pub fn run(&self, number: u64) -> Run {
        match self.records.get(&("run", RunId(number).to_string())) {
            Some(Record::Run(run)) => run.clone(),
            _ => panic!("no RUN-{number}"),
        }
    }

    pub fn change(&self, number: u64) -> watchkeep_desk::changes::Change {
        match self.records.get(&("change", format!("CHG-{number}"))) {
            Some(Record::Change(change)) => change.clone(),
            _ => panic!("no CHG-{number}"),
        }
    }

    /// `state` and, where it waits, the guard that holds it.
    pub fn run_stands(&self, number: u64) -> String {
        let run = self.run(number);
        match &run.waiting {
            Some(wait) => format!("{} {}", run.state, wait.reason.stage),
            None => run.state.to_string(),
        }
    }

    pub fn told(&self) -> Vec<&str> {
        self.notices.iter().map(|notice| notice.why.as_str()).collect()
    }

    /// The facts about incidents, runs and changes, as people read them.
    pub fn story(&self) -> String {
        let of_them = |fact: &Fact| matches!(fact.subject, Subject::Incident(_) | Subject::Run(_) | Subject::Change(_));
        let facts = self.facts.iter().zip(1..).filter(|((_, fact), _)| of_them(fact));
        let lines = explain::why(facts.map(|((learned, fact), seq)| (seq, *learned, fact)));
        let tell = |line: explain::Line| {
            let after = (line.learned_at.0 - NOON) as f64 / 1_000.0;
            let subject =
                if line.sentence.starts_with(&line.subject) { String::new() } else { format!("{} ", line.subject) };
            let mut text = format!("{after:>7.1} s  {subject}{}", line.sentence);
            if !line.actor.is_empty() {
                text.push_str(&format!("  ({})", line.actor));
            }
            line.because.iter().for_each(|because| text.push_str(&format!("\n             {because}")));
            text
        };
        lines.into_iter().map(tell).collect::<Vec<_>>().join("\n")
    }
}

fn fragment(host: &str, section: &str, items: Vec<FoundItem>) -> Fragment {
    let (agent, section) = (host.to_owned(), section.to_owned());
    Fragment { agent, section, whole: true, items, gone: Vec::new(), happened_at: Millis(NOON) }
}

pub fn outcome_of(command: CommandId, agent: &str, outcome: Outcome, at: i64) -> CommandOutcome {
    CommandOutcome {
        command,
        agent: agent.to_owned(),
        outcome,
        exit: match outcome {
            Outcome::Done => Some(0),
            Outcome::Failed => Some(1),
            _ => None,
        },
        stdout: "line one\nline two\n".to_owned(),
        stderr: String::new(),
        cut: 0,
        started_at: Millis(at - SECOND),
        finished_at: Millis(at),
        changed: outcome == Outcome::Done,
        refusal: None,
        reason: String::new(),
        policy: "policy.yaml:2 allows it".to_owned(),
        claims: String::new(),
    }
}

/// Parameters of a run by hand.
pub fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

/// One rule with `key`, and a runbook that keeps evidence, restarts and waits.
pub const RULES: &str = r#"
groups:
  - name: test
    rules:
      - event: UnitFailed
        match: '{kind="unit_failed"}'
        by: [instance, unit]
        clear: '{kind="unit_recovered"}'
        labels: {severity: critical}
        incident:
          key: [alertname, instance, unit]
          group: linux
          resolve_after: 30s
        runbook:
          use: restart-service
          with: {unit: "{{ $labels.unit }}"}
"#;

pub const RESTART: &str = r#"
runbook: restart-service
title: Restart a failed service
parameters:
  unit: {type: string, pattern: '^[\w@.:-]+\.service$', required: true}
targets: incident.ci.host
guard:
  max_per_host: 3/h
  concurrency: {host: 1}
  cooldown_after_failure: 30m
steps:
  - name: Keep the evidence
    run: [journalctl, --unit, "{{ unit }}"]
    idempotent: true
    register: log
    attach: log.stdout
  - name: Restart it
    service: {name: "{{ unit }}", state: restarted}
    timeout: 60s
verify_within: 3m
"#;

/// A host `web-1` under [`RULES`] and [`RESTART`].
pub fn ordinary() -> Bench {
    Bench::with_host(config(RULES, &[RESTART]), "web-1")
}
