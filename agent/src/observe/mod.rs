//! What happens on the host: systemd units that fail and recover, heard from systemd, not asked for.
//!
//! [`units`] decides what a change of state means and does no I/O; `bus` hears systemd's signals over D-Bus; `polled` asks
//! `systemctl` slowly where there is no D-Bus; [`memory`] remembers across restarts of the agent what was reported.
//! Where there is no systemd at all one line says so, and the agent looks again after a long while.
//!
//! No sighting is lost and none is reported twice over a restart: an event is remembered only after whoever took it says
//! that it is kept. A crash between the two reports it once more, never less.

#[cfg(feature = "dbus")]
mod bus;
pub mod memory;
mod polled;
mod run;
pub mod units;

use tokio::sync::oneshot;
use watchkeep_protocol::Event;

pub use run::{Observer, look};
pub use units::{ActiveState, Change, Listed, Service, Units};

/// Something seen, on its way to the spool.
#[derive(Debug)]
pub struct Sighting {
    /// When it was seen, UTC milliseconds.
    pub at_ms: i64,
    pub event: Event,
    /// Told once the event is durable. Dropped untold, the sighting comes again a little later.
    pub kept: oneshot::Sender<()>,
}
