//! Reports: rows of values into the host's columns.

use std::sync::Arc;

use watchkeep_desk::Millis;
use watchkeep_protocol::{Report, WireError};

use super::host::Host;
use crate::samples::{HeldLayout, Taken};

/// Takes `report`, read at `at`, whose layout is `layout`; says what became of its values.
///
/// # Errors
/// Its rows do not fit the layout; it is passed over, and its number counts as taken.
pub fn take(
    host: &mut Host,
    report: &Report,
    layout: &Arc<HeldLayout>,
    at: Millis,
    now: Millis,
) -> Result<Taken, WireError> {
    if !is_new(host, report, now) {
        return Ok(Taken::default());
    }
    layout.check(report)?;
    Ok(host.samples.take(report, layout, at.0))
}

/// Passes over a report that is not to be taken; its number counts as taken. Returns how many values it had.
pub fn refuse(host: &mut Host, report: &Report, now: Millis) -> u64 {
    if is_new(host, report, now) { report.rows.iter().map(|row| row.values.len() as u64).sum() } else { 0 }
}

/// Notes that the report's number has come; whether it had not before.
fn is_new(host: &mut Host, report: &Report, now: Millis) -> bool {
    let Some(streams) = host.streams.as_mut() else { return false };
    let is_new = streams.reports.take(report.number, now);
    streams.reports.skip(report.number.saturating_sub(report.skipped)..report.number, now);
    is_new
}
