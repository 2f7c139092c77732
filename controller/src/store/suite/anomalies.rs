//! Let the n-th statement or commit fail, for n = 1, 2, 3 … until none is left: nothing is lost, nothing is doubled.

use std::collections::BTreeMap;

use watchkeep_desk::decision::Notice;
use watchkeep_desk::ids::NoticeId;
use watchkeep_desk::{Actor, Decision, Effect, Fact, FactBody, Input, InputBody, Millis, Reason, Record, Subject};

use crate::ledger::{self, LedgerSecret};
use crate::store::failing::{Failing, Fault};
use crate::store::spools::{self, SpoolMark};
use crate::store::{
    Columns, Database, Store, StoreError, Tx, Value, events, marks, outbox, reading, records, settle::settle,
};

const CHAIN: &str = "desk";

/// A matter from a spool, as the controller commits it.
fn matter(tx: &mut dyn Tx, number: u64, secret: &LedgerSecret) -> Result<(), StoreError> {
    let order = number + 1;
    let input = Input { order, at: Millis(order as i64), generation: "g".into(), body: InputBody::Due };
    settle(tx, CHAIN, &input, &decision(order), secret)?;
    events::save(
        tx,
        &events::Event {
            id: format!("spool/{number}"),
            agent: "web-1".into(),
            at: Millis(order as i64),
            learned_at: Millis(order as i64),
            labels: BTreeMap::from([("kind".into(), "test".into())]),
            text: String::new(),
        },
    )?;
    spools::save(
        tx,
        &SpoolMark {
            spool: "spool".into(),
            agent: "web-1".into(),
            next_matter: number + 1,
            hashes: vec![number as u8],
            before: Vec::new(),
            before_until: 0,
            condemned: false,
            updated_at: Millis(order as i64),
        },
    )
}

/// Two facts, one effect and a counter.
fn decision(order: u64) -> Decision {
    let fact = |note: &str| Fact {
        happened_at: Millis(order as i64),
        subject: Subject::Controller,
        actor: Actor::Controller,
        reasons: vec![Reason::new("test", "because")],
        body: FactBody::StopSwitch { on: true, note: format!("{note} {order}") },
    };
    let mut id = [0; 16];
    id[8..].copy_from_slice(&order.to_be_bytes());
    let notice = Notice {
        notice: NoticeId(id),
        why: "opened".into(),
        group: None,
        incident: None,
        problem: None,
        content: serde_json::Value::Null,
    };
    Decision {
        facts: vec![fact("first"), fact("second")],
        effects: vec![Effect::Notice(notice)],
        changed: vec![Record::Setting { name: "counter".into(), value: order.into() }],
        refused: None,
    }
}

/// How many matters are in, as the spool's mark says; after an error the controller asks, as it does at a start.
fn next_matter(store: &mut dyn Store) -> u64 {
    reading(store, |tx| spools::get(tx, "web-1", "spool")).expect("read").map_or(0, |mark| mark.next_matter)
}

/// That exactly the matters below `count` are in, each once, in every table.
fn check(store: &mut dyn Store, count: u64) {
    reading(store, |tx| {
        assert_eq!(ledger::head(tx, CHAIN)?.seq, 2 * count, "facts");
        assert_eq!(marks::committed(tx, CHAIN)?.map_or(0, |(order, _)| order), count, "input mark");
        assert_eq!(outbox::waiting(tx, 500)?.len() as u64, count, "effects");
        let rows = tx.query("SELECT COUNT(*) FROM event", &[])?.remove(0);
        assert_eq!(Columns::new("event", rows).count()?, count, "events");
        let counter = match records::restore(tx)?.pop() {
            Some(Record::Setting { value, .. }) => value.as_u64(),
            _ => None,
        };
        assert_eq!(counter.unwrap_or(0), count, "records");
        let facts = tx.query("SELECT cause, ordinal FROM ledger ORDER BY seq LIMIT 500", &[])?;
        let expected = (1..=count as i64).flat_map(|cause| [0, 1].map(|at| vec![Value::Int(cause), Value::Int(at)]));
        assert_eq!(facts, expected.collect::<Vec<_>>(), "facts in order");
        Ok(())
    })
    .expect("read");
}

pub(super) fn nothing_is_lost_or_doubled_wherever_it_fails(database: &Database) {
    const MATTERS_A_ROUND: u64 = 2;
    let secret = LedgerSecret::new([7; 32]);
    let fault = Fault::default();
    let mut store = Failing::new(database.writer().expect("connected"), fault.clone());
    let mut wanted = 0;
    for step in 1.. {
        fault.arm(step);
        wanted += MATTERS_A_ROUND;
        let mut failures = 0;
        while next_matter(&mut store) < wanted {
            let number = next_matter(&mut store);
            if store.write(&mut |tx| matter(tx, number, &secret)).is_err() {
                failures += 1;
                assert_eq!(failures, 1, "step {step} fails once");
            }
        }
        check(&mut store, wanted);
        if !fault.struck() {
            assert!(step > 20, "there are more than {step} steps in two matters");
            return;
        }
    }
}

pub(super) fn a_group_fails_whole_or_not_at_all(database: &Database) {
    let secret = LedgerSecret::new([7; 32]);
    let fault = Fault::default();
    let mut store = Failing::new(database.writer().expect("connected"), fault.clone());
    for step in 1.. {
        let begin = next_matter(&mut store);
        fault.arm(step);
        let mut first = |tx: &mut dyn Tx| matter(tx, begin, &secret);
        let mut second = |tx: &mut dyn Tx| matter(tx, begin + 1, &secret);
        let outcome = store.write_group(&mut [&mut first, &mut second]);
        let taken = next_matter(&mut store) - begin;
        match outcome {
            // A work that failed rolled back alone; the second cannot be in without the first, since its order follows.
            Ok(works) => {
                let expected = works.iter().take_while(|work| work.is_ok()).count() as u64;
                assert_eq!(taken, expected, "step {step}: {works:?}");
                assert!(works.iter().skip(expected as usize).all(Result::is_err), "step {step}: {works:?}");
            }
            Err(_) => assert!(taken == 0 || taken == 2, "step {step}: {taken} of a group of two"),
        }
        check(&mut store, begin + taken);
        if !fault.struck() {
            assert!(step > 20, "there are more than {step} steps in a group of two");
            return;
        }
    }
}
