//! The command line of `watchkeep-agent`.

mod check_config;
mod enroll;
mod exit;
mod show;

use std::path::PathBuf;
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
    /// The settings; without this option a file that is not there counts as empty
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
    /// Give this host an identity with a token from the controller
    Enroll(enroll::Enroll),
    /// Print one reading as Prometheus's text exposition; needs no controller
    Metrics,
    /// Print what is on this host; needs no controller
    Inventory(show::Inventory),
    /// Check a settings file, name every fault at once, and print what is in force
    CheckConfig(check_config::CheckConfig),
    /// Print completions for a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Reads the command line, does what it says, and returns how it went.
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    start_log(line.common.log, false);
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
        Command::Enroll(enroll) => enroll.carry_out(&config()?),
        Command::Metrics => show::metrics(&config()?),
        Command::Inventory(inventory) => inventory.print(),
        Command::CheckConfig(check) => check.carry_out(line.common.config),
        Command::Completion { shell } => {
            let mut command = CommandLine::command();
            clap_complete::generate(shell, &mut command, "watchkeep-agent", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn load(named: Option<PathBuf>) -> Result<AgentConfig, Failure> {
    let may_be_absent = named.is_none();
    Ok(AgentConfig::load(&named.unwrap_or_else(|| DEFAULT_PATH.into()), may_be_absent)?)
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
    fn help_names_every_exit_code() {
        let help = CommandLine::command().render_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("\n  {}  ", exit as u8)), "{exit:?} is not in:\n{help}");
        }
    }
}
