//! What is always true, under random inputs in random order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watchkeep_desk::ids::{IncidentId, RunId};
use watchkeep_desk::input::{ActBody, AlertState, Outcome};
use watchkeep_desk::{InputBody, Record};

use crate::bench::{Bench, MINUTE, RESTART, RULES, config, outcome_of};

#[derive(Clone, Debug)]
enum Move {
    Alert {
        host: usize,
        unit: usize,
        state: AlertState,
    },
    /// The newest but so many orders, ended so; orders may be answered twice, late, or by the wrong host.
    Result {
        back: usize,
        outcome: Outcome,
        word: Option<&'static str>,
        host: Option<usize>,
    },
    Watched {
        held: bool,
    },
    Pass {
        minutes: i64,
    },
    StopSwitch {
        on: bool,
    },
    Agent {
        host: usize,
        here: bool,
    },
    Act {
        incident: u64,
        which: usize,
    },
    Run {
        run: u64,
        which: usize,
    },
}

const HOSTS: [&str; 2] = ["web-1", "db-master-1"];
const UNITS: [&str; 3] = ["nginx.service", "php.service", "bad name"];

fn a_move() -> impl Strategy<Value = Move> {
    let state =
        prop_oneof![5 => Just(AlertState::Firing), 4 => Just(AlertState::Resolved), 1 => Just(AlertState::Stale)];
    let outcome = prop_oneof![
        6 => Just(Outcome::Done),
        2 => Just(Outcome::Failed),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::Unknown)
    ];
    let word = proptest::sample::select(vec!["policy", "nonce", "replayed", "expired"]);
    prop_oneof![
        8 => (0..2usize, 0..3usize, state).prop_map(|(host, unit, state)| Move::Alert { host, unit, state }),
        8 => (0..3usize, outcome, word, proptest::option::weighted(0.1, 0..2usize)).prop_map(|(back, outcome, word, host)| {
            Move::Result { back, outcome, word: (outcome == Outcome::Refused).then_some(word), host }
        }),
        2 => any::<bool>().prop_map(|held| Move::Watched { held }),
        4 => proptest::sample::select(vec![1, 3, 10, 40, 70, 1500, 5000]).prop_map(|minutes| Move::Pass { minutes }),
        1 => any::<bool>().prop_map(|on| Move::StopSwitch { on }),
        2 => (0..2usize, any::<bool>()).prop_map(|(host, here)| Move::Agent { host, here }),
        3 => (1..6u64, 0..9usize).prop_map(|(incident, which)| Move::Act { incident, which }),
        2 => (1..6u64, 0..4usize).prop_map(|(run, which)| Move::Run { run, which }),
    ]
}

fn make(bench: &mut Bench, next: &Move) {
    bench.at += 100;
    match next {
        Move::Alert { host, unit, state } => drop(bench.alert(HOSTS[*host], UNITS[*unit], *state)),
        Move::Result { back, outcome, word, host } => {
            let Some(order) = bench.orders.iter().rev().nth(*back).cloned() else { return };
            let agent = host.map_or(order.agent, |host| HOSTS[host].to_owned());
            let mut result = outcome_of(order.command, &agent, *outcome, bench.at);
            result.refusal = word.map(str::to_owned);
            bench.feed(InputBody::Result(result));
        }
        Move::Watched { held } => {
            if !bench.desk.watches().is_empty() {
                bench.watched(*held);
            }
        }
        Move::Pass { minutes } => bench.pass(minutes * MINUTE),
        Move::StopSwitch { on } => drop(bench.act("alice", ActBody::StopSwitch { on: *on, note: "a test".to_owned() })),
        Move::Agent { host, here: true } => drop(bench.connect(HOSTS[*host])),
        Move::Agent { host, here: false } => drop(bench.lose(HOSTS[*host])),
        Move::Act { incident, which } => drop(bench.act("alice", act_on(IncidentId(*incident), *which))),
        Move::Run { run, which } => {
            let act = on_run(bench, RunId(*run), *which);
            drop(bench.act("bob", act));
        }
    }
}

fn act_on(incident: IncidentId, which: usize) -> ActBody {
    let note = "a test".to_owned();
    match which {
        0 => ActBody::IncidentAcknowledge { incident, note },
        1 => ActBody::IncidentAssign { incident, assignee: Some("bob".to_owned()), group: None, note },
        2 => ActBody::IncidentProgress { incident, note },
        3 => ActBody::IncidentHold { incident, awaiting: "vendor".to_owned(), note },
        4 => ActBody::IncidentResolve { incident, code: "fixed_by_person".to_owned(), note },
        5 => ActBody::IncidentReopen { incident, note },
        6 => ActBody::IncidentClose { incident, note },
        7 => ActBody::IncidentCancel { incident, note },
        _ => ActBody::IncidentPriority { incident, priority: 2, note },
    }
}

