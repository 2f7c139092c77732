//! What happened, for a person to read when a seed fails.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Lines kept; of what came before only the count is told.
const LINES: usize = 4_000;

/// Virtual time, who, what.
#[derive(Default)]
pub struct Timeline {
    /// Virtual milliseconds since the beginning.
    pub now: u64,
    lines: VecDeque<(u64, String, String)>,
    forgotten: u64,
}

impl Timeline {
    pub fn say(&mut self, who: &str, what: impl Into<String>) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
            self.forgotten += 1;
        }
        self.lines.push_back((self.now, who.to_owned(), what.into()));
    }

    /// The newest `count` lines.
    pub fn tail(&self, count: usize) -> String {
        let skipped = self.lines.len().saturating_sub(count);
        let mut text = String::new();
        if skipped as u64 + self.forgotten > 0 {
            let _fits = writeln!(text, "… {} lines before", skipped as u64 + self.forgotten);
        }
        for (at, who, what) in self.lines.iter().skip(skipped) {
            let (minutes, seconds) = (at / 60_000, (at % 60_000) as f64 / 1_000.0);
            let _fits = writeln!(text, "{minutes:>3}:{seconds:06.3}  {who:<10}  {what}");
        }
        text
    }
}
