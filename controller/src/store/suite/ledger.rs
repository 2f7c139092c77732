//! What the ledger promises.

use watchkeep_desk::ids::{CommandId, IncidentId, RunId};
use watchkeep_desk::incidents::IncidentFact;
use watchkeep_desk::input::Outcome;
use watchkeep_desk::runbooks::RunFact;
use watchkeep_desk::{Actor, Fact, FactBody, Input, InputBody, Millis, Reason, Subject};

use crate::access::keys::{self, SigningKey};
use crate::ledger::{
    self, Cursor, Direction, Entry, Field, Filter, LedgerSecret, Report, SubjectRef, checkpoint, facts, story, walk,
};
use crate::store::{Database, Store, StoreError, Tx, Value, reading, writing};

const CHAIN: &str = ledger::DESK;

fn secret() -> LedgerSecret {
    LedgerSecret::new([7; 32])
}

fn fact(subject: Subject, note: &str) -> Fact {
    Fact {
        happened_at: Millis(900),
        subject,
        actor: Actor::Person("7".into()),
        reasons: vec![Reason::new("test", "because")],
        body: FactBody::StopSwitch { on: true, note: note.to_owned() },
    }
}

fn append(tx: &mut dyn Tx, order: u64, facts: &[Fact]) -> Result<ledger::Head, StoreError> {
    let input = Input { order, at: Millis(order as i64 * 1_000), generation: "g1".into(), body: InputBody::Due };
    ledger::append(tx, CHAIN, &input, facts, &secret())
}

/// Three inputs with two facts each, and the head signed after the second.
fn filled(database: &Database, key: &SigningKey) -> Box<dyn Store> {
    let mut store = database.writer().expect("connected");
    for order in 1..=3 {
        let facts = [
            fact(Subject::Incident(IncidentId(order)), "a note on what was done"),
            fact(Subject::Run(RunId(order)), "another, of the run"),
        ];
        store.write(&mut |tx| append(tx, order, &facts).map(drop)).expect("appended");
        if order == 2 {
            store.write(&mut |tx| sign(tx, key).map(drop)).expect("signed");
        }
    }
    store
}

fn sign(tx: &mut dyn Tx, key: &SigningKey) -> Result<Option<checkpoint::Checkpoint>, StoreError> {
    checkpoint::sign(tx, CHAIN, Millis(5_000), &crate::access::hex(&key.id()), &|message| key.sign(message))
}

fn verify_with(tx: &mut dyn Tx, key: &SigningKey) -> Result<Report, StoreError> {
    let id = crate::access::hex(&key.id());
    walk(tx, &|key_id, message, signature| key_id == id && keys::verify(key.public_key(), message, signature))
}

/// Runs `harm` on the ledger, verifies, and takes the harm back; none where the database itself refused the harm.
fn verdict(
    store: &mut dyn Store,
    key: &SigningKey,
    harm: &mut dyn FnMut(&mut dyn Tx) -> Result<u64, StoreError>,
) -> Option<Report> {
    let mut report = None;
    store
        .write(&mut |tx| {
            if harm(tx)? == 1 {
                report = Some(verify_with(tx, key)?);
            }
            Err(StoreError::Schema("taken back".into()))
        })
        .expect_err("taken back");
    report
}

pub(super) fn an_unharmed_chain_holds(database: &Database) {
    let key = SigningKey::generate();
    let empty = reading(&mut database.writer().expect("connected"), |tx| verify_with(tx, &key)).expect("read");
    assert_eq!(empty.to_string(), "the ledger is empty");
    let mut store = filled(database, &key);
    let head = reading(&mut store, |tx| ledger::head(tx, CHAIN)).expect("read");
    let report = reading(&mut store, |tx| verify_with(tx, &key)).expect("read");
    let expected = format!("the ledger holds\n  chain \"desk\": 6 entries to {}, 1 signed checkpoint", head.short());
    assert_eq!(report.to_string(), expected);
    assert_eq!((report.chains[0].entries, report.chains[0].head.clone()), (6, head));
}

/// The hash of one known entry, worked out apart from this code by the words at the head of the ledger's module.
pub(super) fn the_way_of_hashing_stays(database: &Database) {
    let mut store = database.writer().expect("connected");
    let head =
        writing(&mut store, |tx| append(tx, 1, &[fact(Subject::Incident(IncidentId(1)), "ü")])).expect("appended");
    assert_eq!(crate::access::hex(&head.hash), "7c75bd360af34010f563979fc93540fb0bcee28f8e9e599681ce2bd682748dcf");
}

