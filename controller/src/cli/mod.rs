//! The operator's command line.
//!
//! A noun a file; each command is one request to the API, shown as a table, JSON or YAML. What needs no controller (`rules`,
//! `runbook check`, `schema`, `completion`) runs here alone.

pub mod client;
pub mod context;
pub mod exit;
pub mod output;
pub mod paging;

mod agents;
mod audit;
mod brokers;
mod changes;
mod cis;
mod events;
mod files;
mod fleet;
mod incidents;
mod judge;
mod notices;
mod pager;
mod problems;
mod query;
mod rules;
mod runs;
mod screen;
mod serve;
mod silences;
mod status;
#[cfg(test)]
mod tests;
mod usage;
mod users;
mod watch;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use client::{Client, ClientError};
use output::Format;
use watchkeep_rules::promql::Features;

/// IT service management that runs itself.
///
/// Agents on hosts report to a controller, which opens incidents, keeps the CMDB and runs the runbooks that mend. Begin with
/// "watchkeep up": it starts a controller and an agent for this host.
#[derive(Debug, Parser)]
#[command(
    name = "watchkeep",
    version,
    max_term_width = 110,
    after_help = "Exit codes: watchkeep help-exit-codes. Another controller: WATCHKEEP_URL and WATCHKEEP_TOKEN, or WATCHKEEP_CONTEXT=FILE."
)]
struct Cli {
    /// How answers are shown
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Format,
    /// Take what is experimental in Prometheus: promql-experimental-functions, promql-duration-expr (commas between)
    #[arg(long, global = true, value_name = "FEATURES", value_parser = Features::named)]
    enable_feature: Vec<Features>,
    #[command(subcommand)]
    command: Command,
}

/// Where each shell looks for what it prints.
const COMPLETION: &str = "Examples:
  bash: watchkeep completion bash > ~/.local/share/bash-completion/completions/watchkeep
  zsh:  watchkeep completion zsh > ~/.zfunc/_watchkeep     (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  fish: watchkeep completion fish > ~/.config/fish/completions/watchkeep.fish";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a controller and an agent for this host, and go on from what is there
    Up(serve::Up),
    /// Run a controller
    Serve(serve::Serve),
    /// How the controller stands: agents, open incidents, what runs
    Status,
    /// Take the files of the configuration directory up, or say every fault and leave running what runs
    Reload,
    /// Check and test rule files; no controller is needed
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Check, list and run runbooks
    #[command(subcommand)]
    Runbook(runs::Runbook),
    /// What runbooks did, are doing and wait for
    #[command(subcommand)]
    Run(runs::Runs),
    /// What is broken, who is on it, what was tried
    #[command(subcommand)]
    Incident(incidents::Incidents),
    /// What lies behind incidents: candidates for the cause, evidence, workarounds
    #[command(subcommand)]
    Problem(problems::Problems),
    /// What was done to the estate, and as which change
    #[command(subcommand)]
    Change(changes::Changes),
    /// Alerts that nobody is to be called for, until a time
    #[command(subcommand)]
    Silence(silences::Silences),
    /// What there is: configuration items and their relations
    #[command(subcommand)]
    Ci(cis::Cis),
    /// The agents, and the tokens that enrol new ones
    #[command(subcommand)]
    Agent(agents::Agents),
    /// How every agent does: health, version, lag, spool, clock
    #[command(subcommand)]
    Fleet(fleet::Fleet),
    /// Certificates for a broker of another make
    #[command(subcommand)]
    Broker(brokers::Brokers),
    /// Evaluate a PromQL expression over what hosts measured
    Query(query::Query),
    /// Events that agents reported
    #[command(subcommand)]
    Event(events::Events),
    /// What people were told, and what could not be delivered
    #[command(subcommand)]
    Notice(notices::Notices),
    /// Follow the ledger as it grows, a line a fact
    Watch(watch::Watch),
    /// Tell the whole story of an incident or a problem from the ledger
    Why(why::Why),
    /// Check that the ledger is whole
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Decide the stored inputs again and compare every fact, byte for byte
    Replay(audit::Replay),
    /// Stop every runbook of the fleet, or let them go on
    #[command(subcommand)]
    StopSwitch(runs::StopSwitch),
    /// Tokens of people and programs that use the API
    #[command(subcommand)]
    Token(agents::Tokens),
    /// People who log in to the console, and what each may do
    #[command(subcommand)]
    User(users::Users),
    /// The JSON Schema of a kind of file, for editors
    Schema(files::Schema),
    /// Completion for a shell
    #[command(after_help = COMPLETION)]
    Completion {
        /// Which one
        shell: clap_complete::Shell,
    },
    /// What each exit code means
    HelpExitCodes,
}

