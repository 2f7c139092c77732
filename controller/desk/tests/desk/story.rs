//! The whole story: nginx fails, is mended by its runbook, and the incident resolves by itself.

use std::path::PathBuf;

use watchkeep_desk::input::Outcome;
use watchkeep_desk::{Config, explain};

use crate::bench::{Bench, DAY, MINUTE, SECOND};

fn shipped() -> Config {
    let pack = watchkeep_rules::packs::shipped().iter().find(|pack| pack.name == "systemd").expect("the pack ships");
    let sources: Vec<(PathBuf, String)> = pack.sources();
    let rules =
        watchkeep_rules::load::load(&sources).unwrap_or_else(|faults| panic!("a shipped pack is wrong: {faults}"));
    Config { rules, ..Config::default() }
}

#[test]
fn a_failed_service_is_mended_and_the_ledger_tells_it_all() {
    let mut bench = Bench::with_host(shipped(), "web-1");
    bench.at += 500;
    bench.fire("web-1", "nginx.service");
    assert_eq!(bench.orders.len(), 1, "the first step goes out with the alert");
    bench.answer(Outcome::Done);
    bench.answer(Outcome::Done);
    bench.at += 200;
    bench.clear("web-1", "nginx.service");
    bench.at += 20 * SECOND;
    bench.watched(true);
    bench.pass(MINUTE);
    insta::assert_snapshot!(bench.story());

    let incident = bench.incident(1);
    assert_eq!(incident.resolution.map(|resolution| resolution.code.word()), Some("fixed_by_runbook"));
    assert_eq!(bench.change(1).state.word(), "closed");
    assert_eq!(bench.told(), ["opened", "resolved"]);
    insta::assert_json_snapshot!(bench.notices[0].content);

    let told: Vec<String> = explain::subjects_of(&bench.incident(1)).iter().map(explain::subject).collect();
    assert_eq!(told, ["INC-1", "RUN-1", "CHG-1"]);

    bench.pass(4 * DAY);
    assert_eq!(bench.incident(1).state.word(), "closed");
    assert_eq!(bench.change(1).success.map(|success| success.good), Some(true));
    assert_eq!((bench.desk.incidents().count(), bench.desk.runs().count()), (0, 0), "the desk lets go of what is over");
}
