//! Incidents with a common cause become one problem, and people are paged once for it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use watchkeep_desk::cmdb::Class;
use watchkeep_desk::ids::{IncidentId, ProblemId};
use watchkeep_desk::input::{ActBody, AlertChange, AlertState, FoundItem, Fragment};
use watchkeep_desk::problems::{Origin, Problem, ProblemFact, State};
use watchkeep_desk::{Config, Fact, FactBody, InputBody, Millis, Record, Subject, explain};

use crate::bench::{Bench, DAY, MINUTE, RULES, SECOND, config, labels, unit_failed};

mod assigned;
mod power_cut;

/// Rules without runbook, pages waiting as by default.
fn quiet() -> Config {
    let rules = RULES.split("        runbook:").next().expect("the rules have a runbook");
    let mut config = config(rules, &[]);
    config.settings.group_wait = 10 * SECOND;
    config
}

fn item(class: &str, key: &str, attributes: &[(&str, &str)], relations: &[(&str, &str, &str)]) -> FoundItem {
    let relations = relations.iter().map(|(kind, class, key)| (kind.to_string(), class.to_string(), key.to_string()));
    let (class, key) = (class.to_owned(), key.to_owned());
    FoundItem { class, key, attributes: labels(attributes), relations: relations.collect() }
}

impl Bench {
    fn found(&mut self, host: &str, section: &str, items: Vec<FoundItem>) {
        let (agent, section, happened_at) = (host.to_owned(), section.to_owned(), Millis(self.at));
        let fragment = Fragment { agent, section, whole: true, items, gone: Vec::new(), happened_at };
        self.feed(InputBody::Inventory(fragment));
    }

    /// A host with its own address and a unit `app.service`.
    fn host(&mut self, name: &str, number: usize) {
        self.enrol(name);
        let address = format!("10.0.{number}.1");
        self.found(name, "interface", vec![item("network_interface", "eth0", &[("addresses", &address)], &[])]);
        let machine = format!("{number:032x}");
        self.found(name, "host", vec![item("host", name, &[("hostname", name), ("machine_id", &machine)], &[])]);
        let unit = |key: &str| item("service_unit", key, &[("active_state", "active")], &[]);
        self.found(name, "service", vec![unit("app.service"), unit("db.service"), unit("cron.service")]);
    }

    fn package(&mut self, host: &str, version: &str) {
        self.found(host, "package", vec![item("software_package", "shop-app", &[("version", version)], &[])]);
    }

    /// The alert that nobody hears from an agent any more.
    fn agent_down(&mut self, host: &str, state: AlertState) {
        self.host_alert("AgentDown", host, state);
    }

    /// An alert about a host itself.
    fn host_alert(&mut self, rule: &str, host: &str, state: AlertState) {
        let labels = labels(&[("alertname", rule), ("instance", host), ("severity", "critical")]);
        let summary = BTreeMap::from([("summary".to_owned(), format!("{rule} on {host}"))]);
        let alert = AlertChange {
            rule: rule.to_owned(),
            labels,
            annotations: summary,
            happened_at: Millis(self.at),
            ..unit_failed(host, "", state)
        };
        self.feed(InputBody::Alert(alert));
    }

    fn problem(&self, number: u64) -> Problem {
        match self.records.get(&("problem", ProblemId(number).to_string())) {
            Some(Record::Problem(problem)) => problem.clone(),
            _ => panic!("no PRB-{number}"),
        }
    }

    /// Problems that are not merged away or cancelled, as sets of incidents by key.
    fn sets(&self) -> BTreeSet<BTreeSet<String>> {
        let live = self.desk.problems().filter(|problem| problem.incidents.len() > 1);
        let key = |id: &IncidentId| self.desk.incident(*id).expect("it is held").key.to_string();
        live.map(|problem| problem.incidents.iter().map(key).collect()).collect()
    }

    /// What people were told, each with what it is about.
    fn pages(&self) -> Vec<String> {
        let number = |content: &serde_json::Value| content["number"].as_str().unwrap_or_default().to_owned();
        self.notices.iter().map(|notice| format!("{} {}", notice.why, number(&notice.content))).collect()
    }
}

fn members(problem: &Problem) -> Vec<String> {
    problem.incidents.iter().map(ToString::to_string).collect()
}

fn ids(numbers: &[u64]) -> Vec<IncidentId> {
    numbers.iter().copied().map(IncidentId).collect()
}

