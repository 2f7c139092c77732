//! Effects that were given up.

use super::{Page, bounded};
use crate::store::outbox::{self, Owed};
use crate::store::{StoreError, Tx};

/// Dead letters by id.
pub fn dead_letters(tx: &mut dyn Tx, cursor: Option<&str>, limit: u32) -> Result<Page<Owed>, StoreError> {
    let limit = bounded(limit);
    let rows = outbox::dead_letters(tx, cursor.unwrap_or_default(), limit + 1)?;
    Ok(Page::cut(rows, limit, |owed| owed.id.clone()))
}