fn on_run(bench: &Bench, run: RunId, which: usize) -> ActBody {
    let plan_hash = bench.desk.run(run).map(|run| run.plan_hash.clone()).unwrap_or_default();
    match which {
        0 => ActBody::RunApprove { run, plan_hash },
        1 => ActBody::RunReject { run, note: "no".to_owned() },
        2 => ActBody::RunStop { run, note: "no".to_owned() },
        _ => ActBody::RunStart {
            runbook: "restart-service".to_owned(),
            incident: None,
            agent: Some(HOSTS[0].to_owned()),
            params: crate::bench::params(&[("unit", "nginx.service")]),
        },
    }
}

/// One runbook with all that a run can meet: approval, retries, a watch, a rollback.
fn bench() -> Bench {
    let approval = "guard:\n  approval: {when: incident.count > 3, by: group(linux), within: 30m}\n";
    let steps = "  - name: See it\n    wait_for: {expr: 'up{instance=$host} == 1', held: 20s, timeout: 2m}\n";
    let rollback = "verify_within: 3m\nrollback:\n  - name: Undo\n    run: [/bin/undo]\n    idempotent: true\n";
    let runbook =
        RESTART.replace("guard:\n", approval).replace("    timeout: 60s\n", &format!("    timeout: 60s\n{steps}"));
    let runbook = runbook.replacen("idempotent: true\n", "idempotent: true\n    retries: 1\n", 1);
    let runbook = runbook.replace("verify_within: 3m\n", rollback);
    let mut bench = Bench::new(config(RULES, &[&runbook]));
    HOSTS.iter().for_each(|host| bench.enrol(host));
    bench
}

fn always_true(bench: &Bench) -> Result<(), TestCaseError> {
    let mut open = BTreeMap::new();
    for incident in bench.desk.incidents().filter(|incident| incident.state.is_open()) {
        let other = open.insert(incident.key.clone(), incident.id);
        prop_assert_eq!(other, None, "two open incidents of {}", incident.key);
    }
    let sent: BTreeSet<_> = bench.orders.iter().map(|order| (order.run, order.step, order.attempt)).collect();
    prop_assert_eq!(sent.len(), bench.orders.len(), "a step was ordered twice with the same attempt");
    let ids: BTreeSet<_> = bench.orders.iter().map(|order| order.command).collect();
    prop_assert_eq!(ids.len(), bench.orders.len(), "a command's id came twice");
    let notices: BTreeSet<_> = bench.notices.iter().map(|notice| notice.notice).collect();
    prop_assert_eq!(notices.len(), bench.notices.len(), "a notice's id came twice");
    for table in ["incident", "run", "change"] {
        let mut numbers: Vec<u64> =
            bench.records.keys().filter(|(of, _)| *of == table).map(|(_, key)| number(key)).collect();
        numbers.sort_unstable();
        prop_assert!(
            numbers.iter().copied().eq(1..=numbers.len() as u64),
            "numbers of {} have gaps: {:?}",
            table,
            numbers
        );
    }
    for host in HOSTS {
        let going: Vec<_> =
            bench.desk.runs().filter(|run| run.agent == host && run.state.is_going()).map(|run| run.id).collect();
        prop_assert!(going.len() <= 1, "{:?} go on {} at the same time", going, host);
    }
    one_change_a_run(bench)?;
    prop_assert_eq!(&bench.restored(), &bench.desk, "the records give another desk");
    Ok(())
}

/// A change goes with its run: over when it is over, implementing while it goes.
fn one_change_a_run(bench: &Bench) -> Result<(), TestCaseError> {
    for run in bench.records.values().filter_map(|record| if let Record::Run(run) = record { Some(run) } else { None })
    {
        let change = bench.change(run.change.0);
        prop_assert_eq!(
            (change.run, change.state.is_over()),
            (run.id, run.state.is_over()),
            "{} is {}",
            run.id,
            run.state
        );
        prop_assert_eq!(change.state.word() == "implementing", run.state.is_going(), "{} is {}", run.id, run.state);
    }
    Ok(())
}

fn number(key: &str) -> u64 {
    key.rsplit('-').next().and_then(|digits| digits.parse().ok()).expect("a numbered key")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_comes(moves in proptest::collection::vec(a_move(), 1..60)) {
        let mut bench = bench();
        for next in &moves {
            let (stopped, sent) = (bench.desk.is_stopped(), bench.orders.len());
            make(&mut bench, next);
            if stopped && bench.desk.is_stopped() {
                prop_assert_eq!(bench.orders.len(), sent, "a step was sent while the stop switch was on");
            }
            always_true(&bench)?;
        }
    }
}