/// `app-1` runs app.service, which has a connection to the database that `db-1` listens with.
fn shop() -> Bench {
    let mut bench = Bench::new(quiet());
    bench.host("db-1", 1);
    bench.host("app-1", 2);
    let process = |key: &str, unit: &str| item("process", key, &[("name", key)], &[("contains", "service_unit", unit)]);
    let mut server = process("/usr/bin/postgres@db.service", "db.service");
    let endpoint = "tcp/10.0.1.1:5432";
    server.relations.push(("listens_on".to_owned(), "listening_endpoint".to_owned(), endpoint.to_owned()));
    let at = [("protocol", "tcp"), ("address", "10.0.1.1"), ("port", "5432")];
    bench.found("db-1", "listener", vec![server, item("listening_endpoint", endpoint, &at, &[])]);
    bench.found("app-1", "listener", vec![process("/usr/bin/app@app.service", "app.service")]);
    let connection = item(
        "connection",
        "/usr/bin/app@app.service>tcp/10.0.1.1:5432",
        &[("process", "/usr/bin/app@app.service"), ("remote", "10.0.1.1:5432"), ("protocol", "tcp")],
        &[],
    );
    bench.found("app-1", "connection", vec![connection]);
    bench
}

#[test]
fn a_database_host_down_is_one_problem_and_one_page() {
    let mut bench = shop();
    let before = bench.notices.len();
    bench.fire("app-1", "app.service");
    bench.pass(5 * SECOND);
    bench.lose("db-1");
    bench.agent_down("db-1", AlertState::Firing);
    assert_eq!(bench.notices.len(), before, "a page waits");
    let problem = bench.problem(1);
    assert_eq!(members(&problem), ["INC-1", "INC-2"]);
    assert_eq!(problem.origin, Origin::Correlation);
    let first = &problem.candidates[0];
    assert_eq!((first.what.as_str(), first.explains), ("host db-1", 2), "{:#?}", problem.candidates);
    let reasons: Vec<&str> = first.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
    assert_eq!(reasons[0], "2 of 2 incidents are about it or need it: INC-1, INC-2");
    assert!(reasons.contains(&"INC-2 says that it failed itself"), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.starts_with("nobody has heard from it for")), "{reasons:?}");
    let evidence = &problem.links[0].evidence[0].sentence;
    assert!(evidence.starts_with("service_unit app.service on app-1 of INC-1 needs host db-1"), "{evidence}");

    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened PRB-1"]);
    let page = &bench.notices[0].content;
    assert_eq!(page["candidates"][0]["what"], json!("host db-1"), "{page:#}");
    assert_eq!(page["incidents"].as_array().map(Vec::len), Some(2), "{page:#}");

    bench.connect("db-1");
    bench.agent_down("db-1", AlertState::Resolved);
    bench.clear("app-1", "app.service");
    bench.pass(5 * MINUTE);
    assert_eq!(bench.pages(), ["opened PRB-1", "resolved PRB-1"]);
    assert_eq!(bench.problem(1).state, State::Resolved);
    bench.pass(4 * DAY);
    assert_eq!(bench.problem(1).state, State::Closed);
    assert_eq!(bench.desk.problems().count(), 0, "the desk lets go of what is over");
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_needs_a_failed_thing_opens_marked_as_following_from_it() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    // Long after: a dependency has no window.
    bench.pass(20 * MINUTE);
    bench.fire("app-1", "app.service");
    let links = bench.incident(2).links;
    assert!(links.iter().any(|link| link.kind == "follows" && link.incident == IncidentId(1)), "{links:?}");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened INC-1"], "INC-1 has paged for both");
}

/// Ten hosts; the first three get another version of a package.
fn fleet(upgraded: bool) -> Bench {
    let mut bench = Bench::new(quiet());
    for number in 0..10 {
        let name = format!("web-{number}");
        bench.host(&name, number + 1);
        bench.package(&name, "1.4");
    }
    bench.pass(MINUTE);
    for number in (0..3).filter(|_| upgraded) {
        bench.package(&format!("web-{number}"), "1.5");
    }
    bench.pass(2 * MINUTE);
    for number in 0..3 {
        bench.fire(&format!("web-{number}"), "app.service");
        bench.pass(SECOND);
    }
    bench.pass(MINUTE);
    bench
}

#[test]
fn a_deploy_that_fails_is_one_problem_that_names_the_change() {
    let bench = fleet(true);
    let problem = bench.problem(1);
    assert_eq!(members(&problem), ["INC-1", "INC-2", "INC-3"]);
    let first = &problem.candidates[0];
    assert_eq!(first.change.as_deref(), Some("package shop-app 1.4→1.5"), "{:#?}", problem.candidates);
    assert_eq!(first.reasons[1].sentence, "it came 2 min before the first failure, to 3 of 10 hosts");
    assert_eq!(problem.title, "Several failures after package shop-app 1.4→1.5");
    assert_eq!(bench.pages(), ["opened PRB-1"]);
}

