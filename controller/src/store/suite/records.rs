//! Records, and the lists over them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use watchkeep_desk::changes::Change;
use watchkeep_desk::cmdb::{Ci, Class, Relation, RelationKind};
use watchkeep_desk::ids::{CiId, IncidentId, RunId};
use watchkeep_desk::incidents::{Incident, State};
use watchkeep_desk::problems::Problem;
use watchkeep_desk::runbooks::Run;
use watchkeep_desk::{Millis, Record};
use watchkeep_rules::selector::Selector;

use crate::store::events::{self, Event};
use crate::store::queries::{self, Page, cis::AsOf};
use crate::store::{Database, Store, Tx, output, reading, records, writing};

fn save(store: &mut dyn Store, records: &[Record], now: i64) {
    store.write(&mut |tx| records::save(tx, records, Millis(now))).expect("saved");
}

/// A record from JSON: the test says only what it is about.
fn made<T: serde::de::DeserializeOwned>(mut whole: Json, over: Json) -> T {
    for (name, value) in over.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    serde_json::from_value(whole).expect("a record")
}

fn incident(number: u64, over: Json) -> Incident {
    let whole = json!({
        "id": format!("INC-{number}"), "key": format!("UnitFailed{{unit=\"u{number}\"}}"), "rule": "UnitFailed",
        "title": format!("unit {number} failed"), "state": "new", "awaiting": null,
        "priority": {"level": 3, "impact": 2, "urgency": 2, "reasons": [], "set_by": null},
        "ci": null, "agent": "web-1", "service": null, "assignee": null, "group": "linux", "assigned_by": null,
        "alerts": [], "alerts_beyond": 0, "count": 1, "first_seen": 1, "last_seen": 2, "opened_at": 3, "since": 3,
        "clear_since": null, "resolve_after": 120_000, "resolution": null, "closed_at": null, "reopened": 0,
        "timeline": [], "timeline_before": 0, "runs": [], "changes": [], "attachments": [], "links": [], "knowledge": [],
    });
    made(whole, over)
}

fn change(number: u64, over: Json) -> Change {
    let whole = json!({
        "id": format!("CHG-{number}"), "kind": "standard", "template": "restart", "title": "Restart nginx",
        "state": "implementing", "asked_by": {"kind": "controller"}, "run": "RUN-1", "incident": "INC-1", "cis": [],
        "agent": "web-1", "opened_at": 3, "started_at": null, "finished_at": null, "success": null, "settled_at": null,
    });
    made(whole, over)
}

fn id(number: u8) -> CiId {
    CiId([number; 16])
}

fn ci(number: u8, class: &str, attributes: &[(&str, &str, i64)], over: Json) -> Ci {
    let held = |(name, value, at): &(&str, &str, i64)| {
        (name.to_string(), json!({"value": value, "source": "agent", "happened_at": at, "learned_at": at + 5}))
    };
    let whole = json!({
        "id": id(number), "class": class, "name": format!("thing-{number}"), "key": format!("thing-{number}"),
        "host": null, "agent": "web-1", "attributes": attributes.iter().map(held).collect::<BTreeMap<_, _>>(),
        "lifecycle": "in_use", "lifecycle_since": {"happened": 100, "learned": 105}, "first_seen": 100, "last_seen": 100,
    });
    made(whole, over)
}

fn relation(from: u8, kind: &str, to: u8, since: i64, until: Option<i64>) -> Relation {
    let when = |at: i64| json!({"happened": at, "learned": at + 5});
    let edge = json!({
        "from": id(from), "kind": kind, "to": id(to), "source": "agent", "claims": [],
        "since": when(since), "until": until.map(when),
    });
    made(edge, json!({}))
}

/// All pages of a list, `limit` at a time, as `shown`.
fn pages<T, S>(mut page: impl FnMut(Option<&str>) -> Page<T>, shown: impl Fn(&T) -> S) -> Vec<S> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let found = page(cursor.as_deref());
        all.extend(found.items.iter().map(&shown));
        assert!(all.len() < 1_000, "a cursor that never ends");
        cursor = found.next;
        if cursor.is_none() {
            return all;
        }
    }
}

