//! A database's host loses its power and comes back; the application on another host fails with it, for as long as it takes.

use watchkeep_desk::input::{AlertChange, AlertState};
use watchkeep_desk::{InputBody, Millis};

use super::{item, members, shop};
use crate::bench::{Bench, MINUTE, SECOND, unit_failed};

impl Bench {
    /// The alert that the application, which systemd starts again and again, does not answer.
    fn app_down(&mut self, state: AlertState) {
        let mut alert = AlertChange { happened_at: Millis(self.at), ..unit_failed("app-1", "app.service", state) };
        alert.rule = "AppDown".to_owned();
        alert.labels.insert("alertname".to_owned(), "AppDown".to_owned());
        self.feed(InputBody::Alert(alert));
    }

    /// The host has power again, and not yet the address by which others reach it.
    fn boot(&mut self, host: &str) {
        self.connect(host);
        self.found(host, "interface", vec![item("network_interface", "eth0", &[("addresses", "")], &[])]);
        self.found(host, "listener", vec![]);
    }
}

/// `db-1` without power, and the application that needs it failed: one problem, and its page.
fn power_cut() -> Bench {
    let mut bench = shop();
    bench.lose("db-1");
    bench.agent_down("db-1", AlertState::Firing);
    bench.pass(3 * SECOND);
    bench.app_down(AlertState::Firing);
    bench.pass(20 * SECOND);
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
    assert_eq!(bench.pages(), ["opened PRB-1"]);
    bench
}

/// Power is back, and the agent speaks again.
fn power_back(bench: &mut Bench) {
    bench.boot("db-1");
    bench.agent_down("db-1", AlertState::Resolved);
    bench.pass(2 * SECOND);
}

/// What failed at boot stands in the problem, which people know of, and its candidates name it.
fn joined(bench: &mut Bench) {
    bench.pass(20 * SECOND);
    let problem = bench.problem(1);
    assert_eq!(members(&problem), ["INC-1", "INC-2", "INC-3"]);
    let named: Vec<&str> = problem.candidates.iter().take(2).map(|candidate| candidate.what.as_str()).collect();
    assert!(named.contains(&"service_unit db.service on db-1"), "{:#?}", problem.candidates);
    assert!(named[0].contains("db-1"), "{:#?}", problem.candidates);
    assert_eq!(bench.pages(), ["opened PRB-1"]);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_fails_at_boot_joins_the_problem_of_what_needs_it() {
    let mut bench = power_cut();
    power_back(&mut bench);
    bench.fire("db-1", "db.service");
    joined(&mut bench);
}

#[test]
fn what_fails_at_boot_joins_it_however_long_the_power_was_away() {
    let mut bench = power_cut();
    bench.pass(40 * MINUTE);
    power_back(&mut bench);
    bench.fire("db-1", "db.service");
    joined(&mut bench);
}

#[test]
fn what_fails_at_boot_joins_it_while_what_needs_it_is_clear_for_a_moment() {
    let mut bench = power_cut();
    power_back(&mut bench);
    // systemd starts it again and again, and between two failures it runs.
    bench.app_down(AlertState::Resolved);
    bench.pass(SECOND);
    bench.fire("db-1", "db.service");
    bench.pass(SECOND);
    bench.app_down(AlertState::Firing);
    joined(&mut bench);
}

#[test]
fn what_nobody_depends_on_fails_at_boot_by_itself() {
    let mut bench = power_cut();
    power_back(&mut bench);
    bench.fire("db-1", "cron.service");
    bench.pass(20 * SECOND);
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
    assert_eq!(bench.incident(3).problem, None);
    assert_eq!(bench.pages(), ["opened PRB-1", "opened INC-3"]);
}

#[test]
fn what_fails_once_all_is_well_again_is_another_matter() {
    let mut bench = power_cut();
    power_back(&mut bench);
    bench.app_down(AlertState::Resolved);
    bench.pass(20 * MINUTE);
    bench.fire("db-1", "db.service");
    bench.pass(20 * SECOND);
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
    assert_eq!(bench.incident(3).problem, None);
}
