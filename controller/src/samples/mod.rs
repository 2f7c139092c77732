//! Samples: what hosts measured, kept in the shape in which it travels.
//!
//! A [`HostSeries`] is one host. Its agent's reports go into [`columns`]: one table a layout block, with one column of times
//! for all of it, so that taking a report is a copy of its rows: no hashing, no labels. What rules derive from them (recorded
//! series, `up`, `ALERTS`) goes into series of its own. Every few minutes the head is cut off into a packed [`chunk`], which
//! is what block files hold as well; what is older than rules look back leaves the memory.
//!
//! What is older is kept once more in few points a series, for charts: [`coarse`].
//!
//! Block [`file`]s are written by [`seal`] and read back by [`recover`]; all of the disk is in [`folder`]. A sealed mark says
//! how far an agent's spool is in files: what lies beyond, it still holds, and sends again after a controller died.
//!
//! Nothing here reads a clock, but to say how long writing took. Three things are told apart in a column: a value; a *gap*
//! (it could not be read, or the instance did not exist yet), which readers never see; and the stale marker, which says that
//! the series ended there.
//!
//! What others write is in [`foreign`], a chunk a series, and is read through the same [`Reader`].
//!
//! What travels once, names and instances, is shared by all hosts of a shard: [`layouts`].
//!
//! Who passes samples on is [`told`] of them as they come.
//!
//! A block takes each instant once: a row that comes again (sent again after a restart) is passed over whole.

mod bits;
pub mod chunk;
pub mod coarse;
mod columns;
mod derived;
mod file;
mod folder;
pub mod foreign;
mod host;
mod layouts;
mod packed;
mod progress;
mod reader;
mod recover;
mod seal;
mod tally;
mod template;
mod told;
mod within;

pub use folder::Folder;
pub use host::{Held, HostSeries, Reached, SharedSeries, Taken};
pub use layouts::{HeldLayout, Layouts};
pub use reader::{Ask, Asking, Question, Reader};
pub use recover::{Recovered, Recovery, recover};
pub use seal::{Covered, Receipt, Sealer, Sealing, Settings};
pub use tally::{SampleCounts, SampleReadings, Tally, Unsealed};
pub use template::Templates;
pub use told::{Handed, Pairs, Tap, Told, stale};
pub use within::Within;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod mutation_tests;
#[cfg(test)]
mod tests;

/// What stands where a host's name does, for series that rules across hosts record. No agent can be called so.
pub const FLEET: &str = "(fleet)";

/// How far back memory holds samples where nothing else is said: an hour, and the lookback of an instant.
pub const KEEP_MS: i64 = 3_900_000;

/// The bits of the NaN that stands where nothing was read. Never leaves this module.
const GAP: u64 = 0x7ff0_0000_0000_0003;

fn gap() -> f64 {
    f64::from_bits(GAP)
}

fn is_gap(value: f64) -> bool {
    value.to_bits() == GAP
}
