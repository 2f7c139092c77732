//! The input mark: the last input of a chain whose outcome is committed. Inputs in the log beyond it were never decided
//! and are cut at start.

use watchkeep_desk::Millis;

use super::{Columns, StoreError, Tx};

/// Order and instant of the last committed input; `None` before the first.
pub fn committed(tx: &mut dyn Tx, chain: &str) -> Result<Option<(u64, Millis)>, StoreError> {
    let sql = "SELECT input_order, at FROM input_mark WHERE chain = $1";
    let row = tx.query(sql, &[chain.into()])?.pop();
    row.map(|row| {
        let mut columns = Columns::new("input_mark", row);
        Ok((columns.count()?, Millis(columns.int()?)))
    })
    .transpose()
}

/// Moves the mark to `order`, which must be the next.
///
/// Errors: corrupt, with both numbers, where it is not; nothing may then be committed.
pub fn commit(tx: &mut dyn Tx, chain: &str, order: u64, at: Millis) -> Result<(), StoreError> {
    let touched = if order == 1 {
        tx.execute(
            "INSERT INTO input_mark (chain, input_order, at) VALUES ($1, 1, $2) ON CONFLICT (chain) DO NOTHING",
            &[chain.into(), at.into()],
        )?
    } else {
        tx.execute(
            "UPDATE input_mark SET input_order = $2, at = $3 WHERE chain = $1 AND input_order = $2 - 1",
            &[chain.into(), order.into(), at.into()],
        )?
    };
    if touched == 1 {
        return Ok(());
    }
    let last = committed(tx, chain)?.map_or(0, |(order, _)| order);
    let found = format!("input {order} of chain \"{chain}\" does not follow the last committed one, {last}");
    Err(StoreError::Corrupt { table: "input_mark", found })
}
