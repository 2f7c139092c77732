//! Lines, and lines that belong together.
//!
//! A line ends with a line break; what has none yet waits. Bytes that are no UTF-8 are replaced, a NUL goes, and a line
//! that is too long is cut.

use super::config::Pattern;

/// The longest line that is kept whole, bytes; and the longest entry.
const LINE_BYTES: usize = 16 << 10;
const ENTRY_BYTES: usize = 64 << 10;

/// Puts bytes of one file together to entries.
#[derive(Debug, Default)]
pub struct Entries {
    /// Of a line that has not ended.
    rest: Vec<u8>,
    /// The lines of an entry to which more may belong.
    open: Option<String>,
    /// Bytes of `open` and of `rest`, as they are in the file.
    open_bytes: u64,
    rest_bytes: u64,
    /// Nothing was added to `open` since the reading before.
    is_quiet: bool,
}

impl Entries {
    /// Takes bytes in; what they complete is added to `out`. `begins` says which lines begin an entry; without it each does.
    pub fn take(&mut self, mut bytes: &[u8], begins: Option<&Pattern>, out: &mut Vec<String>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..=end]);
            let line = text_of(&self.rest);
            self.rest.clear();
            let length = std::mem::take(&mut self.rest_bytes);
            self.line(line, length, begins, out);
            self.is_quiet = false;
            bytes = &bytes[end + 1..];
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES.saturating_sub(self.rest.len());
        self.rest.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.rest_bytes += bytes.len() as u64;
    }

    fn line(&mut self, line: String, length: u64, begins: Option<&Pattern>, out: &mut Vec<String>) {
        let Some(begins) = begins else {
            if !line.is_empty() {
                out.push(line);
            }
            return;
        };
        match &mut self.open {
            Some(open) if !begins.is_match(&line) => {
                self.open_bytes += length;
                if open.len() + line.len() < ENTRY_BYTES {
                    open.push('\n');
                    open.push_str(&line);
                }
            }
            open => {
                out.extend(open.replace(line));
                self.open_bytes = length;
            }
        }
    }

    /// Ends the reading: an entry to which nothing was added for one whole reading is given out.
    pub fn pause(&mut self, out: &mut Vec<String>) {
        if self.is_quiet && self.rest.is_empty() {
            out.extend(self.open.take());
            self.open_bytes = 0;
        }
        self.is_quiet = true;
    }

    /// The file has ended: what is there is all there is.
    pub fn flush(&mut self, out: &mut Vec<String>) {
        out.extend(self.open.take());
        if !self.rest.is_empty() {
            out.push(text_of(&std::mem::take(&mut self.rest)));
        }
        (self.open_bytes, self.rest_bytes) = (0, 0);
    }

    /// Bytes that were taken in and are in no entry yet.
    pub fn pending(&self) -> u64 {
        self.open_bytes + self.rest_bytes
    }
}

fn text_of(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).replace('\0', "")
}
