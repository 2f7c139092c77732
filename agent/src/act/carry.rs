//! Carrying out what was granted.
//!
//! A program runs without a shell, with stdin at its end, in `/`, in a process group of its own, with an environment of
//! PATH, LANG and what the command may set. Its output is kept up to a limit and the rest counted. When its time is over
//! the whole group is told to end, and killed two seconds later.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};
use watchkeep_protocol::command::{Run, Service};
use watchkeep_protocol::{Action, CommandResult, Outcome, limits};

use super::judge::Granted;
use super::programs::{self, PATH, User};
use super::wall_ms;

/// Whom actions run as where the policy names nobody.
pub const DEFAULT_USER: &str = "watchkeep-run";
/// The longest that anything may take, whatever a command says.
const LONGEST: Duration = Duration::from_secs(3600);
/// Between the request to end and the end.
const GRACE: Duration = Duration::from_secs(2);

/// How a program ended.
struct Ran {
    status: Option<ExitStatus>,
    stdout: Kept,
    stderr: Kept,
}

/// Output as far as it is kept.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: u64,
}

/// Carries it out; always ends, with a result that tells how.
pub async fn carry_out(granted: &Granted) -> CommandResult {
    let started_ms = wall_ms();
    let within = Duration::from_millis(granted.body.timeout_ms).min(LONGEST);
    let mut result = match &granted.action {
        Action::Run(action) => run(action, granted, within).await,
        Action::Service(action) => service(action, granted, within).await,
    };
    result.started_ms = started_ms;
    result.finished_ms = wall_ms();
    result
}

async fn run(action: &Run, granted: &Granted, within: Duration) -> CommandResult {
    let user = match run_as(granted.user.as_deref()) {
        Ok(user) => user,
        Err(reason) => return failed(granted, reason),
    };
    let mut command = plain(&action.argv);
    command.envs(&action.environment);
    if let Some(user) = &user {
        // With the user set by root, the standard library drops all supplementary groups as well.
        command.uid(user.uid).gid(user.gid);
    }
    match ran(command, within).await {
        Ok(ran) => told(granted, ran, within, true),
        Err(error) => failed(granted, format!("start \"{}\": {error}", action.argv[0])),
    }
}

/// Whom to run as: none for whoever this process is.
fn run_as(wanted: Option<&str>) -> Result<Option<User>, String> {
    let own = getuid();
    match (wanted, own.is_root()) {
        (Some(name), root) => {
            let user =
                programs::user(name).ok_or_else(|| format!("the policy's user \"{name}\" does not exist here"))?;
            if user.uid == own.as_raw() {
                Ok(None)
            } else if root {
                Ok(Some(user))
            } else {
                Err(format!("act runs as uid {}, and only root may run programs as \"{name}\"", own.as_raw()))
            }
        }
        // Never as root because somebody forgot a line.
        (None, true) => programs::user(DEFAULT_USER).map(Some).ok_or_else(|| {
            format!(
                "the user \"{DEFAULT_USER}\" does not exist; make it, or name another under \"user:\" in the policy"
            )
        }),
        (None, false) => Ok(None),
    }
}

/// systemd is asked as whoever this process is, since managing units is root's right; the policy's user is for programs.
async fn service(action: &Service, granted: &Granted, within: Duration) -> CommandResult {
    let Some(systemctl) = programs::resolve("systemctl") else {
        return failed(granted, "there is no systemctl on this host".to_owned());
    };
    let before = state_of(&systemctl, &action.name).await;
    let verb = match action.state.as_str() {
        "started" if before.as_deref() == Some("active") => return unchanged(granted, "it was started already"),
        "stopped" if matches!(before.as_deref(), Some("inactive" | "failed")) => {
            return unchanged(granted, "it was stopped already");
        }
        "started" => "start",
        "stopped" => "stop",
        "restarted" => "restart",
        _ => "reload",
    };
    let argv =
        [systemctl.clone(), "--no-ask-password".to_owned(), verb.to_owned(), "--".to_owned(), action.name.clone()];
    let ran = match ran(plain(&argv), within).await {
        Ok(ran) => ran,
        Err(error) => return failed(granted, format!("start \"{systemctl}\": {error}")),
    };
    let mut result = told(granted, ran, within, true);
    let after = state_of(&systemctl, &action.name).await.unwrap_or_else(|| "unknown".to_owned());
    let due: &[&str] = if action.state == "stopped" { &["inactive", "failed"] } else { &["active"] };
    if result.outcome == Outcome::Done as i32 && !due.contains(&after.as_str()) {
        result.outcome = Outcome::Failed as i32;
        result.reason = format!("systemctl {verb} {} went well, but the unit is {after}", action.name);
    }
    result
}

/// systemd's ActiveState of the unit.
async fn state_of(systemctl: &str, unit: &str) -> Option<String> {
    let argv = ["show", "--property=ActiveState", "--value", "--", unit];
    let argv: Vec<String> = std::iter::once(systemctl).chain(argv).map(str::to_owned).collect();
    let ran = ran(plain(&argv), Duration::from_secs(10)).await.ok()?;
    let word = String::from_utf8(ran.stdout.bytes).ok()?.trim().to_owned();
    (!word.is_empty()).then_some(word)
}

/// A program of its own group with nothing inherited.
fn plain(argv: &[String]) -> Command {
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
async fn ran(mut command: Command, within: Duration) -> std::io::Result<Ran> {
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

fn told(granted: &Granted, ran: Ran, within: Duration, changed: bool) -> CommandResult {
    use std::os::unix::process::ExitStatusExt as _;
    let exit = ran.status.and_then(|status| status.code().or_else(|| status.signal().map(|signal| -signal)));
    let (outcome, reason) = match (ran.status, exit) {
        (None, _) => (Outcome::TimedOut, format!("it was still running after {} ms and was ended", within.as_millis())),
        (Some(status), _) if status.success() => (Outcome::Done, String::new()),
        (_, Some(code @ 0..)) => (Outcome::Failed, format!("it exited with status {code}")),
        (_, Some(signal)) => (Outcome::Failed, format!("signal {} ended it", -signal)),
        (_, None) => (Outcome::Failed, "it ended without a status".to_owned()),
    };
    CommandResult {
        outcome: outcome as i32,
        exit,
        stdout: ran.stdout.bytes,
        stderr: ran.stderr.bytes,
        cut: ran.stdout.cut + ran.stderr.cut,
        reason,
        changed,
        ..granted.result()
    }
}

fn failed(granted: &Granted, reason: String) -> CommandResult {
    CommandResult { outcome: Outcome::Failed as i32, reason, ..granted.result() }
}

fn unchanged(granted: &Granted, reason: &str) -> CommandResult {
    CommandResult { outcome: Outcome::Done as i32, reason: reason.to_owned(), ..granted.result() }
}
