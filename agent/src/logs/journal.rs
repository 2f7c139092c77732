//! Entries of systemd's journal, the kernel's messages among them, by `journalctl` from a cursor on.
//!
//! A child a reading is a few milliseconds, holds no memory between readings, and knows every format of the journal's files.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::Entry;

/// Entries of one reading at most; the rest waits for the next.
const ENTRIES: usize = 20_000;
/// The longest line of `journalctl`, bytes.
const LINE_BYTES: u64 = 256 << 10;
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Which entries of the journal; what is not said is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    pub unit: Option<String>,
    pub identifier: Option<String>,
    /// The least severe: `emerg` to `debug`.
    pub priority: Option<String>,
    /// The kernel's messages alone.
    pub kernel: bool,
    /// The journal of a namespace, not the host's own.
    pub namespace: Option<String>,
}

/// A line of `journalctl -o json`.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "MESSAGE", default)]
    message: Message,
    #[serde(rename = "_SYSTEMD_UNIT", default)]
    unit: Message,
}

/// A field's value: a text, bytes that are none, several of them, or nothing where it is too long.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    Several(Vec<Message>),
    #[default]
    None,
}

impl Message {
    fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.replace('\0', "")),
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).replace('\0', "")),
            Self::Several(all) => all.into_iter().next()?.into_text(),
            Self::None => None,
        }
    }
}

impl Journal {
    /// The entries behind `cursor`, which moves on behind them. Without a cursor there is nothing new yet, and it is set to the
    /// journal's end.
    ///
    /// # Errors
    /// `journalctl` cannot be run, says nothing in time, or fails.
    pub(super) async fn read(&self, cursor: &mut Option<String>) -> io::Result<Vec<Entry>> {
        let reading = self.read_on(cursor);
        let late =
            || io::Error::new(io::ErrorKind::TimedOut, format!("journalctl has not ended within {ANSWER_WITHIN:?}"));
        tokio::time::timeout(ANSWER_WITHIN, reading).await.map_err(|_| late())?
    }

    async fn read_on(&self, cursor: &mut Option<String>) -> io::Result<Vec<Entry>> {
        let mut command = self.command();
        match cursor {
            Some(cursor) => {
                command.arg(format!("--after-cursor={cursor}")).args(self.wanted());
            }
            None => _ = command.arg("--lines=1"),
        }
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("journalctl has no output"))?;
        let (entries, last, is_whole) = lines_of(BufReader::new(stdout)).await?;
        let is_first = cursor.is_none();
        if let Some(last) = last {
            *cursor = Some(last);
        }
        if is_whole {
            ended(child).await?;
        }
        Ok(if is_first { Vec::new() } else { entries })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--output=json", "--quiet", "--no-pager", "--output-fields=MESSAGE,_SYSTEMD_UNIT"]);
        command.args(self.namespace.iter().map(|namespace| format!("--namespace={namespace}")));
        command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    fn wanted(&self) -> Vec<String> {
        let unit = self.unit.iter().map(|unit| format!("--unit={unit}"));
        let identifier = self.identifier.iter().map(|identifier| format!("--identifier={identifier}"));
        let priority = self.priority.iter().map(|priority| format!("--priority={priority}"));
        let kernel = self.kernel.then(|| "_TRANSPORT=kernel".to_owned());
        unit.chain(identifier).chain(priority).chain(kernel).collect()
    }
}

/// The entries, the cursor of the last line, and whether all there were are read.
async fn lines_of(mut from: BufReader<ChildStdout>) -> io::Result<(Vec<Entry>, Option<String>, bool)> {
    let (mut entries, mut last, mut line) = (Vec::new(), None, Vec::new());
    while entries.len() < ENTRIES {
        line.clear();
        if (&mut from).take(LINE_BYTES).read_until(b'\n', &mut line).await? == 0 {
            return Ok((entries, last, true));
        }
        if line.last() != Some(&b'\n') {
            skip_line(&mut from).await?;
        }
        // A line that cannot be read costs itself, and the next one's cursor leads on.
        let Ok(read) = serde_json::from_slice::<Line>(&line) else { continue };
        last = Some(read.cursor);
        entries.push(Entry { text: read.message.into_text().unwrap_or_default(), unit: read.unit.into_text() });
    }
    Ok((entries, last, false))
}

async fn skip_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<()> {
    loop {
        let part = from.fill_buf().await?;
        let end = part.iter().position(|byte| *byte == b'\n');
        let (length, is_end) = (end.map_or(part.len(), |end| end + 1), end.is_some() || part.is_empty());
        from.consume(length);
        if is_end {
            return Ok(());
        }
    }
}

/// Its exit status, and what it complains of. Nothing to show is no fault.
async fn ended(child: Child) -> io::Result<()> {
    let ended = child.wait_with_output().await?;
    let complaint = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    if ended.status.success() || complaint.is_empty() { Ok(()) } else { Err(io::Error::other(complaint)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_text_whatever_the_journal_makes_of_it() {
        for (message, text) in [
            ("\"plain\"", Some("plain")),
            ("[99,97,102,233]", Some("caf\u{fffd}")),
            ("[\"first\",\"second\"]", Some("first")),
            ("null", None),
        ] {
            let line: Line =
                serde_json::from_str(&format!("{{\"__CURSOR\":\"c\",\"MESSAGE\":{message}}}")).expect(message);
            assert_eq!(line.message.into_text().as_deref(), text, "{message}");
        }
    }
}
