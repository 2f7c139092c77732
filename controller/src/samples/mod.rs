//! Samples: what hosts measured, kept in the shape in which it travels.
//!
//! A [`HostSeries`] is one host. Its agent's reports go into [`columns`]: one table a layout block, with one column of times
//! for all of it, so that taking a report is a copy of its rows: no hashing, no labels. What rules derive from them (recorded
//! series, `up`, `ALERTS`) goes into series of its own. Every few minutes the head is cut off into a packed [`chunk`], which
//! is what block files hold as well; what is older than rules look back leaves the memory.
//!
//! Nothing here reads a clock. Three things are told apart in a column: a value; a *gap* (it could not be read, or the
//! instance did not exist yet), which readers never see; and the stale marker, which says that the series ended there.
//!
//! A block takes each instant once: a row that comes again (sent again after a restart) is passed over whole.

mod bits;
pub mod chunk;
mod columns;
mod derived;
mod host;
mod packed;
mod template;

pub use host::{HostSeries, Taken};
pub use template::Templates;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

/// The bits of the NaN that stands where nothing was read. Never leaves this module.
const GAP: u64 = 0x7ff0_0000_0000_0003;

fn gap() -> f64 {
    f64::from_bits(GAP)
}

fn is_gap(value: f64) -> bool {
    value.to_bits() == GAP
}
