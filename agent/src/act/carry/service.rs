//! A unit of systemd, brought to a state.

use std::time::Duration;

use watchkeep_protocol::command::Service;
use watchkeep_protocol::{CommandResult, Outcome};

use super::process::{plain, ran};
use super::{Granted, failed, programs, told, unchanged};

/// systemd is asked as whoever this process is, since managing units is root's right; the policy's user is for programs.
pub async fn bring(action: &Service, granted: &Granted, within: Duration) -> CommandResult {
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
