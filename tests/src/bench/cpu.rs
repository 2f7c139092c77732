//! CPU time of this thread, which other work on the machine does not lengthen much.

use std::time::Duration;

/// Runs from its start.
#[derive(Debug)]
pub struct CpuClock(Duration);

impl CpuClock {
    pub fn start() -> Self {
        Self(now())
    }

    /// What the thread spent since.
    pub fn spent(&self) -> Duration {
        now().saturating_sub(self.0)
    }
}

/// `/proc/thread-self/schedstat`: nanoseconds on a CPU first (proc(5)).
fn now() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells what a thread ran");
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).expect("nanoseconds come first"))
}