pub(super) fn the_desk_is_restored_from_what_is_live(database: &Database) {
    let mut store = database.writer().expect("connected");
    let live = [
        Record::Incident(incident(1, json!({}))),
        Record::Change(change(1, json!({}))),
        Record::Ci(ci(1, "host", &[("fqdn", "web-1.lan", 100)], json!({}))),
        Record::Relation(relation(2, "runs_on", 1, 100, None)),
        Record::Setting { name: "counter".into(), value: json!({"incident": 7}) },
    ];
    let settled = [
        Record::Incident(incident(2, json!({"state": "closed", "closed_at": 9}))),
        Record::Change(change(2, json!({"settled_at": 9}))),
        Record::Setting { name: "stop".into(), value: Json::Null },
    ];
    save(&mut store, &[Record::Setting { name: "stop".into(), value: json!(true) }], 1);
    save(&mut store, &live, 2);
    save(&mut store, &settled, 3);
    save(&mut store, &live, 4);
    let restored = reading(&mut store, |tx| records::restore(tx)).expect("read");
    assert_eq!(restored, live);
    let closed = reading(&mut store, |tx| queries::incidents::get(tx, IncidentId(2))).expect("read").expect("kept");
    assert_eq!(closed.closed_at, Some(Millis(9)));
}

fn run(number: u64, stdout: &str, settled_at: Option<i64>) -> Run {
    let step = json!({
        "name": "Look", "state": "done", "attempts": 1, "failures": 0, "resends": 0, "commands": [], "sent_at": 1,
        "ended_at": 2, "outcome": "done", "exit": 0, "changed": false, "stdout": stdout, "stderr": "", "reason": "",
    });
    let whole = json!({
        "id": format!("RUN-{number}"), "runbook": "look", "title": "Look", "state": "succeeded",
        "asked_by": {"kind": "controller"}, "incident": null, "key": null, "alert": null, "change": "CHG-1",
        "agent": "web-1", "ci": null, "plan": {"runbook": "look", "agent": "web-1", "params": {}, "steps": [],
        "verify_within": null, "change": "look"}, "plan_hash": "", "waiting": null, "approval_by": null,
        "approved_by": null, "step": 0, "journal": [step], "verify_until": null, "outcome": null, "came_back": false,
        "opened_at": 1, "started_at": 1, "finished_at": 2, "settled_at": settled_at,
    });
    made(whole, json!({}))
}

pub(super) fn what_commands_printed_is_forgotten_and_the_records_stay(database: &Database) {
    let mut store = database.writer().expect("connected");
    let attached =
        json!({"attachments": [{"name": "log.stdout", "run": "RUN-1", "at": 2, "text": "secret", "cut": 0}]});
    let over = json!({"state": "closed", "attachments": attached["attachments"]});
    let old = [
        Record::Run(run(1, "secret", Some(3))),
        Record::Run(run(2, "", Some(3))),
        Record::Run(run(3, "of a run that is not settled", None)),
        Record::Incident(incident(1, over)),
        Record::Incident(incident(2, attached)),
    ];
    save(&mut store, &old, 10);
    save(&mut store, &[Record::Run(run(4, "touched later", Some(3)))], 20);
    let mut forget = || {
        let both = |tx: &mut dyn Tx| {
            Ok((output::forget_of_runs(tx, Millis(20), 5)?, output::forget_of_incidents(tx, Millis(20), 5)?))
        };
        writing(&mut store, both).expect("forgotten")
    };
    assert_eq!((forget(), forget()), ((1, 1), (0, 0)));
    let kept = reading(&mut store, |tx| {
        let runs = [1, 3, 4].map(|number| queries::runs::get(tx, RunId(number)));
        let runs: Vec<Run> = runs.into_iter().filter_map(|run| run.transpose()).collect::<Result<_, _>>()?;
        let incidents = [1, 2].map(|number| queries::incidents::get(tx, IncidentId(number)));
        let incidents: Vec<Incident> =
            incidents.into_iter().filter_map(|incident| incident.transpose()).collect::<Result<_, _>>()?;
        Ok((runs, incidents))
    });
    let (runs, incidents) = kept.expect("read");
    let printed: Vec<&str> = runs.iter().map(|run| run.journal[0].stdout.as_str()).collect();
    assert_eq!(printed, [output::ERASED, "of a run that is not settled", "touched later"]);
    assert_eq!((runs[0].journal[0].stderr.as_str(), runs[0].journal[0].exit), ("", Some(0)));
    let texts: Vec<&str> = incidents.iter().map(|incident| incident.attachments[0].text.as_str()).collect();
    assert_eq!(texts, [output::ERASED, "secret"]);
}

