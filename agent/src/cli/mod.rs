//! The command line of `watchkeep-agent`.

mod check_config;
mod enroll;
mod exit;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::config::{AgentConfig, DEFAULT_PATH};
pub use exit::{Exit, Failure};

/// Watches this host: collects metrics, hears of events, lists what is there, and reports it to its controller.
#[derive(Parser, Debug)]
#[command(name = "watchkeep-agent", version, after_help = exit::TABLE, max_term_width = 110)]
struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Debug)]
struct Common {
    /// The settings [default: /etc/watchkeep/agent.yaml, else the agent that "watchkeep up" runs for you, else none]
    #[arg(long, value_name = "FILE", global = true, env = "WATCHKEEP_AGENT_CONFIG")]
    config: Option<PathBuf>,
    /// What is logged, to standard error
    #[arg(long, value_name = "LEVEL", global = true, env = "WATCHKEEP_LOG")]
    log: Option<Level>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Watch and report until stopped (what the service runs)
    Run,
    /// Give this host an identity with a token from the controller
    Enroll(enroll::Enroll),
    /// Print one reading as Prometheus's text exposition; needs no controller
    Metrics,
    /// Print what is on this host; needs no controller
    Inventory(show::Inventory),
    /// Hand events to the running agent
    #[command(subcommand)]
    Event(EventCommand),
    /// Check a settings file, name every fault at once, and print what is in force
    CheckConfig(check_config::CheckConfig),
    /// Print completions for a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Subcommand, Debug)]
enum EventCommand {
    /// Send one event; returns once it is on disk
    Send(EventSend),
}

#[derive(Args, Debug)]
struct EventSend {
    /// What happened, as rules select on it: `backup_failed`
    kind: String,
    /// A label of the event; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A sentence for people
    #[arg(long, default_value = "")]
    text: String,
}

/// Reads the command line, does what it says, and returns how it went.
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    start_log(line.common.log, matches!(line.command, Command::Run));
    match carry_out(line) {
        Ok(()) => ExitCode::from(Exit::Done as u8),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit() as u8)
        }
    }
}

fn carry_out(line: CommandLine) -> Result<(), Failure> {
    let config = || load(line.common.config.clone());
    match line.command {
        Command::Run => crate::run::until_stopped(&config()?).map_err(|fault| Failure::Run(fault.into())),
        Command::Enroll(enroll) => enroll.carry_out(&config()?),
        Command::Metrics => show::metrics(&config()?),
        Command::Inventory(inventory) => inventory.print(&config()?),
        Command::Event(EventCommand::Send(event)) => send(&config()?, event),
        Command::CheckConfig(check) => check.carry_out(line.common.config),
        Command::Completion { shell } => {
            let mut command = CommandLine::command();
            clap_complete::generate(shell, &mut command, "watchkeep-agent", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// The settings file that was named; else the system's; else, for who has no agent in the system, the one of the agent that
/// `watchkeep up` runs for this user.
fn load(named: Option<PathBuf>) -> Result<AgentConfig, Failure> {
    let may_be_absent = named.is_none();
    let system = || Path::new(DEFAULT_PATH).exists().then(|| DEFAULT_PATH.into());
    let file = named.or_else(system).or_else(own_file).unwrap_or_else(|| DEFAULT_PATH.into());
    Ok(AgentConfig::load(&file, may_be_absent)?)
}

/// `$XDG_CONFIG_HOME/watchkeep/agent.yaml`, or `~/.config/watchkeep/agent.yaml`, where it is there.
fn own_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("watchkeep/agent.yaml")).filter(|path| path.exists())
}

fn send(config: &AgentConfig, event: EventSend) -> Result<(), Failure> {
    let mut labels: std::collections::BTreeMap<String, String> = event.labels.into_iter().collect();
    labels.insert("kind".to_owned(), event.kind);
    let event = watchkeep_protocol::Event { labels, text: event.text };
    let number =
        crate::event::send(&config.events.socket, &event).map_err(|fault| Failure::Unreachable(fault.into()))?;
    println!("The agent keeps the event (number {number} of all that it keeps) and reports it.");
    Ok(())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label looks like NAME=VALUE".to_owned()),
    }
}

/// The service logs what it does; other commands only what goes wrong. The journal has its own clock.
fn start_log(level: Option<Level>, is_service: bool) {
    let level = match level {
        Some(Level::Error) => tracing::Level::ERROR,
        Some(Level::Warn) => tracing::Level::WARN,
        Some(Level::Info) => tracing::Level::INFO,
        Some(Level::Debug) => tracing::Level::DEBUG,
        None if is_service => tracing::Level::INFO,
        None => tracing::Level::WARN,
    };
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.with_ansi(false).without_time().init();
    } else {
        log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_made() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn labels_are_split_at_the_first_equals_sign() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(label("ab").is_err() && label("=b").is_err());
    }

    #[test]
    fn help_names_every_exit_code() {
        let help = CommandLine::command().render_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("\n  {}  ", exit as u8)), "{exit:?} is not in:\n{help}");
        }
    }
}
