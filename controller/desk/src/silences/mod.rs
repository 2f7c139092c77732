//! Silences: alerts that nobody is to be called for, until a time.
//!
//! A silence holds back alerts by their labels: one that begins to fire opens no incident, and stands in the ledger as
//! suppressed, with by what. When the last silence that takes it ends and it fires still, it goes its way from there. An
//! incident that was open before goes on, and pages nobody while silences take all that fires of it. Whether a silence is
//! active follows from its times alone; none of its states is stored.

mod acts;
mod record;
mod suppress;

pub(crate) use acts::{Wanted, ended, expire, set};
pub use record::{Silence, SilenceFact, SilenceState};
pub use suppress::{Suppressed, silenced_by, suppressed};
pub(crate) use suppress::{holds_back, mutes};