pub(super) fn incidents_are_listed_newest_first(database: &Database) {
    let mut store = database.writer().expect("connected");
    let all: Vec<Record> = (1..=7).map(|number| Record::Incident(incident(number, json!({})))).collect();
    save(&mut store, &all, 10);
    let worse = json!({"state": "acknowledged", "title": "100%_full \\ disk", "ci": id(9),
        "priority": {"level": 1, "impact": 1, "urgency": 1, "reasons": [], "set_by": null}});
    save(&mut store, &[Record::Incident(incident(3, worse))], 11);
    let mut numbers = |filter: queries::incidents::Filter, limit| -> Vec<u64> {
        let page = |cursor: Option<&str>| {
            reading(&mut store, |tx| queries::incidents::list(tx, &filter, cursor, limit)).expect("read")
        };
        pages(page, |row| row.id.0)
    };
    let all = queries::incidents::Filter::default;
    for limit in [0, 1, 2, 3, 7, 500, u32::MAX] {
        assert_eq!(numbers(all(), limit), [7, 6, 5, 4, 3, 2, 1], "{limit} a page");
    }
    assert_eq!(
        numbers(queries::incidents::Filter { states: vec![State::Acknowledged, State::Closed], ..all() }, 2),
        [3]
    );
    assert_eq!(numbers(queries::incidents::Filter { priorities: vec![1, 2], ..all() }, 2), [3]);
    assert_eq!(numbers(queries::incidents::Filter { ci: Some(id(9)), ..all() }, 2), [3]);
    for (text, expected) in [("%_", vec![3]), ("\\", vec![3]), ("UNIT 5", vec![5]), ("nothing", vec![])] {
        assert_eq!(numbers(queries::incidents::Filter { text: Some(text.into()), ..all() }, 2), expected, "{text}");
    }
    let error = reading(&mut store, |tx| queries::incidents::list(tx, &all(), Some("x"), 2)).expect_err("refused");
    assert!(error.to_string().starts_with("\"x\" is no cursor of this list"), "{error}");
}

pub(super) fn changes_are_found_by_what_they_touch(database: &Database) {
    let mut store = database.writer().expect("connected");
    save(&mut store, &[Record::Change(change(1, json!({"cis": [id(1), id(2)]})))], 10);
    save(&mut store, &[Record::Change(change(2, json!({"cis": [id(2)], "incident": null})))], 11);
    let mut touching = |number: u8| {
        let filter = queries::changes::Filter { ci: Some(id(number)), ..Default::default() };
        let page = reading(&mut store, |tx| queries::changes::list(tx, &filter, None, 10)).expect("read");
        page.items.iter().map(|row| (row.id.0, row.incident.map(|incident| incident.0))).collect::<Vec<_>>()
    };
    assert_eq!(touching(1), [(1, Some(1))]);
    assert_eq!(touching(2), [(2, None), (1, Some(1))]);
    assert_eq!(touching(3), []);
}

fn problem(number: u64, over: Json) -> Problem {
    let whole = json!({
        "id": format!("PRB-{number}"), "title": "Several failures around host db-1", "state": "new",
        "origin": "correlation", "priority": 3, "group": "linux", "incidents": [], "keys": [], "links": [],
        "candidates": [], "workaround": null, "paging": {}, "opened_at": 3, "opened_by": {"kind": "controller"},
        "resolved_at": null, "resolution": "", "closed_at": null, "merged_into": null, "timeline": [],
        "timeline_before": 0,
    });
    made(whole, over)
}

