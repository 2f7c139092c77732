//! Rules across hosts, look by look: over samples in memory, with the time handed in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use watchkeep_desk::InputBody;
use watchkeep_desk::input::AlertState;
use watchkeep_protocol::topic::is_agent_name;
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::memory::Memory;
use watchkeep_rules::promql::series::{Point, Samples, Series};
use watchkeep_rules::selector::Selector;

use super::*;
use crate::generation::Generation;
use crate::ingest::Proposal;
use crate::samples::Folder;

const START: i64 = 1_800_000_000_000;

const RULES: &str = "groups:
  - name: fleet
    interval: 10s
    rules:
      - {record: 'fleet:busy', expr: count(load > 5)}
      - {alert: ManyBusy, expr: 'fleet:busy >= 2', for: 30s}
";

fn rules(text: &str) -> Arc<Rules> {
    let files = BTreeMap::from([(PathBuf::from("rules/rules.yaml").display().to_string(), text.to_owned())]);
    Arc::new(Rules::new(&Generation::check(files).unwrap_or_else(|fault| panic!("{fault}"))))
}

/// Rules across hosts of one controller, and the hosts' samples.
struct Bench {
    rounds: Rounds,
    recorded: SharedSeries,
    hosts: Memory,
    /// What others write.
    others: Memory,
    kept: KeptHost,
    life: u64,
}

impl Bench {
    /// A controller that begins at `at` seconds.
    fn new(rules: &Arc<Rules>, at: i64) -> Self {
        let mut bench = Self {
            rounds: Rounds::default(),
            recorded: SharedSeries::default(),
            hosts: Memory::default(),
            others: Memory::default(),
            kept: KeptHost::default(),
            life: 0,
        };
        bench.die();
        assert_eq!(bench.restore(rules, at), None, "nothing is owed before anything happened");
        bench
    }

    /// The process dies, and another one has nothing in memory.
    fn die(&mut self) {
        self.recorded = SharedSeries::default();
        self.rounds = Rounds::new(Arc::clone(&self.recorded));
    }

    /// A new life, with what was last kept.
    fn restore(&mut self, rules: &Arc<Rules>, at: i64) -> Option<Vec<String>> {
        self.life += 1;
        let restore = Some((self.life, Arc::clone(rules), self.kept.clone()));
        self.look(at, FleetNews { restore, rules: None })
    }

    /// Both hosts were measured at `at` seconds.
    fn load(&mut self, at: i64, load: f64) {
        for host in ["web-1", "web-2"] {
            let labels = Labels::new([(NAME, "load"), ("instance", host)]);
            self.hosts.append(&labels, Point { at: START + at * 1_000, value: load }).expect("in order");
        }
    }

    /// What is proposed at `at` seconds, in words; `None`: nothing is to be committed.
    fn look(&mut self, at: i64, news: FleetNews) -> Option<Vec<String>> {
        let samples = All { hosts: &self.hosts, recorded: &self.recorded };
        let others = All { hosts: &self.others, recorded: &self.recorded };
        let proposal = self.rounds.step(news, &samples, Some(&others), Millis(START + at * 1_000))?;
        let Proposal { agent, inputs, row, life, .. } = proposal;
        assert_eq!((agent.as_str(), life), (FLEET, self.life));
        self.kept.row = row.expect("what it is kept by comes with it");
        Some(inputs.iter().map(said).collect())
    }

    /// Both hosts have this load from `from` to `until`, in seconds; what was proposed in between.
    fn live(&mut self, from: i64, until: i64, load: f64) -> Vec<String> {
        let mut told = Vec::new();
        for at in (from..until).step_by(5) {
            self.load(at, load);
            told.extend(self.look(at, FleetNews::default()).into_iter().flatten());
        }
        told
    }

    fn recorded(&self) -> Vec<(i64, f64)> {
        self.recorded_as("fleet:busy")
    }

    fn recorded_as(&self, name: &str) -> Vec<(i64, f64)> {
        let name = Selector::parse(&format!("{{__name__=\"{name}\"}}")).expect("a selector");
        let found = self
            .recorded
            .lock()
            .expect("no test panics with it")
            .select(&name, 0, i64::MAX)
            .expect("memory can be read");
        let in_seconds = |point: &Point| ((point.at - START) / 1_000, point.value);
        found.iter().flat_map(|series: &Series| series.points.iter().map(in_seconds)).collect()
    }
}

/// As a [`Reader`] has both.
struct All<'a> {
    hosts: &'a Memory,
    recorded: &'a SharedSeries,
}

impl Samples for All<'_> {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        let recorded = self.recorded.lock().expect("no test panics with it").select(matchers, after, until)?;
        Ok(self.hosts.select(matchers, after, until)?.into_iter().chain(recorded).collect())
    }
}

