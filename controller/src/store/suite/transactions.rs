//! What a transaction promises.

use std::time::Duration;

use crate::store::{Database, Store, StoreError, Tx, Value, reading, writing};

pub(super) fn set(tx: &mut dyn Tx, name: &str) -> Result<(), StoreError> {
    tx.execute("INSERT INTO setting (name, updated_at, body) VALUES ($1, 1, 'null')", &[name.into()]).map(drop)
}

pub(super) fn names(store: &mut dyn Store) -> Vec<String> {
    let rows = reading(store, |tx| tx.query("SELECT name FROM setting ORDER BY name LIMIT 100", &[])).expect("read");
    rows.into_iter()
        .map(|row| match row.as_slice() {
            [Value::Text(name)] => name.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn refusal() -> StoreError {
    StoreError::Corrupt { table: "setting", found: "a test says so".to_owned() }
}

pub(super) fn an_error_rolls_all_of_it_back(database: &Database) {
    let mut store = database.writer().expect("connected");
    let error = store.write(&mut |tx| set(tx, "a").and(Err(refusal()))).expect_err("refused");
    assert_eq!(error.to_string(), "setting: a test says so");
    assert_eq!(names(&mut store), Vec::<String>::new());
    store.write(&mut |tx| set(tx, "b")).expect("the connection is as good as before");
    assert_eq!(names(&mut store), ["b"]);
}

pub(super) fn a_swallowed_error_still_rolls_back(database: &Database) {
    let mut store = database.writer().expect("connected");
    let error = store
        .write(&mut |tx| {
            set(tx, "a")?;
            set(tx, "a").expect_err("the name is taken");
            tx.query("SELECT 1", &[]).expect_err("nothing goes on after a failure");
            Ok(())
        })
        .expect_err("refused");
    assert!(error.to_string().starts_with("not kept, since a statement in it failed: run \"INSERT"), "{error}");
    assert_eq!(names(&mut store), Vec::<String>::new());
}

pub(super) fn a_failing_work_of_a_group_rolls_back_alone(database: &Database) {
    let mut store = database.writer().expect("connected");
    let outcomes = store
        .write_group(&mut [
            &mut |tx| set(tx, "a"),
            &mut |tx| set(tx, "b").and(Err(refusal())),
            &mut |tx| set(tx, "c").and_then(|()| set(tx, "a")),
            &mut |tx| {
                set(tx, "d")?;
                set(tx, "d").unwrap_or_default();
                Ok(())
            },
            &mut |tx| set(tx, "e"),
        ])
        .expect("committed");
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, false, true]);
    assert_eq!(names(&mut store), ["a", "e"]);
}

pub(super) fn a_savepoint_within_a_savepoint_rolls_back_alone(database: &Database) {
    let mut store = database.writer().expect("connected");
    store
        .write(&mut |tx| {
            tx.savepoint(&mut |tx| {
                set(tx, "outer")?;
                tx.savepoint(&mut |tx| set(tx, "inner").and(Err(refusal()))).expect_err("refused");
                set(tx, "after")
            })
        })
        .expect("committed");
    assert_eq!(names(&mut store), ["after", "outer"]);
}

pub(super) fn a_read_refuses_to_write(database: &Database) {
    let mut store = database.writer().expect("connected");
    store.read(&mut |tx| set(tx, "a")).expect_err("refused");
    assert_eq!(names(&mut store), Vec::<String>::new());
    store.write(&mut |tx| set(tx, "b")).expect("writing goes on");
}

pub(super) fn a_read_sees_one_snapshot(database: &Database) {
    let mut store = database.writer().expect("connected");
    let count = |tx: &mut dyn Tx| tx.query("SELECT COUNT(*) FROM setting", &[]);
    let (before, after) = database
        .readers(1)
        .read(|tx| {
            let before = count(tx)?;
            store.write(&mut |tx| set(tx, "a")).expect("a reader keeps no writer waiting");
            Ok((before, count(tx)?))
        })
        .expect("read");
    assert_eq!(before, after);
    assert_eq!(names(&mut store), ["a"]);
}

pub(super) fn every_kind_of_value_comes_back(database: &Database) {
    let mut store = database.writer().expect("connected");
    let bytes: Vec<u8> = (0..=255).collect();
    let text = "quotes ' \" and $1, ümlaut, 😀, \\, \n";
    let row: Vec<Value> =
        vec![text.into(), "agent".into(), Value::Int(i64::MAX), Value::from(bytes), Value::Int(i64::MIN)];
    let found = writing(&mut store, |tx| {
        let columns = "spool, agent, next_matter, hashes, updated_at";
        tx.execute(&format!("INSERT INTO spool_mark ({columns}) VALUES ($1, $2, $3, $4, $5)"), &row)?;
        tx.query(&format!("SELECT {columns} FROM spool_mark LIMIT 2"), &[])
    })
    .expect("kept");
    assert_eq!(found, [row]);
    let nothing =
        reading(&mut store, |tx| tx.query("SELECT MAX(due_at), MAX(last_error) FROM outbox", &[])).expect("read");
    assert_eq!(nothing, [vec![Value::Null, Value::Null]]);
}

pub(super) fn places_go_by_their_number(database: &Database) {
    let mut store = database.writer().expect("connected");
    store.write(&mut |tx| set(tx, "a").and_then(|()| set(tx, "b"))).expect("written");
    let sql = "SELECT name FROM setting WHERE name >= $2 AND name < $1 AND name <> '$2' LIMIT 10";
    let found = reading(&mut store, |tx| tx.query(sql, &["b".into(), "a".into()])).expect("read");
    assert_eq!(found, [vec![Value::from("a")]]);
}

pub(super) fn a_pool_lends_its_connections_in_turn(database: &Database) {
    let pool = database.readers(2);
    let read = |tx: &mut dyn Tx| tx.query("SELECT COUNT(*) FROM setting", &[]);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8).map(|_| scope.spawn(|| pool.read(read))).collect();
        for reader in readers {
            assert_eq!(reader.join().expect("no panic").expect("read"), [vec![Value::Int(0)]]);
        }
    });
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..2 {
            pool.read::<()>(|_| panic!("on purpose, in a reader")).unwrap_or_default();
        }
    }));
    assert!(panicked.is_err());
    pool.read(read).expect("a panic costs its connection, not the pool's place");
    pool.read(|tx| tx.query("SELECT nothing FROM nowhere", &[])).expect_err("no such table");
    pool.read(read).expect("an error costs nothing");
}