pub(super) fn problems_are_found_by_their_incidents(database: &Database) {
    let mut store = database.writer().expect("connected");
    let first = problem(1, json!({"incidents": ["INC-1", "INC-2"]}));
    save(&mut store, &[Record::Problem(first)], 10);
    let first = problem(1, json!({"incidents": ["INC-1"], "state": "closed"}));
    let second = problem(2, json!({"incidents": ["INC-2", "INC-3"], "title": "The cable"}));
    save(&mut store, &[Record::Problem(first), Record::Problem(second.clone())], 11);
    let mut found = |filter: queries::problems::Filter| {
        let page = reading(&mut store, |tx| queries::problems::list(tx, &filter, None, 10)).expect("read");
        page.items.iter().map(|row| (row.id.0, row.incidents)).collect::<Vec<_>>()
    };
    let all = queries::problems::Filter::default;
    let with = |number| queries::problems::Filter { incident: Some(IncidentId(number)), ..all() };
    assert_eq!(found(all()), [(2, 2), (1, 1)]);
    assert_eq!((found(with(1)), found(with(2)), found(with(4))), (vec![(1, 1)], vec![(2, 2)], vec![]));
    assert_eq!(found(queries::problems::Filter { text: Some("CABLE".into()), ..all() }), [(2, 2)]);
    let restored = reading(&mut store, records::restore).expect("read");
    assert_eq!(restored, [Record::Problem(second)], "a closed one is not held");
}

pub(super) fn events_are_listed_by_label(database: &Database) {
    let mut store = database.writer().expect("connected");
    for number in 0..20 {
        let labels = [("kind", "unit_failed"), ("unit", if number % 2 == 0 { "nginx.service" } else { "ssh.service" })];
        let event = Event {
            id: format!("spool/{number:02}"),
            agent: "web-1".into(),
            at: Millis(number),
            learned_at: Millis(number / 5),
            labels: labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            text: String::new(),
        };
        for _ in 0..2 {
            store.write(&mut |tx| events::save(tx, &event)).expect("saved, and no more the second time");
        }
    }
    let mut found = |selector: &str, since| {
        let filter = queries::events::Filter {
            selector: Selector::parse(selector).expect("a selector"),
            since: Some(Millis(since)),
            ..Default::default()
        };
        let page = |cursor: Option<&str>| {
            reading(&mut store, |tx| queries::events::list(tx, &filter, cursor, 3)).expect("read")
        };
        pages(page, |event| event.at.0)
    };
    assert_eq!(found("{}", 0), (0..20).rev().collect::<Vec<_>>());
    assert_eq!(found("{unit=~\"nginx.*\"}", 2), [18, 16, 14, 12, 10]);
}

pub(super) fn items_are_listed_by_class_and_attribute(database: &Database) {
    let mut store = database.writer().expect("connected");
    let host = ci(1, "host", &[("fqdn", "web-1.lan", 100)], json!({"name": "web-1"}));
    let units = (2..8).map(|number| {
        let state = if number % 2 == 0 { "active" } else { "failed" };
        Record::Ci(ci(number, "service_unit", &[("active_state", state, 100)], json!({"host": id(1)})))
    });
    let all: Vec<Record> = units.chain([Record::Ci(host)]).collect();
    save(&mut store, &all, 110);
    save(&mut store, &[Record::Ci(ci(8, "service_unit", &[], json!({"lifecycle": "retired"})))], 110);
    let mut names = |filter: queries::cis::Filter| -> Vec<String> {
        let page = |cursor: Option<&str>| {
            reading(&mut store, |tx| queries::cis::list(tx, &filter, None, cursor, 2)).expect("read")
        };
        pages(page, |row| row.name.clone())
    };
    let all = queries::cis::Filter::default;
    assert_eq!(names(all()), ["web-1", "thing-2", "thing-3", "thing-4", "thing-5", "thing-6", "thing-7"]);
    let by = |text: &str| queries::cis::Filter { selector: Selector::parse(text).expect("a selector"), ..all() };
    assert_eq!(names(by("{class=\"service_unit\", active_state!=\"active\"}")), ["thing-3", "thing-5", "thing-7"]);
    assert_eq!(names(queries::cis::Filter { class: Some(Class::Host), ..all() }), ["web-1"]);
    assert_eq!(names(queries::cis::Filter { host: Some(id(1)), text: Some("THING-4".into()), ..all() }), ["thing-4"]);
    assert_eq!(names(queries::cis::Filter { lifecycles: vec!["retired".into()], ..all() }), ["thing-8"]);
}

