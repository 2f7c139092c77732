//! How well the kernel's clock is kept, from adjtimex(2), which is only asked.

use std::ffi::{c_int, c_long, c_uint};

use watchkeep_protocol::MetricKind::{self, Counter, Gauge};
use watchkeep_protocol::layout::Template;

use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};

/// Metric, kind and help, in the order of [`values`].
const COLUMNS: [(&str, MetricKind, &str); 17] = [
    ("offset_seconds", Gauge, "Time offset in between local system and reference clock."),
    ("frequency_adjustment_ratio", Gauge, "Local clock frequency adjustment."),
    ("maxerror_seconds", Gauge, "Maximum error in seconds."),
    ("estimated_error_seconds", Gauge, "Estimated error in seconds."),
    ("status", Gauge, "Value of the status array bits."),
    ("loop_time_constant", Gauge, "Phase-locked loop time constant."),
    ("tick_seconds", Gauge, "Seconds between clock ticks."),
    ("pps_frequency_hertz", Gauge, "Pulse per second frequency."),
    ("pps_jitter_seconds", Gauge, "Pulse per second jitter."),
    ("pps_shift_seconds", Gauge, "Pulse per second interval duration."),
    ("pps_stability_hertz", Gauge, "Pulse per second stability, average of recent frequency changes."),
    ("pps_jitter_total", Counter, "Pulse per second count of jitter limit exceeded events."),
    ("pps_calibration_total", Counter, "Pulse per second count of calibration intervals."),
    ("pps_error_total", Counter, "Pulse per second count of calibration errors."),
    ("pps_stability_exceeded_total", Counter, "Pulse per second count of stability limit exceeded events."),
    ("tai_offset_seconds", Gauge, "International Atomic Time (TAI) offset."),
    ("sync_status", Gauge, "Is clock synchronized to a reliable server (1 = yes, 0 = no)."),
];

/// The clock's offset and jitter are nanoseconds rather than microseconds. [Source: adjtimex(2)]
const STA_NANO: c_int = 0x2000;
/// What adjtimex(2) gives for a clock that nobody keeps.
const TIME_ERROR: c_int = 5;
/// Frequencies come as parts per million with 16 bits behind the point.
const PPM: f64 = 65_536.0 * 1_000_000.0;
const MICROSECONDS: f64 = 1e6;
const NANOSECONDS: f64 = 1e9;

/// `struct timex` of adjtimex(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Timex {
    /// Nothing is set where this is zero.
    modes: c_uint,
    offset: c_long,
    frequency: c_long,
    max_error: c_long,
    estimated_error: c_long,
    status: c_int,
    constant: c_long,
    precision: c_long,
    tolerance: c_long,
    time: [c_long; 2],
    tick: c_long,
    pps_frequency: c_long,
    jitter: c_long,
    shift: c_int,
    stability: c_long,
    jitter_count: c_long,
    calibration_count: c_long,
    error_count: c_long,
    stability_count: c_long,
    tai: c_int,
    /// Kept free by the kernel.
    padding: [c_int; 11],
}

pub struct TimexOfKernel;

impl Collector for TimexOfKernel {
    fn template(&self) -> Template {
        let column = |(name, kind, help): (&str, _, &str)| metric(&format!("node_timex_{name}"), &[], kind, help);
        template("timex", &[], COLUMNS.map(column).to_vec())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let (state, timex) = ask().map_err(|fault| {
            // A unit with ProtectClock=yes forbids even asking.
            CollectError::Unavailable(format!("adjtimex(2) gives no answer: {fault}"))
        })?;
        let Some(mut cells) = table.row(&[]) else { return Ok(()) };
        values(state, &timex).into_iter().enumerate().for_each(|(column, value)| cells.set(column, value));
        Ok(())
    }
}

fn values(state: c_int, timex: &Timex) -> [f64; COLUMNS.len()] {
    let divisor = if timex.status & STA_NANO == 0 { MICROSECONDS } else { NANOSECONDS };
    [
        timex.offset as f64 / divisor,
        1.0 + timex.frequency as f64 / PPM,
        timex.max_error as f64 / MICROSECONDS,
        timex.estimated_error as f64 / MICROSECONDS,
        f64::from(timex.status),
        timex.constant as f64,
        timex.tick as f64 / MICROSECONDS,
        timex.pps_frequency as f64 / PPM,
        timex.jitter as f64 / divisor,
        f64::from(timex.shift),
        timex.stability as f64 / PPM,
        timex.jitter_count as f64,
        timex.calibration_count as f64,
        timex.error_count as f64,
        timex.stability_count as f64,
        f64::from(timex.tai),
        f64::from(u8::from(state != TIME_ERROR)),
    ]
}

#[expect(
    unsafe_code,
    reason = "neither std nor rustix has adjtimex; it fills a struct that is ours, as long as the C library's"
)]
fn ask() -> std::io::Result<(c_int, Timex)> {
    unsafe extern "C" {
        fn adjtimex(timex: *mut Timex) -> c_int;
    }
    let mut timex = Timex::default();
    // SAFETY: `timex` is writable and has the layout of the C library's struct, its padding included.
    let state = unsafe { adjtimex(&raw mut timex) };
    if state < 0 { Err(std::io::Error::last_os_error()) } else { Ok((state, timex)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::Stage;

    fn value(name: &str, state: c_int, timex: &Timex) -> f64 {
        let column = COLUMNS.iter().position(|(known, ..)| *known == name).expect("is a column");
        values(state, timex)[column]
    }

    #[test]
    fn offsets_are_of_the_unit_that_the_status_says() {
        let timex = Timex { offset: -1_500, jitter: 20, max_error: 16_000_000, tick: 10_000, ..Timex::default() };
        assert_eq!([value("offset_seconds", 0, &timex), value("pps_jitter_seconds", 0, &timex)], [-0.0015, 0.00002]);
        assert_eq!([value("maxerror_seconds", 0, &timex), value("tick_seconds", 0, &timex)], [16.0, 0.01]);
        let nano = Timex { status: STA_NANO, ..timex };
        assert_eq!(value("offset_seconds", 0, &nano), -0.000_001_5);
        assert_eq!(value("maxerror_seconds", 0, &nano), 16.0, "always microseconds");
    }

    #[test]
    fn a_frequency_is_a_ratio_and_a_kept_clock_is_in_sync() {
        let timex = Timex { frequency: 65_536 * 25, ..Timex::default() };
        assert_eq!(value("frequency_adjustment_ratio", 0, &timex), 1.000_025);
        assert_eq!([value("sync_status", 0, &timex), value("sync_status", TIME_ERROR, &timex)], [1.0, 0.0]);
    }

    /// The kernel of this machine fills the struct as we read it: a tick is some hundredth of a second everywhere.
    #[test]
    fn the_kernel_s_struct_is_ours() {
        assert_eq!(size_of::<Timex>(), if size_of::<c_long>() == 8 { 208 } else { 128 });
        let reading = Stage::of(TimexOfKernel).read();
        let tick = reading.value("node_timex_tick_seconds", &[]).expect("is read");
        assert!((0.000_9..=0.011).contains(&tick), "{tick}");
        assert!(reading.all_read());
    }
}
