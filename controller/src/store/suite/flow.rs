//! The outbox, spool marks, generations.

use std::collections::BTreeMap;

use watchkeep_desk::decision::Notice;
use watchkeep_desk::ids::NoticeId;
use watchkeep_desk::{Effect, Millis};

use crate::store::generations::{self, Generation};
use crate::store::spools::{self, SpoolMark};
use crate::store::{Database, Store, StoreError, Tx, outbox, queries, reading, writing};

fn notice(number: u8) -> Effect {
    let content = serde_json::json!({"number": number});
    Effect::Notice(Notice {
        notice: NoticeId([number; 16]),
        why: "opened".into(),
        group: None,
        incident: None,
        problem: None,
        content,
    })
}

fn ids(owed: &[outbox::Owed]) -> Vec<&str> {
    owed.iter().map(|one| &one.id[..2]).collect()
}

pub(super) fn an_effect_waits_until_it_is_done_or_given_up(database: &Database) {
    let mut store = database.writer().expect("connected");
    let (one, two, three) = (outbox::name(&notice(1)).1, outbox::name(&notice(2)).1, outbox::name(&notice(3)).1);
    let mut step = |work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), StoreError>, now: i64, due: &[&str]| {
        store.write(work).expect("written");
        let found = reading(&mut store, |tx| outbox::due(tx, Millis(now), 10)).expect("read");
        assert_eq!(ids(&found), due);
        found
    };
    let owed = step(&mut |tx| outbox::owe(tx, &[notice(2), notice(1)], Millis(10)), 10, &["01", "02"]);
    assert_eq!((owed[0].effect.clone(), owed[0].attempts, owed[0].due_at), (notice(1), 0, Millis(10)));
    step(&mut |tx| outbox::failed(tx, &one, "no route", Millis(50)), 49, &["02"]);
    // The same effect owed again, as after an answer that was lost, is not sent sooner or twice.
    step(&mut |tx| outbox::owe(tx, &[notice(1), notice(3)], Millis(20)), 49, &["02", "03"]);
    step(&mut |tx| outbox::done(tx, &two, Millis(30)), 49, &["03"]);
    step(&mut |tx| outbox::owe(tx, &[notice(2)], Millis(31)), 49, &["03"]);
    let owed = step(&mut |tx| outbox::give_up(tx, &three, "gone", Millis(40)), 50, &["01"]);
    assert_eq!((owed[0].attempts, owed[0].last_error.as_deref()), (1, Some("no route")));
    let dead = reading(&mut store, |tx| queries::outbox::dead_letters(tx, None, 10)).expect("read");
    assert_eq!((ids(&dead.items), dead.items[0].dead_at, dead.next), (vec!["03"], Some(Millis(40)), None));
    let revived =
        writing(&mut store, |tx| Ok((outbox::revive(tx, &three, Millis(60))?, outbox::revive(tx, &two, Millis(60))?)));
    assert_eq!(revived.expect("written"), (true, false));
    assert_eq!(reading(&mut store, |tx| outbox::next_due(tx)).expect("read"), Some(Millis(50)));
    let forgotten = writing(&mut store, |tx| outbox::forget_done(tx, Millis(31), 10)).expect("written");
    assert_eq!(forgotten, 1, "only what was done");
    assert_eq!(ids(&reading(&mut store, |tx| outbox::waiting(tx, 10)).expect("read")), ["01", "03"]);
}

pub(super) fn a_spool_mark_never_goes_back(database: &Database) {
    let mut store = database.writer().expect("connected");
    let mark = |next_matter| SpoolMark {
        spool: "5a".into(),
        agent: "web-1".into(),
        next_matter,
        hashes: vec![0, 255],
        before: Vec::new(),
        before_until: 0,
        condemned: false,
        updated_at: Millis(1),
    };
    store.write(&mut |tx| spools::save(tx, &mark(5))).expect("saved");
    store.write(&mut |tx| spools::save(tx, &mark(9))).expect("saved");
    let error = store.write(&mut |tx| spools::save(tx, &mark(8))).expect_err("refused").to_string();
    assert!(error.contains("spool 5a of agent \"web-1\" would go back to matter 8"), "{error}");
    assert_eq!(reading(&mut store, |tx| spools::get(tx, "web-1", "5a")).expect("read"), Some(mark(9)));
    assert_eq!(reading(&mut store, |tx| spools::of_agent(tx, "web-1", 10)).expect("read"), [mark(9)]);
    assert_eq!(reading(&mut store, |tx| spools::all(tx, ("web-1", "5a"), 10)).expect("read"), []);
    let other = SpoolMark { agent: "web-2".into(), ..mark(1) };
    store.write(&mut |tx| spools::save(tx, &other)).expect("the same spool id under another agent is another spool");
    assert_eq!(reading(&mut store, |tx| spools::all(tx, ("", ""), 10)).expect("read"), [mark(9), other]);
}

pub(super) fn generations_are_kept_by_their_hash(database: &Database) {
    let mut store = database.writer().expect("connected");
    let generation = |hash: &str, at| Generation {
        hash: hash.into(),
        at: Millis(at),
        author: "person:7".into(),
        files: BTreeMap::from([("rules/a.yaml".into(), "groups: []\n".into())]),
    };
    for (hash, at) in [("a", 1), ("b", 2), ("c", 2), ("a", 3)] {
        store.write(&mut |tx| generations::save(tx, &generation(hash, at))).expect("saved");
    }
    assert_eq!(reading(&mut store, |tx| generations::get(tx, "a")).expect("read"), Some(generation("a", 1)));
    let mut list = |before: Option<(Millis, &str)>| {
        reading(&mut store, |tx| generations::list(tx, before, 2))
            .expect("read")
            .into_iter()
            .map(|one| one.hash)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(None), ["c", "b"]);
    assert_eq!(list(Some((Millis(2), "b"))), ["a"]);
}