fn said(input: &InputBody) -> String {
    let InputBody::Alert(change) = input else { panic!("rules across hosts say alerts: {input:?}") };
    assert_eq!(change.agent, None);
    let what = match change.state {
        AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
        _ => "something else",
    };
    format!("{} {what} at {}", change.rule, (change.happened_at.0 - START) / 1_000)
}

#[test]
fn no_agent_can_be_called_as_the_fleet_is() {
    assert!(!is_agent_name(FLEET));
}

#[test]
fn a_minute_long_nothing_is_judged_in_a_new_life() {
    let rules = rules(RULES);
    let mut bench = Bench::new(&rules, 0);
    assert!(bench.live(5, 60, 9.0).is_empty());
    assert_eq!(bench.recorded(), []);
    assert_eq!(bench.live(60, 120, 9.0), ["ManyBusy firing at 90"]);
    assert_eq!(bench.recorded().first(), Some(&(60, 2.0)));
    // After a failed commit all hosts' samples are read back: until they are whole again, absence says nothing.
    bench.hosts = Memory::default();
    assert_eq!(bench.restore(&rules, 125), None);
    assert!((130..160).step_by(5).all(|at| bench.look(at, FleetNews::default()).is_none()), "nobody is back yet");
    assert_eq!(bench.live(160, 300, 9.0), Vec::<String>::new(), "it fires as before");
}

#[test]
fn after_a_restart_a_pending_alert_does_not_begin_to_wait_anew() {
    let rules = rules(RULES);
    let mut bench = Bench::new(&rules, 0);
    assert!(bench.live(60, 85, 9.0).is_empty(), "pending since 60");
    bench.die();
    assert_eq!(bench.restore(&rules, 86), None, "nothing changed by it");
    assert_eq!(bench.live(90, 200, 9.0), ["ManyBusy firing at 150"], "at once after the minute");
}

#[test]
fn what_changes_nothing_is_not_committed() {
    let rules = rules(RULES);
    let mut bench = Bench::new(&rules, 0);
    assert!(bench.live(60, 200, 1.0).is_empty());
    assert_eq!(bench.kept.row, Default::default(), "no alert, nothing to keep");
    let mut proposals = 0;
    for at in (200..400).step_by(5) {
        bench.load(at, 9.0);
        proposals += usize::from(bench.look(at, FleetNews::default()).is_some());
    }
    assert_eq!(proposals, 2, "pending, firing");
    assert_eq!(bench.look(401, FleetNews { restore: None, rules: Some(rules) }), None, "the same rules again");
}

#[test]
fn one_pending_alert_in_place_of_another_is_kept() {
    let by_host = rules(
        "groups:
  - name: fleet
    interval: 10s
    rules: [{alert: Busiest, expr: 'topk(1, load)', for: 10m}]
",
    );
    let mut bench = Bench::new(&by_host, 0);
    for (at, busiest) in [(60, "web-1"), (70, "web-2")] {
        for host in ["web-1", "web-2"] {
            let labels = Labels::new([(NAME, "load"), ("instance", host)]);
            let value = if host == busiest { 9.0 } else { 1.0 };
            bench.hosts.append(&labels, Point { at: START + at * 1_000, value }).expect("in order");
        }
        assert_eq!(bench.look(at, FleetNews::default()), Some(Vec::new()));
        let kept = serde_json::to_string(&bench.kept.row).expect("plain data");
        assert!(kept.contains(busiest), "{busiest}: {kept}");
    }
}

#[test]
fn a_reload_keeps_states_and_resolves_what_is_gone() {
    let first = rules(RULES);
    let mut bench = Bench::new(&first, 0);
    assert_eq!(bench.live(60, 120, 9.0), ["ManyBusy firing at 90"]);
    let other = rules(&RULES.replace("interval: 10s", "interval: 20s"));
    assert_eq!(bench.look(121, FleetNews { restore: None, rules: Some(other) }), None, "it fires on");
    assert!(bench.live(125, 200, 9.0).is_empty());
    let none = rules("groups: []\n");
    let gone = bench.look(201, FleetNews { restore: None, rules: Some(none) });
    assert_eq!(gone, Some(vec!["ManyBusy resolved at 201".to_owned()]));
}

#[test]
fn what_fires_of_a_group_that_went_while_the_controller_was_down_is_resolved() {
    let first = rules(RULES);
    let mut bench = Bench::new(&first, 0);
    assert_eq!(bench.live(60, 120, 9.0), ["ManyBusy firing at 90"]);
    bench.die();
    let none = rules("groups: []\n");
    assert_eq!(bench.restore(&none, 130), Some(vec!["ManyBusy resolved at 130".to_owned()]));
    assert_eq!(bench.restore(&none, 140), None, "once");
}