pub(super) fn an_input_is_appended_once(database: &Database) {
    let mut store = database.writer().expect("connected");
    let one = [fact(Subject::Controller, "once")];
    store.write(&mut |tx| append(tx, 1, &one).map(drop)).expect("appended");
    store.write(&mut |tx| append(tx, 1, &one).map(drop)).expect_err("input 1 has its facts");
    assert_eq!(reading(&mut store, |tx| ledger::head(tx, CHAIN)).expect("read").seq, 1);
}

const COLUMNS: [(&str, &str); 24] = [
    ("ledger", "chain"),
    ("ledger", "seq"),
    ("ledger", "happened_at"),
    ("ledger", "learned_at"),
    ("ledger", "subject_kind"),
    ("ledger", "subject_id"),
    ("ledger", "actor"),
    ("ledger", "kind"),
    ("ledger", "cause"),
    ("ledger", "ordinal"),
    ("ledger", "generation"),
    ("ledger", "body_hash"),
    ("ledger", "prev"),
    ("ledger", "hash"),
    ("ledger_body", "chain"),
    ("ledger_body", "seq"),
    ("ledger_body", "salt"),
    ("ledger_body", "body"),
    ("checkpoint", "chain"),
    ("checkpoint", "seq"),
    ("checkpoint", "hash"),
    ("checkpoint", "at"),
    ("checkpoint", "key_id"),
    ("checkpoint", "signature"),
];

/// Every byte of every column of every row, one bit at a time, each bit of a byte in its turn.
pub(super) fn one_flipped_byte_is_found_and_named(database: &Database) {
    let key = SigningKey::generate();
    let mut store = filled(database, &key);
    let mut flipped = 0;
    for (table, column) in COLUMNS {
        let sql = format!("SELECT seq, {column} FROM {table} ORDER BY seq LIMIT 100");
        for row in reading(&mut store, |tx| tx.query(&sql, &[])).expect("read") {
            let (Value::Int(seq), value) = (&row[0], &row[1]) else { panic!("{row:?}") };
            for harmed in flips(value) {
                let found = verdict(&mut store, &key, &mut |tx| overwrite(tx, table, column, *seq, &harmed));
                // A database that refuses such a value (a key twice, text that is none) cannot come to hold it so.
                let Some(report) = found else { continue };
                flipped += 1;
                let place = format!("{table}.{column} of {seq}: {value:?} as {harmed:?}: {report}");
                named(&report, table, column, *seq).unwrap_or_else(|| panic!("{place}"));
            }
        }
    }
    assert!(flipped > 2_000, "only {flipped} bytes were flipped");
}

/// The fault that names the place.
fn named(report: &Report, table: &str, column: &str, seq: i64) -> Option<()> {
    let field = match (table, column) {
        // The entry is gone from its place.
        (_, "chain" | "seq") => return (!report.holds()).then_some(()),
        ("ledger", "prev") => Field::Link,
        ("ledger", _) => Field::Header,
        ("ledger_body", _) => Field::Body,
        _ => Field::Checkpoint,
    };
    report.faults.iter().find(|fault| fault.chain == CHAIN && fault.seq == seq && fault.field == field).map(drop)
}

/// The value with one bit of one byte turned over, for each of its bytes.
fn flips(value: &Value) -> Vec<Value> {
    let turned = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1 << (at % 8);
        bytes
    };
    match value {
        Value::Int(number) => {
            let bytes = number.to_be_bytes();
            let back = |at| i64::from_be_bytes(turned(&bytes, at).try_into().expect("eight bytes"));
            (0..8).map(|at| Value::Int(back(at))).collect()
        }
        Value::Text(text) => {
            let bytes = text.as_bytes();
            let back =
                |at| String::from_utf8(turned(bytes, at)).map_or_else(|error| error.into_bytes().into(), Value::Text);
            (0..bytes.len()).map(back).collect()
        }
        Value::Blob(bytes) => (0..bytes.len()).map(|at| turned(bytes, at).into()).collect(),
        Value::Real(_) | Value::Null => Vec::new(),
    }
}

