//! Packages, by the host's own manager: apt-get or dnf.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::time::Instant;
use watchkeep_protocol::command::Package;
use watchkeep_protocol::{CommandResult, Outcome};

use super::process::{Ran, plain, ran};
use super::{Granted, failed, programs, told, unchanged};

/// How a manager is spoken to. A name stands after `--`, so that none is taken for an option.
struct Manager {
    program: String,
    /// Lists what is installed of the names that follow: name, tab, version, or nothing.
    list: Vec<String>,
    /// Fetches what there is.
    refresh: Vec<&'static str>,
    install: &'static [&'static str],
    /// Installs what is missing and brings the rest to its newest version.
    upgrade: &'static [&'static str],
    remove: &'static [&'static str],
}

impl Manager {
    fn of_this_host() -> Option<Self> {
        let words = |program: String, words: &[&str]| {
            std::iter::once(program).chain(words.iter().map(|word| (*word).to_owned())).collect()
        };
        if let (Some(program), Some(query)) = (programs::resolve("apt-get"), programs::resolve("dpkg-query")) {
            // A lock of somebody else's is waited for; files that an administrator changed stay as they are.
            const INSTALL: &[&str] = &[
                "--yes",
                "--option=DPkg::Lock::Timeout=60",
                "--option=Dpkg::Options::=--force-confdef",
                "--option=Dpkg::Options::=--force-confold",
                "install",
            ];
            let format = "--showformat=${db:Status-Status} ${Package}\\t${Version}\\n";
            return Some(Self {
                program,
                list: words(query, &["--show", format]),
                refresh: vec!["--option=DPkg::Lock::Timeout=60", "update"],
                install: INSTALL,
                upgrade: INSTALL,
                remove: &["--yes", "--option=DPkg::Lock::Timeout=60", "remove"],
            });
        }
        let (program, query) = (programs::resolve("dnf")?, programs::resolve("rpm")?);
        Some(Self {
            program,
            list: words(query, &["--query", "--queryformat", "installed %{NAME}\\t%{VERSION}-%{RELEASE}\\n"]),
            refresh: vec!["--assumeyes", "makecache"],
            install: &["--assumeyes", "install"],
            upgrade: &["--assumeyes", "--best", "install"],
            remove: &["--assumeyes", "remove"],
        })
    }

    /// Versions of those that are installed.
    async fn installed(&self, names: &[String]) -> io::Result<BTreeMap<String, String>> {
        let argv: Vec<String> = self.list.iter().chain([&"--".to_owned()]).chain(names).cloned().collect();
        let ran = ran(plain(&argv), Duration::from_secs(30)).await?;
        let text = String::from_utf8_lossy(&ran.stdout.bytes);
        let of_line = |line: &str| {
            let (name, version) = line.strip_prefix("installed ")?.split_once('\t')?;
            Some((name.to_owned(), version.to_owned()))
        };
        Ok(text.lines().filter_map(of_line).collect())
    }

    async fn run(&self, words: &[&str], names: &[String], within: Duration) -> io::Result<Ran> {
        let words = words.iter().map(|word| (*word).to_owned());
        let mut argv: Vec<String> = std::iter::once(self.program.clone()).chain(words).collect();
        if !names.is_empty() {
            argv.push("--".to_owned());
            argv.extend_from_slice(names);
        }
        let mut command = plain(&argv);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        ran(command, within).await
    }
}

pub async fn bring(action: &Package, granted: &Granted, within: Duration) -> CommandResult {
    let Some(manager) = Manager::of_this_host() else {
        return failed(granted, "there is neither apt-get nor dnf on this host".to_owned());
    };
    match with(&manager, action, granted, within).await {
        Ok(result) => result,
        Err(error) => failed(granted, format!("start \"{}\" or what lists packages: {error}", manager.program)),
    }
}

async fn with(manager: &Manager, action: &Package, granted: &Granted, within: Duration) -> io::Result<CommandResult> {
    let until = Instant::now() + within;
    let before = manager.installed(&action.names).await?;
    let (there, missing): (Vec<String>, Vec<String>) =
        action.names.iter().cloned().partition(|name| before.contains_key(name));
    let (words, names) = match action.state.as_str() {
        "present" if missing.is_empty() => return Ok(unchanged(granted, "it was installed already")),
        "absent" if there.is_empty() => return Ok(unchanged(granted, "it was not installed")),
        "present" => (manager.install, missing),
        "absent" => (manager.remove, there),
        _ => {
            // What is known of before a refresh may be far from the latest.
            let refreshed = manager.run(&manager.refresh, &[], within).await?;
            if !refreshed.status.is_some_and(|status| status.success()) {
                return Ok(told(granted, refreshed, within, false));
            }
            (manager.upgrade, action.names.clone())
        }
    };
    let ran = manager.run(words, &names, until.saturating_duration_since(Instant::now())).await?;
    let after = manager.installed(&action.names).await?;
    let mut result = told(granted, ran, within, before != after);
    let wanted = if action.state == "absent" { 0 } else { action.names.len() };
    if result.outcome == Outcome::Done as i32 && after.len() != wanted {
        result.outcome = Outcome::Failed as i32;
        result.reason =
            format!("{} went well, but {} of {} are installed", words[words.len() - 1], after.len(), wanted);
    }
    Ok(result)
}
