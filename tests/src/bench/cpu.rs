//! CPU time of this thread or of a program, which other work on the machine does not lengthen much.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

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

/// What the threads that a program has now spent since they began, in their own code and in the kernel for it.
///
/// # Errors
/// The program has ended.
pub fn of_process(id: u32) -> Result<Duration> {
    let path = format!("/proc/{id}/task");
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir(&path).with_context(|| format!("list {path}"))? {
        // A thread that ends meanwhile is none.
        sum += of_thread(&thread.with_context(|| format!("list {path}"))?.path()).unwrap_or_default();
    }
    Ok(sum)
}

fn now() -> Duration {
    of_thread(Path::new("/proc/thread-self")).expect("Linux tells what a thread ran")
}

/// `schedstat` of a thread's folder: nanoseconds on a CPU first (proc(5)).
fn of_thread(folder: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(folder.join("schedstat")).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
