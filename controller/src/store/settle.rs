//! Keeping the whole outcome of one input: facts, records, effects and the input mark, in the caller's transaction.

use watchkeep_desk::{Decision, Input, Record};

use super::{StoreError, Tx, marks, outbox, records};
use crate::ledger::{self, Head, LedgerSecret};

/// Keeps what `decision` brings, as the outcome of `input` on `chain`; the caller adds what else commits with it (spool
/// marks, events, rows of detection). The chain's new head.
///
/// Errors: an input whose order is not the next of the chain is refused, as is one that was settled before.
pub fn settle(
    tx: &mut dyn Tx,
    chain: &str,
    input: &Input,
    decision: &Decision,
    secret: &LedgerSecret,
) -> Result<Head, StoreError> {
    let changed: Vec<&Record> = decision.changed.iter().collect();
    settle_with(tx, chain, input, decision, &changed, &[], secret)
}

/// As [`settle`], where notices go to `channels`, and only some of the changed records are written: the rest stand in a later
/// version of the same transaction.
pub fn settle_with(
    tx: &mut dyn Tx,
    chain: &str,
    input: &Input,
    decision: &Decision,
    changed: &[&Record],
    channels: &[String],
    secret: &LedgerSecret,
) -> Result<Head, StoreError> {
    marks::commit(tx, chain, input.order, input.at)?;
    let head = ledger::append(tx, chain, input, &decision.facts, secret)?;
    records::save(tx, changed.iter().copied(), input.at)?;
    outbox::owe(tx, &decision.effects, channels, input.at)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use watchkeep_desk::decision::{Timer, TimerKind};
    use watchkeep_desk::ids::IncidentId;
    use watchkeep_desk::{Actor, Fact, FactBody, InputBody, Millis, Subject};

    use super::*;
    use crate::store::{Sqlite, Store, reading, writing};

    fn input(order: u64) -> Input {
        Input { order, at: Millis(1_000), generation: "g".into(), body: InputBody::Due }
    }

    fn decision() -> Decision {
        let fact = Fact {
            happened_at: Millis(900),
            subject: Subject::Controller,
            actor: Actor::Controller,
            reasons: Vec::new(),
            body: FactBody::StopSwitch { on: true, note: "a drill".into() },
        };
        let timer = Timer { due: Millis(2_000), kind: TimerKind::IncidentClose { incident: IncidentId(1) } };
        Decision { facts: vec![fact], changed: vec![Record::Timer { timer, set: true }], ..Decision::default() }
    }

    #[test]
    fn an_outcome_is_settled_once() {
        let mut store = Sqlite::fresh().expect("opened");
        let secret = LedgerSecret::new([7; 32]);
        let mut settle_order = |order| {
            writing(&mut store, |tx| settle(tx, "desk", &input(order), &decision(), &secret))
                .map_err(|error| error.chain())
        };
        assert_eq!(settle_order(1).expect("settled").seq, 1);
        let error = settle_order(1).expect_err("refused");
        assert_eq!(error, "input_mark: input 1 of chain \"desk\" does not follow the last committed one, 1");
        assert!(settle_order(3).expect_err("refused").contains("input 3 of chain \"desk\" does not follow"));
        assert_eq!(settle_order(2).expect("settled").seq, 2);
        assert_eq!(reading(&mut store, |tx| records::restore(tx)).expect("read"), decision().changed);
    }

    #[test]
    fn what_fails_in_a_group_rolls_back_alone() {
        let mut store = Sqlite::fresh().expect("opened");
        let secret = LedgerSecret::new([7; 32]);
        let outcomes = store
            .write_group(&mut [
                &mut |tx| settle(tx, "desk", &input(1), &decision(), &secret).map(drop),
                &mut |tx| settle(tx, "desk", &input(1), &decision(), &secret).map(drop),
                &mut |tx| settle(tx, "desk", &input(2), &decision(), &secret).map(drop),
            ])
            .expect("committed");
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(reading(&mut store, |tx| ledger::head(tx, "desk")).expect("read").seq, 2);
    }
}
