//! One program: without a shell, with stdin at its end, in `/`, in a process group of its own, with an environment of PATH, LANG
//! and what the command may set. Its output is kept up to a limit and the rest counted. When its time is over the whole group is
//! told to end, and killed two seconds later.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};
use watchkeep_protocol::limits;

use crate::act::programs::PATH;

/// Between the request to end and the end.
const GRACE: Duration = Duration::from_secs(2);

/// How a program ended.
pub struct Ran {
    pub status: Option<ExitStatus>,
    pub stdout: Kept,
    pub stderr: Kept,
}

/// Output as far as it is kept.
#[derive(Default)]
pub struct Kept {
    pub bytes: Vec<u8>,
    pub cut: u64,
}

/// A program of its own group with nothing inherited.
pub fn plain(argv: &[String]) -> Command {
    let mut command = Command::new(&argv[0]);
    command
        .args(&argv[1..])
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Runs it; the status is none where its time was over.
pub async fn ran(mut command: Command, within: Duration) -> std::io::Result<Ran> {
    let deadline = Instant::now() + within;
    let mut child = command.spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    let status = {
        let reading = async { tokio::join!(keep(&mut out, &mut stdout), keep(&mut err, &mut stderr)) };
        tokio::pin!(reading);
        let mut read = false;
        let ended = async {
            tokio::select! {
                status = child.wait() => status,
                _ = &mut reading => {
                    read = true;
                    child.wait().await
                }
            }
        };
        let status = timeout_at(deadline, ended).await;
        let status = match status {
            Ok(status) => Some(status?),
            Err(_) => {
                end_group(&mut child, group).await;
                None
            }
        };
        // A child of the program may still hold the pipes; what it says later is nobody's.
        if !read {
            let _ = timeout(Duration::from_millis(500), &mut reading).await;
        }
        status
    };
    kill(group, Signal::KILL);
    Ok(Ran { status, stdout, stderr })
}

async fn end_group(child: &mut Child, group: Option<Pid>) {
    kill(group, Signal::TERM);
    if timeout(GRACE, child.wait()).await.is_err() {
        kill(group, Signal::KILL);
        let _ = timeout(GRACE, child.wait()).await;
    }
}

fn kill(group: Option<Pid>, signal: Signal) {
    // An empty group is gone already, which is what is wanted.
    let _ = group.map(|group| kill_process_group(group, signal));
}

async fn keep(from: &mut Option<impl AsyncRead + Unpin>, kept: &mut Kept) {
    let Some(from) = from else { return };
    let mut part = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut part).await {
        let room = limits::OUTPUT_BYTES.saturating_sub(kept.bytes.len()).min(count);
        kept.bytes.extend_from_slice(&part[..room]);
        kept.cut += (count - room) as u64;
    }
}
