//! Who decides: the lease's term, and the fence that holds whatever its term says.

use std::sync::mpsc;

use watchkeep_desk::Millis;

use super::transactions::{A_WHILE, names, set};
use crate::store::lease::{Held, Holder, TERM_MS};
use crate::store::{Database, Store, StoreError, lease};

/// As who takes leases; `place` may be empty.
fn at(place: &str) -> Holder {
    Holder { words: format!("process 7 at \"{place}\""), place: place.to_owned() }
}

/// Takes the lease where it is free.
fn take(store: &mut dyn Store, place: &str, now: i64) -> Result<u64, StoreError> {
    lease::take(store, lease::DESK, &at(place), false, Millis(now))
}

/// Takes the lease, whoever has it.
fn take_over(store: &mut dyn Store, place: &str, now: i64) -> u64 {
    lease::take(store, lease::DESK, &at(place), true, Millis(now)).expect("taken over")
}

fn holder(refused: Result<u64, StoreError>) -> (String, Millis, Millis) {
    match refused {
        Err(StoreError::Held(Held { holder, since, until })) => (holder, since, until),
        other => panic!("it should be held: {other:?}"),
    }
}

pub(super) fn a_lost_lease_fences_the_one_who_held_it(database: &Database) {
    let mut first = database.writer().expect("connected");
    let mut second = database.writer().expect("connected");
    assert_eq!(take(&mut first, "a", 1).expect("taken"), 1);
    first.write(&mut |tx| set(tx, "a")).expect("it holds the lease");
    assert_eq!(take_over(&mut second, "b", 2), 2);
    let error = first.write(&mut |tx| set(tx, "b")).expect_err("fenced");
    assert!(matches!(error, StoreError::Fenced { ours: 1, theirs: 2 }), "{error}");
    let error = first.write_group(&mut [&mut |tx| set(tx, "c")]).expect_err("fenced");
    assert!(matches!(error, StoreError::Fenced { ours: 1, theirs: 2 }), "{error}");
    second.write(&mut |tx| set(tx, "d")).expect("it holds the lease");
    assert_eq!(names(&mut first), ["a", "d"]);
    assert_eq!(take_over(&mut first, "a", 3), 3);
    first.write(&mut |tx| set(tx, "e")).expect("it holds the lease again");
}

pub(super) fn a_lease_is_refused_until_it_runs_out(database: &Database) {
    let (mut first, mut second) = (database.writer().expect("connected"), database.writer().expect("connected"));
    let words = at("a").words;
    assert_eq!(take(&mut first, "a", 1_000).expect("taken"), 1);
    assert_eq!(holder(take(&mut second, "b", 1_001)), (words.clone(), Millis(1_000), Millis(1_000 + TERM_MS)));
    second.write(&mut |tx| set(tx, "b")).expect_err("who was refused writes nothing");
    first.write(&mut |tx| lease::renew(tx, lease::DESK, Millis(5_000))).expect("it is still there");
    let late = 5_000 + TERM_MS;
    assert_eq!(holder(take(&mut second, "b", late - 1)), (words, Millis(1_000), Millis(late)));
    assert_eq!(take(&mut second, "b", late).expect("nobody said anything for a whole term"), 2);
    let error = first.write(&mut |tx| lease::renew(tx, lease::DESK, Millis(late))).expect_err("fenced");
    assert!(matches!(error, StoreError::Fenced { ours: 1, theirs: 2 }), "{error}");
    assert_eq!(holder(take(&mut first, "a", late + 1)).0, at("b").words, "not even from who comes back");
    second.write(&mut |tx| lease::let_go(tx, lease::DESK, Millis(late + 2))).expect("it holds the lease");
    assert_eq!(take(&mut first, "a", late + 2).expect("it was let go"), 3);
}

pub(super) fn whoever_has_the_place_knows_that_its_holder_is_dead(database: &Database) {
    let (mut first, mut second) = (database.writer().expect("connected"), database.writer().expect("connected"));
    assert_eq!(take(&mut first, "a", 1).expect("taken"), 1);
    assert_eq!(take(&mut second, "a", 2).expect("the place changed hands"), 2);
    assert_eq!(take_over(&mut first, "", 3), 3);
    holder(take(&mut second, "", 4));
    let said = take(&mut second, "b", 4).expect_err("no place is known").to_string();
    assert!(said.contains("process 7 at \"\", since 1970-01-01 00:00:00 UTC"), "{said}");
    assert!(said.contains("runs out at 1970-01-01 00:00:15 UTC") && said.contains("--take-over"), "{said}");
}

pub(super) fn of_two_that_find_a_lease_run_out_one_gets_it(database: &Database) {
    take(&mut database.writer().expect("connected"), "dead", 1).expect("taken");
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let both = ["a", "b"]
            .map(|place| scope.spawn(move || take(&mut database.writer().expect("connected"), place, 1 + TERM_MS)));
        both.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    let taken: Vec<_> = outcomes.iter().filter_map(|one| one.as_ref().ok()).collect();
    let refused = outcomes.iter().filter(|one| matches!(one, Err(StoreError::Held(_)))).count();
    assert_eq!((taken, refused), (vec![&2], 1), "{outcomes:?}");
}

pub(super) fn a_take_over_waits_for_the_transaction_under_way(database: &Database) {
    let mut first = database.writer().expect("connected");
    take(&mut first, "a", 1).expect("taken");
    let (begun, wait_begun) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut second = database.writer().expect("connected");
            wait_begun.recv().expect("the first has begun");
            take_over(&mut second, "b", 2);
            assert_eq!(names(&mut second), ["a"], "whoever takes over sees all that was decided before");
        });
        first
            .write(&mut |tx| {
                begun.send(()).expect("the second listens");
                std::thread::sleep(A_WHILE);
                set(tx, "a")
            })
            .expect("it still holds the lease");
    });
    first.write(&mut |tx| set(tx, "b")).expect_err("fenced");
}
