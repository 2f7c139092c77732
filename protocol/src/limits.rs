//! Sizes past which a message is refused, by both sides.

/// One envelope as published, bytes.
pub const ENVELOPE_BYTES: usize = 1 << 20;
/// Output kept of one command, bytes of stdout and stderr each; the rest is cut and counted.
pub const OUTPUT_BYTES: usize = 64 << 10;
/// Labels of one event, or of one instance of a layout.
pub const LABELS: usize = 32;
/// Bytes of one label name or of a metric name.
pub const NAME_BYTES: usize = 128;
/// Bytes of one label value.
pub const VALUE_BYTES: usize = 1024;
/// Items of one inventory message; a larger section travels in parts.
pub const ITEMS: usize = 2_000;
/// Values of one report.
pub const REPORT_VALUES: usize = 50_000;
/// Bytes of an agent's name: `[a-z0-9]([a-z0-9.-]*[a-z0-9])?`.
pub const AGENT_BYTES: usize = 253;
/// Bytes of a sentence for people (event text, status detail, reason) and of one argument of a command.
pub const TEXT_BYTES: usize = 8 << 10;
/// Blocks of one layout.
pub const BLOCKS: usize = 1_024;
/// The largest number in a stream: at a million a second, 146,000 years.
pub const NUMBER_MAX: u64 = 1 << 62;
/// The content of a script, or of a file that a command writes.
pub const CONTENT_BYTES: usize = 32 << 10;