/// Long enough for the other thread to run into what it must wait for.
pub(super) const A_WHILE: Duration = Duration::from_millis(300);

pub(super) fn two_that_wait_for_each_other_both_get_through(database: &Database) {
    let mut store = database.writer().expect("connected");
    store.write(&mut |tx| set(tx, "a").and_then(|()| set(tx, "b"))).expect("written");
    let update = |tx: &mut dyn Tx, name: &str| {
        tx.execute("UPDATE setting SET updated_at = updated_at + 1 WHERE name = $1", &[name.into()]).map(drop)
    };
    let both = |first: &'static str, second: &'static str| {
        move || {
            let mut store = database.writer().expect("connected");
            let mut work = |tx: &mut dyn Tx| {
                update(tx, first)?;
                std::thread::sleep(A_WHILE);
                update(tx, second)
            };
            store
                .write_group(&mut [&mut work])
                .expect("committed")
                .remove(0)
                .expect("done, if not at the first attempt");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(both("a", "b"));
        scope.spawn(both("b", "a"));
    });
    let rows =
        reading(&mut store, |tx| tx.query("SELECT updated_at FROM setting ORDER BY name LIMIT 9", &[])).expect("read");
    assert_eq!(rows, [[Value::Int(3)], [Value::Int(3)]], "each once");
}
