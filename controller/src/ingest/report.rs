//! Reports: rows of values into the host's columns. The hot path: no hashing, no labels, no allocation once the columns
//! have their size.

use std::sync::Arc;

use watchkeep_desk::Millis;
use watchkeep_protocol::{Layout, Report, WireError};

use super::host::{BlockValues, Host};

/// Takes `report`, read at `at`, whose layout is `layout`; whether its values are the newest now.
///
/// # Errors
/// Its rows do not fit the layout; it is passed over, and its number counts as taken.
pub fn take(host: &mut Host, report: Report, layout: &Arc<Layout>, at: Millis) -> Result<bool, WireError> {
    let Some(streams) = host.streams.as_mut() else { return Ok(false) };
    if report.number < streams.taken {
        return Ok(false);
    }
    streams.taken = report.number + 1;
    report.check_against(&layout.blocks)?;
    if host.samples.layout.as_ref().is_none_or(|known| known.id != layout.id) {
        host.samples.layout = Some(Arc::clone(layout));
        host.samples.blocks.clear();
        host.samples.blocks.resize_with(layout.blocks.len(), BlockValues::default);
    }
    for row in report.rows {
        if let Some(block) = host.samples.blocks.get_mut(row.block as usize) {
            *block = BlockValues { at, values: row.values, flags: row.flags };
        }
    }
    Ok(true)
}