#[test]
fn the_story_of_an_incident_has_of_its_problem_what_concerns_it_and_no_more() {
    let mut bench = fleet(true);
    let note = ActBody::ProblemNote { problem: bench.problem(1).id, note: "seen before".to_owned() };
    bench.act("eva", note).expect("noted");
    let of_problem = |fact: &&Fact| matches!(fact.subject, Subject::Problem(_));
    let whole: Vec<&Fact> = bench.facts.iter().map(|(_, fact)| fact).filter(of_problem).collect();
    let seen = |number: u64| -> Vec<Fact> {
        whole.iter().filter_map(|fact| explain::seen_from(IncidentId(number), (*fact).clone())).collect()
    };
    let kinds = |facts: &[Fact]| -> Vec<String> {
        let told = |fact: &Fact| explain::sentence(&fact.subject, &fact.body);
        facts.iter().map(|fact| told(fact).split([' ', ':']).take(3).collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(kinds(&seen(1)), ["opened by correlation", "one notice to"]);
    assert_eq!(kinds(&seen(3)), ["opened by correlation", "INC-3 joined", "one notice to"]);
    assert_eq!(seen(3).len() + 1, whole.len(), "the note is left to the problem's own story");
    for fact in seen(3).iter().filter(|fact| matches!(fact.body, FactBody::Problem(ProblemFact::Joined { .. }))) {
        assert!(!fact.reasons.is_empty());
        assert!(fact.reasons.iter().all(|reason| reason.sentence.contains("INC-3")), "{:#?}", fact.reasons);
    }
    let opening = &seen(3)[0];
    assert_eq!(opening.reasons, [], "INC-1 and INC-2 began it");
    assert!(seen(2)[0].reasons[0].sentence.starts_with("INC-1 and INC-2: "));
}

#[test]
fn the_same_failures_without_the_change_and_without_topology_are_no_problem() {
    let bench = fleet(false);
    assert_eq!(bench.desk.problems().count(), 0);
    assert_eq!(bench.pages(), ["opened INC-1", "opened INC-2", "opened INC-3"]);
}

#[test]
fn a_change_that_is_learned_of_after_the_failure_counts() {
    let mut bench = Bench::new(quiet());
    for (number, name) in ["web-1", "web-2", "web-3", "web-4"].into_iter().enumerate() {
        bench.host(name, number + 1);
        bench.package(name, "1.4");
    }
    bench.pass(MINUTE);
    bench.fire("web-1", "app.service");
    bench.fire("web-2", "app.service");
    assert_eq!(bench.desk.problems().count(), 0);
    bench.package("web-1", "1.5");
    bench.package("web-2", "1.5");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
}

#[test]
fn a_change_that_comes_well_after_the_failure_is_not_behind_it() {
    let mut bench = Bench::new(quiet());
    for (number, name) in ["web-1", "web-2", "web-3", "web-4"].into_iter().enumerate() {
        bench.host(name, number + 1);
        bench.package(name, "1.4");
    }
    bench.fire("web-1", "app.service");
    bench.fire("web-2", "app.service");
    bench.pass(10 * MINUTE);
    bench.package("web-1", "1.5");
    bench.package("web-2", "1.5");
    assert_eq!(bench.desk.problems().count(), 0, "it may be the remedy");
}

#[test]
fn fifty_unrelated_incidents_in_a_minute_are_no_problem() {
    let mut bench = Bench::new(quiet());
    for number in 0..50 {
        bench.host(&format!("box-{number}"), number);
    }
    for number in 0..50 {
        bench.fire(&format!("box-{number}"), "app.service");
        bench.pass(SECOND);
    }
    assert_eq!(bench.desk.incidents().count(), 50);
    assert_eq!(bench.desk.problems().count(), 0);
}

#[test]
fn two_units_of_one_host_alone_are_no_problem() {
    let mut bench = shop();
    bench.fire("app-1", "app.service");
    bench.fire("app-1", "cron.service");
    assert_eq!(bench.desk.problems().count(), 0);
}

#[test]
fn two_alerts_about_one_host_alone_are_no_problem() {
    let mut bench = shop();
    bench.host_alert("LoadHigh", "app-1", AlertState::Firing);
    bench.host_alert("ClockAdrift", "app-1", AlertState::Firing);
    assert_eq!(bench.desk.problems().count(), 0, "{:#?}", bench.desk.problems().collect::<Vec<_>>());
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened INC-1", "opened INC-2"]);
}

#[test]
fn two_alerts_about_one_host_with_a_change_in_common_are_one_problem() {
    let mut bench = shop();
    bench.package("app-1", "1.4");
    bench.pass(MINUTE);
    bench.package("app-1", "1.5");
    bench.pass(MINUTE);
    bench.host_alert("LoadHigh", "app-1", AlertState::Firing);
    bench.host_alert("MemoryShort", "app-1", AlertState::Firing);
    let problem = bench.problem(1);
    assert_eq!(members(&problem), ["INC-1", "INC-2"]);
    let sentences: Vec<&str> = problem.links[0].evidence.iter().map(|known| known.sentence.as_str()).collect();
    assert!(sentences[0].starts_with("package shop-app 1.4→1.5 came to both"), "{sentences:?}");
    assert_eq!(sentences[1..], ["both are about host app-1"]);
}

#[test]
fn hosts_that_were_away_and_came_back_are_not_behind_what_fails_after() {
    let mut bench = Bench::new(quiet());
    let hosts: Vec<String> = (1..5).map(|number| format!("box-{number}")).collect();
    for (number, host) in (1..).zip(&hosts) {
        bench.host(host, number);
        bench.agent_down(host, AlertState::Firing);
    }
    bench.pass(MINUTE);
    hosts.iter().for_each(|host| bench.agent_down(host, AlertState::Resolved));
    bench.pass(30 * SECOND);
    assert!(bench.incident(1).state.is_open(), "it resolves after two minutes");
    hosts.iter().for_each(|host| drop(bench.fire(host, "app.service")));
    assert_eq!(bench.incident(5).links, vec![]);
    bench.pass(2 * MINUTE);
    assert!(!bench.incident(1).state.is_open());
    hosts.iter().for_each(|host| drop(bench.fire(host, "db.service")));
    assert_eq!(bench.desk.problems().count(), 0, "{:#?}", bench.desk.problems().collect::<Vec<_>>());
    assert_eq!(bench.restored(), bench.desk);
}

/// A deploy failed on three hosts of ten, and somebody looks into it. Then all ten are away and come back.
#[test]
fn a_problem_that_somebody_has_taken_up_takes_in_only_what_its_candidates_explain() {
    let mut bench = fleet(true);
    let investigate = ActBody::ProblemInvestigate { problem: ProblemId(1), note: String::new() };
    assert_eq!(bench.act("alice", investigate), Ok(()));
    // Two of the hosts get a kernel, one of them with the package that failed.
    for (host, version) in [("web-2", "1.5"), ("web-3", "1.4")] {
        let package = |name: &str, version: &str| item("software_package", name, &[("version", version)], &[]);
        bench.found(host, "package", vec![package("shop-app", version), package("linux-image", "6.1")]);
    }
    let hosts: Vec<String> = (0..10).map(|number| format!("web-{number}")).collect();
    hosts.iter().for_each(|host| bench.agent_down(host, AlertState::Firing));
    assert_eq!(
        members(&bench.problem(1)),
        ["INC-1", "INC-2", "INC-3", "INC-4", "INC-5", "INC-6"],
        "those with the package"
    );
    bench.pass(MINUTE);
    hosts.iter().for_each(|host| bench.agent_down(host, AlertState::Resolved));
    bench.pass(MINUTE);
    hosts.iter().skip(3).for_each(|host| drop(bench.fire(host, "db.service")));
    assert_eq!(bench.problem(1).incidents.len(), 6);
    assert_eq!(bench.desk.problems().count(), 1);
}

#[test]
fn what_a_problem_somebody_has_taken_up_does_not_explain_is_a_problem_of_its_own_that_names_it() {
    let mut bench = Bench::new(quiet());
    for (number, name) in ["db-1", "app-1", "app-2"].into_iter().enumerate() {
        bench.host(name, number + 1);
        bench.package(name, "1.4");
    }
    bench.pass(MINUTE);
    bench.package("app-1", "1.5");
    bench.package("app-2", "1.5");
    bench.pass(MINUTE);
    bench.fire("app-1", "app.service");
    bench.fire("app-2", "app.service");
    bench.fire("app-1", "cron.service");
    let investigate = ActBody::ProblemInvestigate { problem: ProblemId(1), note: String::new() };
    assert_eq!(bench.act("alice", investigate), Ok(()));
    // By hand comes in what has nothing to do with the package.
    bench.fire("db-1", "db.service");
    let join = ActBody::ProblemJoin { problem: ProblemId(1), incidents: ids(&[4]), note: String::new() };
    assert_eq!(bench.act("alice", join), Ok(()));
    bench.agent_down("db-1", AlertState::Firing);
    let alone = bench.incident(5);
    assert_eq!(alone.problem, None, "its host explains one of four");
    let note = "PRB-1 (Several failures after package shop-app 1.4→1.5) is investigating, and what may be its cause does \
                not explain this";
    assert!(alone.timeline.iter().any(|entry| entry.sentence == format!("note: {note}")), "{:#?}", alone.timeline);
    assert!(
        alone.links.iter().any(|link| link.kind == "beside" && link.incident == IncidentId(4)),
        "{:?}",
        alone.links
    );
    bench.fire("db-1", "cron.service");
    let own = bench.problem(2);
    assert_eq!(members(&own), ["INC-5", "INC-6"]);
    bench.pass(MINUTE);
    assert_eq!(bench.pages().last().map(String::as_str), Some("opened PRB-2"));
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_a_person_resolved_is_not_behind_what_fails_after() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    let (code, note) = ("fixed_by_person".parse().expect("a code"), "plugged in".to_owned());
    let resolve = ActBody::IncidentResolve { incident: IncidentId(1), code, note };
    assert_eq!(bench.act("alice", resolve), Ok(()));
    bench.pass(MINUTE);
    bench.fire("app-1", "app.service");
    assert_eq!(bench.desk.problems().count(), 0);
}

#[test]
fn what_began_while_the_other_still_failed_stands_together_with_it_though_it_is_told_later() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.pass(20 * SECOND);
    let seen = Millis(bench.at);
    bench.pass(20 * SECOND);
    bench.agent_down("db-1", AlertState::Resolved);
    bench.pass(SECOND);
    let late = AlertChange { happened_at: seen, ..unit_failed("app-1", "app.service", AlertState::Firing) };
    bench.feed(InputBody::Alert(late));
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
}

#[test]
fn what_was_clear_and_fails_again_is_compared_again() {
    let mut bench = shop();
    bench.fire("app-1", "app.service");
    bench.pass(5 * SECOND);
    bench.clear("app-1", "app.service");
    bench.pass(5 * SECOND);
    bench.agent_down("db-1", AlertState::Firing);
    assert_eq!(bench.desk.problems().count(), 0);
    bench.pass(5 * SECOND);
    bench.fire("app-1", "app.service");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
}

#[test]
fn a_host_and_what_runs_on_it_are_one_problem() {
    let mut bench = shop();
    bench.host_alert("LoadHigh", "app-1", AlertState::Firing);
    bench.fire("app-1", "app.service");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
}

/// All orders of a few incidents, those of one database among them, give the same sets.
#[test]
fn the_order_in_which_incidents_come_does_not_change_the_sets() {
    let arrivals = ["app", "db", "down", "cron", "other"];
    let mut seen: BTreeSet<BTreeSet<BTreeSet<String>>> = BTreeSet::new();
    for turn in 0..arrivals.len() {
        for swap in 1..arrivals.len() {
            let mut order = arrivals;
            order.rotate_left(turn);
            order.swap(0, swap);
            let mut bench = shop();
            bench.host("other-1", 9);
            for what in order {
                match what {
                    "app" => drop(bench.fire("app-1", "app.service")),
                    "db" => drop(bench.fire("db-1", "db.service")),
                    "down" => bench.agent_down("db-1", AlertState::Firing),
                    "cron" => drop(bench.fire("app-1", "cron.service")),
                    _ => drop(bench.fire("other-1", "cron.service")),
                }
                bench.pass(SECOND);
            }
            seen.insert(bench.sets());
        }
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    let sets = seen.into_iter().next().expect("one");
    assert_eq!(sets.into_iter().map(|set| set.len()).collect::<Vec<_>>(), [3]);
}

#[test]
fn what_a_person_takes_out_is_not_put_back() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.fire("app-1", "app.service");
    let split =
        |incidents, note: &str| ActBody::ProblemSplit { problem: ProblemId(1), incidents, note: note.to_owned() };
    let refused = bench.act("alice", split(ids(&[2]), "")).expect_err("it needs a note");
    assert_eq!(refused.sentence, "PRB-1: say in a note why, to split it");
    let refused = bench.act("alice", split(ids(&[7]), "no")).expect_err("a stranger");
    assert_eq!(refused.sentence, "INC-7 does not stand in PRB-1");
    let refused = bench.act("alice", split(ids(&[1, 2]), "no")).expect_err("all of them");
    assert_eq!(refused.sentence, "PRB-1: that would take out every incident; cancel the problem instead");
    assert_eq!(bench.act("alice", split(ids(&[2]), "a bug of its own")), Ok(()));
    assert_eq!((bench.incident(2).problem, members(&bench.problem(1))), (None, vec!["INC-1".to_owned()]));

    // Another of the database's needs it too: it goes with the database, and does not bring INC-2 back.
    bench.fire("db-1", "db.service");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-3"]);
    assert_eq!(bench.incident(2).problem, None);
    // Nor does its coming back.
    bench.clear("app-1", "app.service");
    bench.pass(2 * MINUTE);
    bench.fire("app-1", "app.service");
    assert_eq!(bench.incident(2).problem, None);
    // By hand it may.
    let join = ActBody::ProblemJoin { problem: ProblemId(1), incidents: ids(&[2]), note: String::new() };
    assert_eq!(bench.act("alice", join), Ok(()));
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2", "INC-3"]);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn a_merge_is_undone_by_a_split() {
    let mut bench = Bench::new(quiet());
    for number in 1..5 {
        let name = format!("box-{number}");
        bench.host(&name, number);
        bench.fire(&name, "app.service");
    }
    let create =
        |incidents, title: &str| ActBody::ProblemCreate { incidents, title: title.to_owned(), note: String::new() };
    assert_eq!(bench.act("alice", create(ids(&[1, 2]), "the left ones")), Ok(()));
    assert_eq!(bench.act("alice", create(ids(&[3, 4]), "")), Ok(()));
    let refused = bench.act("alice", create(ids(&[4]), "")).expect_err("it stands in one");
    assert_eq!(refused.sentence, "INC-4 stands in PRB-2; merge that problem, or split INC-4 out of it first");
    let (workaround, note) = ("restart it twice".to_owned(), String::new());
    let known = ActBody::ProblemKnownError { problem: ProblemId(2), workaround, note };
    assert_eq!(bench.act("alice", known), Ok(()));
    let before = bench.problem(2);
    let merge = ActBody::ProblemMerge { problem: ProblemId(2), into: ProblemId(1), note: "one cable".to_owned() };
    assert_eq!(bench.act("bob", merge), Ok(()));
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2", "INC-3", "INC-4"]);
    let (state, into) = (bench.problem(2).state, bench.problem(2).merged_into);
    assert_eq!((state, into), (State::Closed, Some(ProblemId(1))));
    // What is known of the one is known of both.
    assert_eq!(bench.problem(1).state, State::KnownError);
    assert_eq!(workarounds(&bench, 1..=4), [Some("restart it twice"); 4].map(|text| text.map(str::to_owned)));
    let told = |sentence: &str| sentence == "PRB-1 is a known error; workaround: restart it twice";
    assert!(bench.incident(1).timeline.iter().any(|line| told(&line.sentence)), "{:#?}", bench.incident(1).timeline);

    let note = "two cables".to_owned();
    let split = ActBody::ProblemSplit { problem: ProblemId(1), incidents: ids(&[3, 4]), note };
    assert_eq!(bench.act("bob", split), Ok(()));
    let (left, right) = (bench.problem(1), bench.problem(2));
    assert_eq!((members(&left), left.state), (vec!["INC-1".to_owned(), "INC-2".to_owned()], State::New));
    assert_eq!((left.title.as_str(), left.workaround, left.parts), ("the left ones", None, vec![]));
    assert_eq!((members(&right), right.state), (vec!["INC-3".to_owned(), "INC-4".to_owned()], State::KnownError));
    assert_eq!((right.merged_into, right.closed_at, right.opened_at), (None, None, before.opened_at));
    assert_eq!((&right.title, &right.workaround, &right.links), (&before.title, &before.workaround, &before.links));
    let last = &right.timeline.last().expect("it tells").sentence;
    assert_eq!(last, "came out of PRB-1 again with INC-3, INC-4: known error as before: two cables");
    assert!(right.timeline.starts_with(&before.timeline), "{:#?}", right.timeline);
    let text = Some("restart it twice".to_owned());
    assert_eq!(workarounds(&bench, 1..=4), [None, None, text.clone(), text]);
    assert_eq!(bench.incident(3).problem, Some(ProblemId(2)));
    assert!(!bench.records.contains_key(&("problem", ProblemId(3).to_string())), "no third one");
    assert_eq!(bench.restored(), bench.desk);
}

fn workarounds(bench: &Bench, numbers: std::ops::RangeInclusive<u64>) -> Vec<Option<String>> {
    numbers.map(|number| bench.incident(number).workaround).collect()
}

/// Boxes that have nothing in common, an incident each.
fn boxes(count: u64) -> Bench {
    let mut bench = Bench::new(quiet());
    for number in 1..=count {
        let name = format!("box-{number}");
        bench.host(&name, usize::try_from(number).expect("a few"));
        bench.fire(&name, "app.service");
    }
    bench
}

fn put_together(bench: &mut Bench, incidents: &[u64]) {
    let (title, note) = (String::new(), String::new());
    let create = ActBody::ProblemCreate { incidents: ids(incidents), title, note };
    assert_eq!(bench.act("alice", create), Ok(()));
}

fn take_out(bench: &mut Bench, incidents: &[u64]) {
    let note = "not that".to_owned();
    let split = ActBody::ProblemSplit { problem: ProblemId(1), incidents: ids(incidents), note };
    assert_eq!(bench.act("alice", split), Ok(()));
}

#[test]
fn what_is_taken_out_of_a_known_error_shows_the_workaround_that_goes_with_it() {
    let mut bench = boxes(4);
    put_together(&mut bench, &[1, 2, 3, 4]);
    let (workaround, note) = ("restart it twice".to_owned(), String::new());
    let known = ActBody::ProblemKnownError { problem: ProblemId(1), workaround, note };
    assert_eq!(bench.act("alice", known), Ok(()));
    take_out(&mut bench, &[3, 4]);
    let text = bench.problem(2).workaround.map(|workaround| workaround.text);
    assert_eq!(text.as_deref(), Some("restart it twice"));
    assert_eq!(workarounds(&bench, 3..=4), [text.clone(), text]);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_is_taken_out_before_its_problem_has_paged_is_told_of() {
    for (out, pages) in [(&[3][..], ["opened PRB-1", "opened INC-3"]), (&[3, 4], ["opened PRB-1", "opened PRB-2"])] {
        let mut bench = boxes(4);
        put_together(&mut bench, &[1, 2, 3, 4]);
        bench.pass(5 * SECOND);
        take_out(&mut bench, out);
        assert_eq!(bench.restored(), bench.desk);
        bench.pass(6 * SECOND);
        assert_eq!(bench.pages().into_iter().collect::<BTreeSet<_>>(), pages.map(str::to_owned).into(), "{out:?}");
        bench.pass(MINUTE);
        assert_eq!(bench.pages().len(), 2);
    }
}

#[test]
fn what_is_taken_out_after_its_problem_has_paged_is_told() {
    let mut bench = boxes(4);
    put_together(&mut bench, &[1, 2, 3, 4]);
    bench.pass(MINUTE);
    take_out(&mut bench, &[3]);
    take_out(&mut bench, &[4]);
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened PRB-1"]);
}

#[test]
fn a_resolved_problem_does_not_close_while_an_incident_of_it_is_open() {
    let mut bench = boxes(2);
    put_together(&mut bench, &[1, 2]);
    let resolve = ActBody::ProblemResolve { problem: ProblemId(1), note: "a new cable".to_owned() };
    assert_eq!(bench.act("alice", resolve), Ok(()));
    bench.clear("box-1", "app.service");
    bench.pass(4 * DAY);
    assert_eq!(bench.problem(1).state, State::Resolved, "INC-2 is open");
    bench.clear("box-2", "app.service");
    bench.pass(MINUTE);
    assert!(!bench.incident(2).state.is_open());
    assert_eq!(bench.problem(1).state, State::Resolved, "it may come back");
    bench.pass(4 * DAY);
    assert_eq!(bench.problem(1).state, State::Closed);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn a_merge_takes_in_only_what_has_room() {
    let mut bench = Bench::new(quiet());
    (0..20).for_each(|number| bench.host(&format!("box-{number}"), number));
    for number in 0..1_005 {
        bench.fire(&format!("box-{}", number % 20), &format!("unit-{number}.service"));
    }
    put_together(&mut bench, &[1]);
    let numbers: Vec<u64> = (2..=995).collect();
    for chunk in numbers.chunks(100) {
        let join = ActBody::ProblemJoin { problem: ProblemId(1), incidents: ids(chunk), note: String::new() };
        assert_eq!(bench.act("alice", join), Ok(()));
    }
    put_together(&mut bench, &(996..=1_005).collect::<Vec<_>>());
    let merge = ActBody::ProblemMerge { problem: ProblemId(2), into: ProblemId(1), note: String::new() };
    assert_eq!(bench.act("bob", merge), Ok(()));
    let problem = bench.problem(1);
    assert_eq!(problem.incidents.len(), 1_000);
    for number in 996..=1_005 {
        let stands_in = (number <= 1_000).then_some(ProblemId(1));
        assert_eq!(bench.incident(number).problem, stands_in, "INC-{number}");
        assert_eq!(problem.incidents.contains(&IncidentId(number)), stands_in.is_some(), "INC-{number}");
    }
    bench.pass(MINUTE);
    let beyond: Vec<String> = (1_001..=1_005).map(|number| format!("opened INC-{number}")).collect();
    assert_eq!(bench.pages().iter().filter(|page| page.contains("INC")).cloned().collect::<Vec<_>>(), beyond);
}

#[test]
fn a_known_error_shows_its_workaround_on_what_joins() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.fire("db-1", "db.service");
    let known = |workaround: &str| {
        let (workaround, note) = (workaround.to_owned(), String::new());
        ActBody::ProblemKnownError { problem: ProblemId(1), workaround, note }
    };
    let refused = bench.act("alice", known(" ")).expect_err("it needs one");
    assert_eq!(refused.code, "missing");
    assert_eq!(bench.act("alice", known("use the replica")), Ok(()));
    assert_eq!(bench.incident(1).workaround.as_deref(), Some("use the replica"));
    bench.fire("app-1", "app.service");
    let joined = bench.incident(3);
    assert_eq!(joined.workaround.as_deref(), Some("use the replica"));
    let told =
        |entry: &watchkeep_desk::incidents::TimelineEntry| entry.sentence.contains("workaround: use the replica");
    assert!(joined.timeline.iter().any(told), "{:#?}", joined.timeline);
    bench.pass(MINUTE);
    let page = bench.notices.last().expect("a page");
    assert_eq!(page.content["workaround"], json!("use the replica"));
    // Somebody has taken it up: it does not resolve by itself.
    for (host, unit) in [("db-1", "db.service"), ("app-1", "app.service")] {
        bench.clear(host, unit);
    }
    bench.agent_down("db-1", AlertState::Resolved);
    bench.pass(10 * MINUTE);
    assert_eq!(bench.problem(1).state, State::KnownError);
    assert_eq!(bench.pages(), ["opened PRB-1", "incidents_over PRB-1"]);
    // A key of it that comes back much later joins it, and people are paged again.
    bench.pass(DAY);
    bench.fire("app-1", "app.service");
    assert_eq!(bench.incident(4).problem, Some(ProblemId(1)));
    bench.pass(MINUTE);
    assert_eq!(bench.pages()[2..], ["opened PRB-1"]);
}

#[test]
fn the_same_key_three_times_in_a_week_is_a_problem() {
    let mut bench = Bench::with_host(quiet(), "web-1");
    for day in 0..3 {
        assert_eq!(bench.desk.problems().count(), 0, "day {day}");
        bench.fire("web-1", "nginx.service");
        bench.pass(MINUTE);
        bench.clear("web-1", "nginx.service");
        bench.pass(DAY);
    }
    let problem = bench.problem(1);
    assert_eq!((problem.origin, problem.state), (Origin::Recurrence, State::New));
    assert_eq!(members(&problem), ["INC-1", "INC-2", "INC-3"]);
    let told: Vec<String> = bench.pages();
    assert_eq!(told[4..], ["opened PRB-1", "incidents_over PRB-1"]);
}

#[test]
fn what_mends_itself_within_group_wait_is_told_once() {
    let rules = RULES.split("        runbook:").next().expect("the rules have a runbook");
    let mut config = config(&rules.replace("resolve_after: 30s", "resolve_after: 2s"), &[]);
    config.settings.group_wait = 10 * SECOND;
    let mut bench = Bench::with_host(config, "web-1");
    bench.fire("web-1", "nginx.service");
    bench.pass(SECOND);
    bench.clear("web-1", "nginx.service");
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["resolved INC-1"]);
}

#[test]
fn a_problem_that_gets_worse_pages_again() {
    let mut bench = shop();
    let mut alert =
        AlertChange { happened_at: Millis(bench.at), ..unit_failed("db-1", "db.service", AlertState::Firing) };
    alert.labels.insert("severity".to_owned(), "info".to_owned());
    bench.feed(InputBody::Alert(alert));
    bench.pass(MINUTE);
    bench.agent_down("db-1", AlertState::Firing);
    bench.pass(MINUTE);
    bench.fire("app-1", "app.service");
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened INC-1", "worse PRB-1"]);
}

#[test]
fn another_kind_of_failure_that_joins_is_paged_for_once() {
    let mut bench = shop();
    bench.package("app-1", "1.4");
    bench.pass(MINUTE);
    bench.package("app-1", "1.5");
    bench.fire("app-1", "app.service");
    bench.pass(MINUTE);
    bench.fire("app-1", "db.service");
    bench.pass(MINUTE);
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
    assert_eq!(bench.pages(), ["opened INC-1"], "a unit as well: people know of units");
    for rule in ["LoadHigh", "MemoryShort"] {
        bench.host_alert(rule, "app-1", AlertState::Firing);
        bench.pass(MINUTE);
    }
    assert_eq!(bench.problem(1).incidents.len(), 4);
    assert_eq!(bench.pages(), ["opened INC-1", "another PRB-1", "another PRB-1"]);
    let timeline = bench.problem(1).timeline;
    let told = timeline.iter().filter(|line| line.sentence.contains("another kind of failure joined it")).count();
    assert_eq!(told, 2, "{timeline:#?}");
    // Each kind once: it comes back, and others of it come.
    bench.host_alert("LoadHigh", "app-1", AlertState::Resolved);
    bench.pass(5 * MINUTE);
    bench.host_alert("LoadHigh", "app-1", AlertState::Firing);
    bench.fire("app-1", "cron.service");
    bench.pass(MINUTE);
    assert_eq!(bench.pages().len(), 3, "{:?}", bench.pages());
    // Nor what is mended before its page goes out.
    bench.host_alert("ClockAdrift", "app-1", AlertState::Firing);
    bench.pass(SECOND);
    bench.host_alert("ClockAdrift", "app-1", AlertState::Resolved);
    bench.pass(MINUTE);
    assert_eq!(bench.pages().len(), 3, "{:?}", bench.pages());
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn a_cancelled_problem_lets_its_incidents_page_for_themselves() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.fire("app-1", "app.service");
    let note = "two things".to_owned();
    assert_eq!(bench.act("alice", ActBody::ProblemCancel { problem: ProblemId(1), note }), Ok(()));
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened INC-1", "opened INC-2"]);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
#[expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures; no decision reads the clock"
)]
fn the_cost_of_an_opening_does_not_grow_with_what_is_open() {
    let mut bench = Bench::new(quiet());
    for number in 0..20 {
        bench.host(&format!("box-{number}"), number);
    }
    let hosts = bench.desk.cmdb().of_class(Class::Host).count();
    assert_eq!(hosts, 20);
    // The median of the burst: what else the machine does delays some openings, not most.
    let burst = |bench: &mut Bench, from: usize, to: usize| {
        let opening = |unit: usize| {
            let begun = std::time::Instant::now();
            bench.fire(&format!("box-{}", unit % 20), &format!("unit-{unit}.service"));
            begun.elapsed()
        };
        let mut took: Vec<_> = (from..to).map(opening).collect();
        took.sort_unstable();
        took[took.len() / 2]
    };
    let early = burst(&mut bench, 0, 200);
    burst(&mut bench, 200, 1_800);
    let late = burst(&mut bench, 1_800, 2_000);
    println!("an opening took {early:?} with none open, {late:?} with 1,800 open");
    assert_eq!(bench.desk.incidents().count(), 2_000);
    assert!(late < early * 6, "{early:?} became {late:?}");
}