/// Writes the harmed value past every check, as damage on a disk would. 0 where the database refuses it.
fn overwrite(tx: &mut dyn Tx, table: &str, column: &str, seq: i64, value: &Value) -> Result<u64, StoreError> {
    let as_text =
        matches!(value, Value::Blob(_)) && !["body_hash", "prev", "hash", "salt", "signature"].contains(&column);
    let place = if as_text { "CAST($1 AS TEXT)" } else { "$1" };
    let sql = format!("UPDATE {table} SET {column} = {place} WHERE seq = $2");
    let mut touched = 0;
    let outcome = tx.savepoint(&mut |tx| {
        touched = tx.execute(&sql, &[value.clone(), seq.into()])?;
        Ok(())
    });
    Ok(if outcome.is_ok() { touched } else { 0 })
}

pub(super) fn what_was_taken_away_is_missed(database: &Database) {
    let key = SigningKey::generate();
    let mut store = filled(database, &key);
    let mut after = |sql: &str| {
        let report = verdict(&mut store, &key, &mut |tx| tx.execute(sql, &[]).map(|touched| touched.min(1)));
        report.expect("harmed").faults.first().map(ToString::to_string).unwrap_or_default()
    };
    for (harm, expected) in [
        (
            "DELETE FROM ledger WHERE seq = 3",
            "chain \"desk\", entry 3, sequence: missing; the next one that is there says 4",
        ),
        ("DELETE FROM ledger_body WHERE seq = 3", "chain \"desk\", entry 3, body: it is missing, and was not erased"),
        ("DELETE FROM ledger WHERE seq = 6", "chain \"desk\", entry 6, body: it belongs to no entry"),
        (
            "DELETE FROM ledger WHERE seq >= 4",
            "chain \"desk\", entry 4, checkpoint: it was signed, but the chain ends at 3: entries were cut off",
        ),
        ("UPDATE ledger_body SET salt = NULL WHERE seq = 2", "chain \"desk\", entry 2, body: it has the hash "),
    ] {
        let found = after(harm);
        assert!(found.starts_with(expected), "{harm}: {found}");
    }
}

pub(super) fn a_chain_written_anew_breaks_its_checkpoint(database: &Database) {
    let key = SigningKey::generate();
    let mut store = filled(database, &key);
    let mut rewrite = |tx: &mut dyn Tx| {
        tx.execute("DELETE FROM ledger WHERE seq >= 3", &[])?;
        tx.execute("DELETE FROM ledger_body WHERE seq >= 3", &[])?;
        append(tx, 2, &[fact(Subject::Controller, "what never was"), fact(Subject::Controller, "nor this")])?;
        Ok(1)
    };
    let report = verdict(&mut store, &key, &mut rewrite).expect("harmed");
    let fault = &report.faults[0];
    assert_eq!((fault.seq, fault.field), (4, Field::Checkpoint), "{report}");
    assert!(
        report.to_string().starts_with("the ledger does not hold\n  chain \"desk\", entry 4, checkpoint: "),
        "{report}"
    );
    let stranger = SigningKey::generate();
    let report = reading(&mut store, |tx| verify_with(tx, &stranger)).expect("read");
    assert!(report.to_string().contains("its signature is not one of the key"), "{report}");
}

/// A step that ended, having printed this.
fn ended(stdout: &str, stderr: &str) -> Fact {
    let body = RunFact::StepEnded {
        step: 0,
        name: "Look".into(),
        attempt: 1,
        command: CommandId([1; 16]),
        outcome: Outcome::Done,
        exit: Some(0),
        stdout: stdout.into(),
        stderr: stderr.into(),
        cut: 0,
        started_at: Millis(1),
        finished_at: Millis(2),
        changed: false,
        refusal: None,
        reason: String::new(),
    };
    Fact { body: FactBody::Run(body), ..fact(Subject::Run(RunId(1)), "") }
}

pub(super) fn what_commands_printed_is_erased_and_what_printed_nothing_stays(database: &Database) {
    let attached = IncidentFact::Attached { run: RunId(1), name: "log.stdout".into(), text: String::new(), cut: 0 };
    let attached = Fact { body: FactBody::Incident(attached), ..fact(Subject::Incident(IncidentId(1)), "") };
    // What a command printed may look like the end of a fact.
    let facts = [
        ended("out", ""),
        ended("", ""),
        ended("", "err"),
        attached,
        fact(Subject::Run(RunId(1)), "a note"),
        ended("\"stdout\":\"\",\"stderr\":\"\"", ""),
    ];
    let mut store = database.writer().expect("connected");
    for order in 1..=2 {
        store.write(&mut |tx| append(tx, order, &facts).map(drop)).expect("appended");
    }
    let mut erase =
        |limit| writing(&mut store, |tx| ledger::erase_output(tx, CHAIN, Millis(2_000), limit)).expect("erased");
    assert_eq!((erase(3), erase(3), erase(3)), (3, 1, 0), "of the first input, learned at 1 s");
    let left =
        reading(&mut store, |tx| tx.query("SELECT seq FROM ledger_body WHERE body IS NOT NULL ORDER BY seq", &[]));
    let left: Vec<Value> = left.expect("read").into_iter().flatten().collect();
    assert_eq!(left, [2, 5, 7, 8, 9, 10, 11, 12].map(Value::Int));
}