pub(super) fn an_item_is_told_as_it_was(database: &Database) {
    let mut store = database.writer().expect("connected");
    // Learned 5 ms after it was so: version 1 at 100, version 2 at 200, retired at 300.
    save(
        &mut store,
        &[Record::Ci(ci(1, "software_package", &[("version", "1", 100), ("source", "a", 100)], json!({})))],
        105,
    );
    save(&mut store, &[Record::Ci(ci(1, "software_package", &[("version", "2", 200)], json!({})))], 205);
    let retired = json!({"lifecycle": "retired", "lifecycle_since": {"happened": 300, "learned": 305}});
    save(&mut store, &[Record::Ci(ci(1, "software_package", &[("version", "2", 200)], retired))], 305);
    let mut at = |at: i64, known: i64| {
        let as_of = AsOf { at: Millis(at), known: Millis(known) };
        let found = reading(&mut store, |tx| queries::cis::get_as_of(tx, id(1), as_of)).expect("read");
        let listed =
            reading(&mut store, |tx| queries::cis::list(tx, &Default::default(), Some(as_of), None, 9)).expect("read");
        assert_eq!(
            listed.items.is_empty(),
            found.as_ref().is_none_or(|ci| ci.lifecycle == "retired"),
            "at {at}, known {known}"
        );
        found.map(|ci| {
            let shown =
                ci.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
            format!("{} {shown}", ci.lifecycle)
        })
    };
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(at(99, 999), None, "it was not there yet");
    assert_eq!(at(100, 104), None, "nobody knew yet");
    assert_eq!(at(100, 105), told("in_use source=a version=1"));
    assert_eq!(at(200, 204), told("in_use source=a version=1"), "the news was still on its way");
    assert_eq!(at(199, 999), told("in_use source=a version=1"));
    assert_eq!(at(200, 205), told("in_use source=a version=2"), "what went, went when that was learned");
    assert_eq!(at(205, 205), told("in_use version=2"));
    assert_eq!(at(299, 999), told("in_use version=2"));
    assert_eq!(at(300, 305), told("retired version=2"));
    let history = reading(&mut store, |tx| queries::cis::history(tx, id(1), None, 10)).expect("read");
    let shown: Vec<_> =
        history.iter().map(|held| (held.attribute.as_str(), held.value.as_str(), held.valid_to)).collect();
    let expected = [
        ("lifecycle", "retired", None),
        ("version", "2", None),
        ("lifecycle", "in_use", Some(Millis(300))),
        ("source", "a", Some(Millis(205))),
        ("version", "1", Some(Millis(200))),
    ];
    assert_eq!(shown, expected);
}

pub(super) fn relations_are_told_as_they_were(database: &Database) {
    let mut store = database.writer().expect("connected");
    let things: Vec<Record> = (1..=3).map(|number| Record::Ci(ci(number, "service_unit", &[], json!({})))).collect();
    save(&mut store, &things, 100);
    save(
        &mut store,
        &[Record::Relation(relation(2, "uses", 1, 100, None)), Record::Relation(relation(1, "contains", 3, 100, None))],
        105,
    );
    save(&mut store, &[Record::Relation(relation(2, "uses", 1, 100, Some(200)))], 205);
    save(&mut store, &[Record::Relation(relation(2, "uses", 1, 300, None))], 305);
    let mut at = |as_of: Option<i64>, kind| {
        let filter =
            queries::relations::Filter { kind, as_of: as_of.map(|at| AsOf { at: Millis(at), known: Millis(999) }) };
        let page = |cursor: Option<&str>| {
            reading(&mut store, |tx| queries::relations::of_ci(tx, id(1), &filter, cursor, 1)).expect("read")
        };
        pages(page, |row| format!("{} {}", row.kind, row.other.name))
    };
    assert_eq!(at(None, None), ["contains thing-3", "uses thing-2"]);
    assert_eq!(at(Some(150), None), ["contains thing-3", "uses thing-2"]);
    assert_eq!(at(Some(250), None), ["contains thing-3"]);
    assert_eq!(at(Some(300), Some(RelationKind::Uses)), ["uses thing-2"]);
    assert_eq!(at(Some(99), None), Vec::<String>::new());
    let restored = reading(&mut store, |tx| records::restore(tx)).expect("read");
    let edges: Vec<_> = restored.iter().filter(|record| matches!(record, Record::Relation(_))).cloned().collect();
    let newest =
        [Record::Relation(relation(1, "contains", 3, 100, None)), Record::Relation(relation(2, "uses", 1, 300, None))];
    assert_eq!(edges, newest, "the desk holds each relation once, as it was left");
}
