use serde_json::json;

use super::*;
use crate::cli::output::table;

/// 2026-03-02 23:59:30 UTC
const BEGIN: i64 = 1_772_495_970_000;

#[test]
fn the_list_is_a_table() {
    let items = [
        json!({"id": "INC-7", "priority": 1, "state": "new", "opened_at": BEGIN, "agent": "web-3", "title": "nginx.service failed on web-3"}),
        json!({"id": "INC-12", "priority": 4, "state": "in_progress", "opened_at": BEGIN - 7_500_000, "agent": null, "title": "a title that goes on and on until nobody reads any further than this"}),
    ];
    insta::assert_snapshot!(table(&items, &COLUMNS, BEGIN + 42_000));
}

#[test]
fn the_card_says_what_a_person_needs_at_night() {
    let incident = json!({
        "id": "INC-7", "state": "resolved", "title": "nginx.service failed on web-3", "agent": "web-3",
        "key": "UnitFailed{instance=\"web-3\", unit=\"nginx.service\"}", "group": "linux", "assignee": null, "count": 3,
        "ci_in_short": {"class": "service_unit", "name": "nginx.service", "short": "3f0c9a12b4de"},
        "priority": {"level": 2, "reasons": [{"stage": "impact", "sentence": "impact 2: shop depends on host web-3"}]},
        "resolution": {"code": "fixed_by_runbook"}, "runs": ["RUN-4"],
        "timeline": [
            {"at": BEGIN, "sentence": "opened as P2: nginx.service failed on web-3"},
            {"at": BEGIN + 45_123, "sentence": "resolved: fixed_by_runbook"},
        ],
        "attachments": [{"name": "log.stdout", "run": "RUN-4", "text": "worker process 12 exited on signal 9\n"}],
    });
    insta::assert_snapshot!(card(&incident));
}

#[test]
fn an_act_says_what_it_came_to() {
    let incident =
        json!({"id": "INC-7", "state": "on_hold", "priority": {"level": 2}, "assignee": "eva", "group": "linux"});
    for (act, expected) in [
        ("hold", "INC-7 is on_hold now.\n"),
        ("note", "INC-7: noted.\n"),
        ("priority", "INC-7 is P2 now.\n"),
        ("assign", "INC-7 is with eva of linux now.\n"),
    ] {
        assert_eq!(done(act, &incident), expected);
    }
}

#[test]
fn who_resolves_what_still_fires_is_told() {
    let alert = |rule: &str, standing: &str| json!({"rule": rule, "standing": standing});
    let said = |alerts: &[Value]| done("resolve", &json!({"id": "INC-3", "state": "resolved", "alerts": alerts}));
    assert_eq!(said(&[alert("DiskFull", "cleared")]), "INC-3 is resolved now.\n");
    assert_eq!(
        said(&[alert("DiskFull", "firing"), alert("DiskFull", "firing"), alert("Slow", "stale")]),
        "INC-3 is resolved now. DiskFull still fires: nobody is told of it again before it has cleared and fires anew.\n"
    );
}
