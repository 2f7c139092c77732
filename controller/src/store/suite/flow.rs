//! The outbox, spool marks, generations.

use std::collections::BTreeMap;

use watchkeep_desk::decision::Notice;
use watchkeep_desk::ids::NoticeId;
use watchkeep_desk::{Effect, Millis};

use crate::store::generations::{self, Generation};
use crate::store::outbox::Errand;
use crate::store::queries::notices::{Filter, State};
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

/// The first digits of each id, with its channel.
fn errands(owed: &[outbox::Owed]) -> Vec<String> {
    owed.iter().map(|one| format!("{} {}", &one.errand.id[..2], one.errand.channel)).collect()
}

fn errand(number: u8, channel: &str) -> Errand {
    Errand { id: outbox::name(&notice(number)).1, channel: channel.to_owned() }
}

fn channels(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(super) fn an_effect_waits_until_it_is_done_or_given_up(database: &Database) {
    let mut store = database.writer().expect("connected");
    let a = channels(&["a"]);
    let mut step = |work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), StoreError>, now: i64, due: &[&str]| {
        store.write(work).expect("written");
        let found = reading(&mut store, |tx| outbox::due(tx, Millis(now), 10)).expect("read");
        assert_eq!(errands(&found), due);
        found
    };
    let owed = step(&mut |tx| outbox::owe(tx, &[notice(2), notice(1)], &a, Millis(10)), 10, &["01 a", "02 a"]);
    assert_eq!((owed[0].effect.clone(), owed[0].attempts, owed[0].due_at), (notice(1), 0, Millis(10)));
    step(&mut |tx| outbox::failed(tx, &errand(1, "a"), "no route", Millis(50)), 49, &["02 a"]);
    // The same effect owed again, as after an answer that was lost, is not sent sooner or twice.
    step(&mut |tx| outbox::owe(tx, &[notice(1), notice(3)], &a, Millis(20)), 49, &["02 a", "03 a"]);
    step(&mut |tx| outbox::done(tx, &errand(2, "a"), Millis(30)), 49, &["03 a"]);
    step(&mut |tx| outbox::owe(tx, &[notice(2)], &a, Millis(31)), 49, &["03 a"]);
    let owed = step(&mut |tx| outbox::give_up(tx, &errand(3, "a"), "gone", Millis(40)), 50, &["01 a"]);
    assert_eq!((owed[0].attempts, owed[0].last_error.as_deref()), (1, Some("no route")));
    assert_eq!(reading(&mut store, |tx| outbox::next_due(tx)).expect("read"), Some(Millis(50)));
    let forgotten = writing(&mut store, |tx| outbox::forget_done(tx, Millis(31), 10)).expect("written");
    assert_eq!(forgotten, 1, "what was done, and not what was given up later");
    assert_eq!(errands(&reading(&mut store, |tx| outbox::waiting(tx, 10)).expect("read")), ["01 a"]);
    assert_eq!(writing(&mut store, |tx| outbox::forget_done(tx, Millis(41), 10)).expect("written"), 1);
}

pub(super) fn each_channel_of_a_notice_goes_its_own_way(database: &Database) {
    let mut store = database.writer().expect("connected");
    let both = channels(&["a", "b"]);
    store.write(&mut |tx| outbox::owe(tx, &[notice(1), notice(2)], &both, Millis(10))).expect("owed");
    store.write(&mut |tx| outbox::owe(tx, &[notice(3)], &[], Millis(11))).expect("owed to nobody");
    store
        .write(&mut |tx| {
            outbox::done(tx, &errand(1, "a"), Millis(20))?;
            outbox::failed(tx, &errand(1, "b"), "no route", Millis(90))?;
            outbox::give_up(tx, &errand(2, "b"), "gone", Millis(21))
        })
        .expect("noted");
    let mut due = |known: &[&str], limit| {
        let known = channels(known);
        let found = reading(&mut store, |tx| outbox::due_notices(tx, &known, Millis(50), limit));
        errands(&found.expect("read"))
    };
    assert_eq!(due(&["a", "b"], 10), ["02 a", "03 "]);
    assert_eq!(due(&["b"], 10), ["02 a", "03 "], "a channel that is not set up any more is not forgotten");
    assert_eq!(due(&[], 1), ["02 a"]);

    // What went nowhere goes to those that are set up now; what was given up, and what was delivered, as a person says.
    store.write(&mut |tx| outbox::send_to(tx, &errand(3, "").id, &both, Millis(30))).expect("sent");
    store.write(&mut |tx| outbox::send_to(tx, &errand(2, "").id, &channels(&["b"]), Millis(31))).expect("sent");
    store.write(&mut |tx| outbox::send_to(tx, &errand(1, "").id, &channels(&["a", "c"]), Millis(32))).expect("sent");
    store.write(&mut |tx| outbox::send_to(tx, &errand(9, "").id, &both, Millis(33))).expect("there is none");
    let found = reading(&mut store, |tx| outbox::due(tx, Millis(50), 20)).expect("read");
    assert_eq!(errands(&found), ["02 a", "03 a", "03 b", "02 b", "01 a", "01 c"]);
    assert!(found.iter().all(|owed| owed.attempts == 0 && owed.effect != notice(9)), "{found:?}");
    assert_eq!(found[5].effect, notice(1));
}

pub(super) fn notices_are_listed_by_state_and_channel(database: &Database) {
    let mut store = database.writer().expect("connected");
    let both = channels(&["a", "b:1"]);
    for number in 1..=3 {
        store.write(&mut |tx| outbox::owe(tx, &[notice(number)], &both, Millis(number.into()))).expect("owed");
    }
    store.write(&mut |tx| outbox::done(tx, &errand(1, "a"), Millis(20))).expect("noted");
    store.write(&mut |tx| outbox::failed(tx, &errand(2, "a"), "no route", Millis(90))).expect("noted");
    store.write(&mut |tx| outbox::give_up(tx, &errand(3, "b:1"), "gone", Millis(21))).expect("noted");
    let mut list = |filter: Filter, cursor: Option<&str>, limit| {
        let page = reading(&mut store, |tx| queries::notices::list(tx, &filter, cursor, limit)).expect("read");
        let rows = page.items.iter().map(|row| format!("{} {} {}", &row.id[..2], row.channel, row.state));
        (rows.collect::<Vec<_>>(), page)
    };
    let all = ["03 b:1 dead", "03 a waiting", "02 b:1 waiting", "02 a waiting", "01 b:1 waiting", "01 a delivered"];
    assert_eq!(list(Filter::default(), None, 10).0, all);
    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let (rows, page) = list(Filter::default(), cursor.as_deref(), 1);
        paged.extend(rows);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, all, "page by page");
    let of = |states: &[State]| Filter { states: states.to_vec(), ..Filter::default() };
    assert_eq!(list(of(&[State::Dead, State::Delivered]), None, 10).0, [all[0], all[5]]);
    let on = Filter { channel: Some("a".into()), states: vec![State::Waiting], ..Filter::default() };
    let (rows, page) = list(on, None, 10);
    assert_eq!(rows, [all[1], all[3]]);
    let failed = &page.items[1];
    assert_eq!((failed.attempts, failed.last_error.as_deref()), (1, Some("no route")));
    assert_eq!((failed.next_try_at, failed.delivered_at), (Some(Millis(90)), None));
    assert_eq!(reading(&mut store, queries::notices::in_trouble).expect("read"), (1, 1));
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