/// Why a command did not end well, and with which code.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    /// Shown behind `watchkeep: `; empty where all was said.
    pub message: String,
}

impl Failure {
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Everything was said already.
    pub fn said(code: u8) -> Self {
        Self { code, message: String::new() }
    }

    /// A file, directory or port that cannot be used.
    pub fn environment(error: &anyhow::Error) -> Self {
        Self::new(exit::ENVIRONMENT, format!("{error:#}"))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = crate::core::engine::chain(&error);
        Self { code: error.exit_code(), message }
    }
}

type Outcome = Result<(), Failure>;

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| usage::end(&error, std::env::args().skip(1)));
    match run(cli) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("watchkeep: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli) -> Outcome {
    let features = cli.enable_feature.into_iter().fold(Features::default(), Features::and);
    features.enable().map_err(|message| Failure::new(exit::USAGE, message))?;
    let format = cli.output;
    match cli.command {
        Command::Up(up) => up.run(),
        Command::Serve(serve) => serve.run(),
        Command::Broker(broker) => broker.run(),
        Command::Rules(rules) => rules.run(format),
        Command::Schema(schema) => schema.run(),
        Command::Runbook(runs::Runbook::Check(check)) => check.run(format),
        Command::Audit(audit::Audit::Verify(verify)) => match verify.run_local(format) {
            Some(outcome) => outcome,
            None => remote(format, Command::Audit(audit::Audit::Verify(verify))),
        },
        Command::Replay(replay) => replay.run(format),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "watchkeep", &mut script);
            output::say(&String::from_utf8_lossy(&script));
            Ok(())
        }
        Command::HelpExitCodes => {
            for (code, meaning) in exit::TABLE {
                output::say(&format!("{code:>3}  {meaning}\n"));
            }
            Ok(())
        }
        command => remote(format, command),
    }
}

/// Commands that ask the controller.
fn remote(format: Format, command: Command) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(exit::ENVIRONMENT, format!("start the runtime: {error}")))?;
    runtime.block_on(async {
        let client = Client::connect()?;
        match command {
            Command::Status => status::show(&client, format).await,
            Command::Reload => files::reload(&client, format).await,
            Command::Runbook(runbook) => runbook.run(&client, format).await,
            Command::Run(runs) => runs.run(&client, format).await,
            Command::Incident(incidents) => incidents.run(&client, format).await,
            Command::Problem(problems) => problems.run(&client, format).await,
            Command::Change(changes) => changes.run(&client, format).await,
            Command::Silence(silences) => silences.run(&client, format).await,
            Command::Ci(cis) => cis.run(&client, format).await,
            Command::Agent(agents) => agents.run(&client, format).await,
            Command::Fleet(fleet) => fleet.run(&client, format).await,
            Command::Event(events) => events.run(&client, format).await,
            Command::Notice(notices) => notices.run(&client, format).await,
            Command::Query(query) => query.run(&client, format).await,
            Command::Watch(watch) => watch.run(&client, format).await,
            Command::Why(why) => why.run(&client, format).await,
            Command::Audit(audit) => audit.run(&client, format).await,
            Command::StopSwitch(switch) => switch.run(&client, format).await,
            Command::User(users) => users.run(&client, format).await,
            Command::Token(tokens) => tokens.run(&client, format).await,
            // The rest ran without a controller.
            _ => Ok(()),
        }
    })
}