pub(super) fn an_erased_body_leaves_a_chain_that_holds(database: &Database) {
    let key = SigningKey::generate();
    let mut store = filled(database, &key);
    let erased =
        writing(&mut store, |tx| Ok((ledger::erase(tx, CHAIN, 2)?, ledger::erase(tx, CHAIN, 2)?))).expect("erased");
    assert_eq!(erased, (true, false));
    let older = writing(&mut store, |tx| ledger::erase_before(tx, CHAIN, Millis(2_001), 2)).expect("erased");
    assert_eq!(older, 2, "1 and 3; 2 is erased already, 4 is past the limit");
    let report = reading(&mut store, |tx| verify_with(tx, &key)).expect("read");
    assert!(report.holds(), "{report}");
    assert_eq!(report.chains[0].erased, 3);
    assert!(report.to_string().contains(", 3 bodies erased and their hashes kept"), "{report}");
    let left = reading(&mut store, |tx| {
        tx.query("SELECT seq FROM ledger_body WHERE body IS NOT NULL OR salt IS NOT NULL", &[])
    });
    assert_eq!(left.expect("read").len(), 3, "salt and body are gone");
    let told =
        reading(&mut store, |tx| story(tx, &[SubjectRef::new("run", "RUN-1")], ledger::NEWEST, 10)).expect("read");
    assert_eq!((told.len(), told[0].kind.as_str(), told[0].fact.as_ref()), (1, "stop_switch", None));
}

pub(super) fn facts_are_read_by_filter_and_cursor(database: &Database) {
    let mut store = filled(database, &SigningKey::generate());
    let mut read = |filter: Filter, from: u64, direction, limit| -> Vec<u64> {
        let cursor = Cursor { chain: CHAIN.to_owned(), seq: from };
        let found = reading(&mut store, |tx| facts(tx, &filter, &cursor, direction, limit)).expect("read");
        found.iter().map(|entry: &Entry| entry.cursor.seq).collect()
    };
    use Direction::{Backward, Forward};
    let all = Filter::default;
    assert_eq!(read(all(), 0, Forward, 4), [1, 2, 3, 4]);
    assert_eq!(read(all(), 4, Forward, 4), [5, 6]);
    assert_eq!(read(all(), i64::MAX as u64, Backward, 2), [6, 5]);
    assert_eq!(read(all(), 5, Backward, 500), [4, 3, 2, 1]);
    let about = |subjects: &[(&str, &str)]| Filter {
        subjects: subjects.iter().map(|(kind, id)| SubjectRef::new(kind, *id)).collect(),
        ..all()
    };
    assert_eq!(read(about(&[("incident", "INC-2")]), 0, Forward, 9), [3]);
    assert_eq!(read(about(&[("incident", "INC-2"), ("run", "RUN-3")]), 0, Forward, 9), [3, 6]);
    assert_eq!(read(Filter { kind: Some("stop_switch".into()), ..all() }, 0, Forward, 9).len(), 6);
    assert!(read(Filter { kind: Some("incident.".into()), ..all() }, 0, Forward, 9).is_empty());
    assert_eq!(read(Filter { since: Some(Millis(3_000)), ..all() }, 0, Forward, 9), [5, 6]);
    assert_eq!(read(Filter { cause: Some(2), ..all() }, 0, Forward, 9), [3, 4]);
    let first = reading(&mut store, |tx| story(tx, &[SubjectRef::new("incident", "INC-1")], ledger::NEWEST, 1))
        .expect("read")
        .remove(0);
    assert_eq!(first.cursor.to_string(), "desk:1");
    assert_eq!((first.happened_at, first.learned_at, first.actor.as_str()), (Millis(900), Millis(1_000), "person:7"));
    let fact: Fact = serde_json::from_value(first.fact.expect("not erased")).expect("a fact");
    assert_eq!(fact.reasons[0].sentence, "because");
}
