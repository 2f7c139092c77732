//! Carrying out what was granted.
//!
//! Programs and scripts run as whom the policy says; units, packages and files are brought to a state by this process itself, as
//! they are root's. Each action ends with a result that tells how.

mod file;
mod package;
mod process;
mod script;
mod service;

use std::time::Duration;

use rustix::process::getuid;
use tokio::process::Command;
use watchkeep_protocol::command::Run;
use watchkeep_protocol::{Action, CommandResult, Outcome};

use super::judge::Granted;
use super::programs::{self, User};
use super::wall_ms;
use process::{Ran, plain, ran};

/// Whom actions run as where the policy names nobody.
pub const DEFAULT_USER: &str = "watchkeep-run";
/// The longest that anything may take, whatever a command says.
const LONGEST: Duration = Duration::from_secs(3600);

/// Carries it out; always ends, with a result that tells how.
pub async fn carry_out(granted: &Granted) -> CommandResult {
    let started_ms = wall_ms();
    let within = Duration::from_millis(granted.body.timeout_ms).min(LONGEST);
    let mut result = match &granted.action {
        Action::Run(action) => run(action, granted, within).await,
        Action::Service(action) => service::bring(action, granted, within).await,
        Action::Script(action) => script::run(action, granted, within).await,
        Action::Package(action) => package::bring(action, granted, within).await,
        Action::File(action) => file::bring(action, granted, within).await,
    };
    result.started_ms = started_ms;
    result.finished_ms = wall_ms();
    result
}

async fn run(action: &Run, granted: &Granted, within: Duration) -> CommandResult {
    let mut command = plain(&action.argv);
    command.envs(&action.environment);
    as_wanted(command, &action.argv[0], granted, within).await
}

/// Runs it as whom the policy says.
async fn as_wanted(mut command: Command, program: &str, granted: &Granted, within: Duration) -> CommandResult {
    match run_as(granted.user.as_deref()) {
        // With the user set by root, the standard library drops all supplementary groups as well.
        Ok(Some(user)) => drop(command.uid(user.uid).gid(user.gid)),
        Ok(None) => {}
        Err(reason) => return failed(granted, reason),
    }
    match ran(command, within).await {
        Ok(ran) => told(granted, ran, within, true),
        Err(error) => failed(granted, format!("start \"{program}\": {error}")),
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
