//! A program that a check runs: its own process group, a time limit, bounded output, nothing to read.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// Kept of each of its outputs, bytes; what is beyond is read and forgotten.
const OUTPUT_BYTES: usize = 64 << 10;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Why a program has no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("start \"{program}\"")]
    Start { program: String, source: io::Error },
    #[error("wait for \"{program}\"")]
    Wait { program: String, source: io::Error },
    #[error("\"{program}\" has not ended within {limit:?}; it was killed with all that it started")]
    TooSlow { program: String, limit: Duration },
}

/// The group goes with whoever waits for it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It has ended already, mostly; what it left behind has not.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be started, or takes longer than `limit`.
pub async fn run(argv: &[String], limit: Duration) -> Result<Ended, RunError> {
    let program = argv.first().cloned().unwrap_or_default();
    let mut command = Command::new(&program);
    command.args(&argv[1..]).env_clear().env("PATH", PATH).env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|source| RunError::Start { program: program.clone(), source })?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let _group = Group(group);
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let ending = async {
        // The end of the program is what counts: a child of its that goes on holding the pipe delays nothing.
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let status = tokio::select! {
            status = child.wait() => status,
            () = async { tokio::join!(take(&mut stdout, &mut said), take(&mut stderr, &mut complained)); } => child.wait().await,
        };
        let rest = async { tokio::join!(take(&mut stdout, &mut said), take(&mut stderr, &mut complained)) };
        let _ = tokio::time::timeout(Duration::from_millis(100), rest).await;
        status.map(|status| Ended { status, stdout: text(&said), stderr: text(&complained) })
    };
    match tokio::time::timeout(limit, ending).await {
        Ok(ended) => ended.map_err(|source| RunError::Wait { program, source }),
        Err(_) => Err(RunError::TooSlow { program, limit }),
    }
}

/// Reads to the end.
async fn take(from: &mut Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(from) = from else { return };
    let mut part = [0; 4096];
    while let Ok(count) = from.read(&mut part).await {
        if count == 0 {
            return;
        }
        let room = OUTPUT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&part[..count.min(room)]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
