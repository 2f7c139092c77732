//! What happens on the host: systemd units that fail and recover, heard from systemd, not asked for; reboots and kills.
//!
//! [`units`] decides what a change of state means and does no I/O; `bus` hears systemd's signals over D-Bus; `polled` asks
//! `systemctl` slowly where there is no D-Bus; [`memory`] remembers across restarts of the agent what was reported.
//! Where there is no systemd at all one line says so, and the agent looks again after a long while. [`host`] tells reboots,
//! by [`oom`] kills for want of memory, and by [`changes`] what became of clock, links and accounts.
//!
//! No sighting is lost and none is reported twice over a restart: an event is remembered only after whoever took it says
//! that it is kept. A crash between the two reports it once more, never less.

#[cfg(feature = "dbus")]
mod bus;
mod changes;
mod host;
pub mod memory;
mod oom;
mod polled;
mod run;
pub mod units;

use tokio::sync::oneshot;
use watchkeep_protocol::Event;

pub use host::{HostWatch, stopped};
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

/// Unix seconds as `2026-11-23T20:15:00Z`; the calendar is Gregorian, counted in eras of 400 years from 1 March of year 0.
fn utc(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn seconds_are_a_date_and_a_time() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_464_900, "2026-11-23T20:15:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