#[test]
fn a_rule_across_hosts_that_fails_is_told_of_until_it_works_again() {
    let rules = rules(
        "groups: [{name: fleet, interval: 10s, rules: [{record: 'fleet:load', expr: 'sum by (job) (load) + on() group_right() load'}]}]\n",
    );
    let mut bench = Bench::new(&rules, 0);
    bench.load(60, 1.0);
    bench.look(60, FleetNews::default());
    let failing = |bench: &mut Bench| bench.rounds.take_rule_health().map(|health| health.failing().count());
    assert_eq!(failing(&mut bench), None, "one on the left: it works");
    let labels = Labels::new([(NAME, "load"), ("instance", "web-3"), ("job", "other")]);
    bench.hosts.append(&labels, Point { at: START + 70_000, value: 1.0 }).expect("in order");
    bench.look(70, FleetNews::default());
    assert_eq!(failing(&mut bench), Some(1), "two on the left");
    bench.load(400, 1.0);
    bench.look(400, FleetNews::default());
    assert_eq!(failing(&mut bench), Some(0));
}

#[test]
fn what_was_recorded_is_there_after_a_restart_and_what_was_missed_is_made_up_for() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let folder = Folder::open(&dir.path().join("samples")).expect("it can be made");
    let rules = rules(&RULES.replace(
        "count(load > 5)}",
        "count(load > 5)}\n      - {record: 'fleet:busiest', expr: 'max_over_time(fleet:busy[2m])'}",
    ));
    // One that never dies, to compare with.
    let mut whole = Bench::new(&rules, 0);
    let mut bench = Bench::new(&rules, 0);
    for bench in [&mut whole, &mut bench] {
        assert_eq!(bench.live(60, 200, 9.0), ["ManyBusy firing at 90"]);
    }
    let receipt = bench.rounds.hand_over(Millis(START + 200_000)).write(&folder, 2);
    assert!(matches!(receipt, Receipt::Sealed { .. }), "{receipt:?}");
    bench.rounds.sealed();
    assert!(bench.rounds.hand_over(Millis(START + 200_001)).is_empty(), "it is in a file");
    // It dies with what is in no file yet, and is down for a minute in which hosts measure on.
    for bench in [&mut whole, &mut bench] {
        assert!(bench.live(200, 250, 9.0).is_empty());
    }
    assert!(whole.live(250, 310, 9.0).is_empty());
    (250..310).step_by(5).for_each(|at| bench.load(at, 9.0));
    bench.die();
    assert_eq!(bench.restore(&rules, 310), None);
    let faults = bench.rounds.recover(&folder, Millis(START + 310_000)).expect("the folder can be read");
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(bench.recorded().last(), Some(&(190, 2.0)), "as far as the file goes");
    for bench in [&mut whole, &mut bench] {
        assert!(bench.live(310, 500, 9.0).is_empty(), "it fires as before");
    }
    for name in ["fleet:busy", "fleet:busiest"] {
        assert_eq!(bench.recorded_as(name), whole.recorded_as(name), "{name}");
    }
    assert_eq!(bench.recorded_as("fleet:busiest").len(), (500 - 60) / 10);
}

#[test]
fn rules_of_hosts_judge_series_of_others_at_their_interval() {
    let text = "groups:
  - name: databases
    interval: 10s
    rules:
      - {record: 'pressure:double', expr: pressure * 2}
      - {alert: Pressed, expr: 'pressure:double > 10', for: 20s}
      - {alert: Away, expr: 'up == 0'}
";
    let rules = rules(text);
    let mut bench = Bench::new(&rules, 0);
    let write = |bench: &mut Bench, at: i64, name: &str, value: f64| {
        let labels = Labels::new([(NAME, name), ("instance", "db:9187"), ("job", "postgres")]);
        bench.others.append(&labels, Point { at: START + at * 1_000, value }).expect("in order");
    };
    let mut told = Vec::new();
    for at in (5..60).step_by(5) {
        write(&mut bench, at, "pressure", if at < 40 { 7.0 } else { 1.0 });
        write(&mut bench, at, "up", f64::from(u8::from(at < 20)));
        told.extend(bench.look(at, FleetNews::default()).into_iter().flatten());
    }
    assert_eq!(told, ["Away firing at 20", "Pressed firing at 30", "Pressed resolved at 40"]);
    assert_eq!(bench.recorded_as("pressure:double")[..2], [(10, 14.0), (20, 14.0)]);
    bench.die();
    assert_eq!(bench.restore(&rules, 60), None, "what fires is known");
}
