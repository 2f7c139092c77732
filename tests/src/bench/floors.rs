//! The least that work can cost, each measured alone on two cores of 2024: what a figure is held against, beside the peers'.

use std::time::Duration;

/// A sample of remote write: unpacked by snappy (15 ns), walked over in protobuf with its labels hashed (44 ns), appended.
pub const WRITTEN_SAMPLE: Duration = Duration::from_nanos(60);
/// A message of 2 KB for a bare MQTT subscriber.
pub const MESSAGE: Duration = Duration::from_nanos(700);
/// A sample appended to its column, ns.
pub const APPENDED_SAMPLE_NS: f64 = 0.4;
/// Thresholds alone, over a thousand hosts.
pub const THRESHOLDS_OF_1000_HOSTS: Duration = Duration::from_micros(300);
/// The faster of what an `fsync` takes.
pub const FSYNC: Duration = Duration::from_micros(500);
