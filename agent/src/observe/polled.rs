//! systemd by `systemctl`, asked slowly: for hosts where there is no D-Bus, and for builds without it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::run::{HearError, Teller};
use super::{ActiveState, Listed, Service};

/// Between two lists.
pub const PAUSE: Duration = Duration::from_secs(30);
/// After this many lists hearing ends, so that D-Bus is tried again.
#[cfg(feature = "dbus")]
pub const ROUNDS_BEFORE_THE_BUS_IS_TRIED: u32 = 20;

const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// `systemctl show` prints these, a block a unit, in whatever order.
const SHOWN: &str = "--property=Id,LoadState,ActiveState,SubState,Description,Type,Result";

/// Lists all units again and again.
pub async fn hear(teller: &mut Teller, rounds: u32) -> Result<Infallible, HearError> {
    for _ in 0..rounds {
        let state = systemctl("ask whether systemd has started up", &["is-system-running"]).await?;
        teller.units().set_started_up(!["initializing", "starting"].contains(&state.trim()));
        let text = systemctl("list systemd's units", &["show", "*", SHOWN]).await?;
        let list = listed_of(&text);
        if list.is_empty() {
            let found = "systemctl names no unit".to_owned();
            return Err(HearError::Systemctl { doing: "list systemd's units", found });
        }
        teller.listed(list).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Err(HearError::Systemctl { doing: "ask systemctl", found: "time to try D-Bus again".to_owned() })
}

/// What `systemctl` prints; its exit status says something of the system, not of the question.
async fn systemctl(doing: &'static str, arguments: &[&str]) -> Result<String, HearError> {
    let fault = |found: String| HearError::Systemctl { doing, found };
    let mut command = Command::new("systemctl");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env("LC_ALL", "C");
    let output = tokio::time::timeout(ANSWER_WITHIN, command.output());
    let output = output.await.map_err(|_| fault(format!("systemctl has not answered in {ANSWER_WITHIN:?}")))?;
    let output = output.map_err(|cause| fault(format!("run systemctl: {cause}")))?;
    if output.stdout.is_empty() {
        return Err(fault(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads blocks of `Name=value` lines, an empty line between two units.
fn listed_of(text: &str) -> Vec<Listed> {
    let unit = |block: &str| {
        let said: BTreeMap<&str, &str> = block.lines().filter_map(|line| line.split_once('=')).collect();
        let word = |name: &str| said.get(name).copied().unwrap_or_default().to_owned();
        let (name, active) = (word("Id"), ActiveState::parse(said.get("ActiveState")?));
        let result = if active == ActiveState::Failed { word("Result") } else { String::new() };
        let state =
            Service { active, sub: word("SubState"), description: word("Description"), service_type: word("Type") };
        let there = said.get("LoadState") != Some(&"not-found") || active == ActiveState::Failed;
        (there && !name.is_empty()).then_some(Listed { name, state, result })
    };
    text.split("\n\n").filter_map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_properties_are_units() {
        let text = "Type=forking\nResult=signal\nId=nginx.service\nDescription=A = web server\nActiveState=failed\n\
                    SubState=failed\n\nId=-.mount\nDescription=Root Mount\nActiveState=active\nSubState=mounted\n\n\
                    Id=auditd.service\nLoadState=not-found\nActiveState=inactive\n\n";
        let list = listed_of(text);
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].name.as_str(), list[0].result.as_str()), ("nginx.service", "signal"));
        assert_eq!(
            (list[0].state.description.as_str(), list[0].state.service_type.as_str()),
            ("A = web server", "forking")
        );
        assert_eq!((list[1].state.active, list[1].state.sub.as_str()), (ActiveState::Active, "mounted"));
        assert!(listed_of("Failed to connect to bus\n").is_empty());
    }
}
