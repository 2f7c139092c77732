//! Reports: rows of values into the host's columns.

use std::sync::Arc;

use watchkeep_desk::Millis;
use watchkeep_protocol::{Layout, Report, WireError};

use super::host::Host;
use crate::samples::{Taken, Templates};

/// Takes `report`, read at `at`, whose layout is `layout`; says what became of its values.
///
/// # Errors
/// Its rows do not fit the layout; it is passed over, and its number counts as taken.
pub fn take(
    host: &mut Host,
    report: &Report,
    layout: &Arc<Layout>,
    at: Millis,
    templates: &mut Templates,
) -> Result<Taken, WireError> {
    let Some(streams) = host.streams.as_mut() else { return Ok(Taken::default()) };
    if report.number < streams.taken {
        return Ok(Taken::default());
    }
    streams.taken = report.number + 1;
    report.check_against(&layout.blocks)?;
    Ok(host.samples.take(report, layout, at.0, templates))
}
