//! Measures the ledger: facts a second by the size of a group, and bytes a fact on disk.
//!
//! `cargo run --release -p watchkeep --example ledger_throughput -- sqlite:/path/to/new.db`

use std::time::Instant;

use anyhow::Context;
use watchkeep::ledger::LedgerSecret;
use watchkeep::store::{self, Store, StoreError, Tx, Value, settle::settle};
use watchkeep_desk::ids::IncidentId;
use watchkeep_desk::{Actor, Decision, Fact, FactBody, Input, InputBody, Millis, Reason, Subject};

const FACTS_AN_INPUT: u64 = 4;
const SECONDS: f64 = 5.0;

fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).context("name a new database: sqlite:PATH or postgres://…")?;
    let mut store = store::open(&address)?.writer()?;
    let mut order = 0;
    for inputs_a_commit in [1, 8, 64, 512] {
        let (begin, from) = (Instant::now(), order);
        while begin.elapsed().as_secs_f64() < SECONDS {
            commit(store.as_mut(), order, inputs_a_commit)?;
            order += inputs_a_commit;
        }
        let facts = ((order - from) * FACTS_AN_INPUT) as f64;
        let rate = facts / begin.elapsed().as_secs_f64();
        println!(
            "{inputs_a_commit:>4} inputs a commit: {rate:>8.0} facts/s, {:>6.0} commits/s",
            rate / (inputs_a_commit * FACTS_AN_INPUT) as f64
        );
    }
    println!("{} facts, body {} bytes each", order * FACTS_AN_INPUT, serde_json::to_string(&fact(1, 0))?.len());
    if let Some(bytes) = bytes(store.as_mut(), &address)? {
        println!("{bytes} bytes in all, {:.0} bytes a fact", bytes as f64 / (order * FACTS_AN_INPUT) as f64);
    }
    Ok(())
}

/// Settles the inputs after `order` in one commit, each a work of its own.
fn commit(store: &mut dyn Store, order: u64, inputs: u64) -> Result<(), StoreError> {
    let secret = LedgerSecret::new([7; 32]);
    let mut works: Vec<_> = (order + 1..=order + inputs)
        .map(|order| {
            let input = Input {
                order,
                at: Millis(order as i64),
                generation: "0123456789abcdef".repeat(4),
                body: InputBody::Due,
            };
            let decision =
                Decision { facts: (0..FACTS_AN_INPUT).map(|n| fact(order, n)).collect(), ..Decision::default() };
            let secret = &secret;
            move |tx: &mut dyn Tx| settle(tx, "desk", &input, &decision, secret).map(drop)
        })
        .collect();
    let mut group: Vec<&mut store::Work<'_>> = works.iter_mut().map(|work| work as &mut store::Work<'_>).collect();
    store.write_group(&mut group)?.into_iter().collect()
}

fn fact(order: u64, number: u64) -> Fact {
    Fact {
        happened_at: Millis(order as i64),
        subject: Subject::Incident(IncidentId(order)),
        actor: Actor::Rule("UnitFailed".into()),
        reasons: vec![Reason::new(
            "priority",
            "impact 3 × urgency 1: nothing depends on it, and its rule says critical",
        )],
        body: FactBody::StopSwitch {
            on: true,
            note: format!("as long as a fact of an incident usually is, number {number}"),
        },
    }
}

/// What the database takes on disk, its log folded in.
fn bytes(store: &mut dyn Store, address: &str) -> Result<Option<i64>, StoreError> {
    let sql = if address.starts_with("postgres") {
        "SELECT pg_total_relation_size('ledger') + pg_total_relation_size('ledger_body')"
    } else {
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    };
    let row = store::reading(store, |tx| tx.query(sql, &[]))?.pop();
    Ok(row.and_then(|row| match row.first() {
        Some(Value::Int(bytes)) => Some(*bytes),
        _ => None,
    }))
}
