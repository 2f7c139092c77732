//! `watchkeep-act`: does what the controller ordered and this host's policy allows. See [`watchkeep_agent::act`].

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use watchkeep_agent::act::server::{Act, Settings};
use watchkeep_agent::policy::Policy;

/// The privileged half of the Watchkeep agent: carries out signed commands that this host's policy allows.
#[derive(Parser)]
#[command(name = "watchkeep-act", version)]
struct Options {
    /// Where the network process connects; systemd may hand the socket over instead.
    #[arg(long, default_value = "/run/watchkeep/act.sock")]
    socket: PathBuf,
    /// Journal, and whom to obey (written at enrolment).
    #[arg(long, default_value = "/var/lib/watchkeep-act")]
    state: PathBuf,
    /// What may be done to this host.
    #[arg(long, default_value = "/etc/watchkeep/policy.yaml")]
    policy: PathBuf,
    /// The user that the network process runs as; root and act's own user always may connect.
    #[arg(long)]
    peer: Option<String>,
    /// Only check the policy: prints its faults, exits 1 where there are any.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    start_logging();
    match run(Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("watchkeep-act: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// To standard error: without the time where the journal writes it, in colour where a person looks on.
fn start_logging() {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    let log = log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => log.without_time().init(),
        None => log.init(),
    }
}

fn run(options: Options) -> anyhow::Result<ExitCode> {
    if options.check {
        return check(&options.policy);
    }
    let settings =
        Settings { state: options.state, policy: options.policy, socket: options.socket, peer: options.peer };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let act = Act::open(settings)?;
        let listener = match handed_over()? {
            Some(listener) => listener,
            None => act.bind()?,
        };
        let mut end = signal(SignalKind::terminate())?;
        tokio::select! {
            // A command that runs goes on with its group and is `Unknown` at the next start, which is the truth.
            _ = end.recv() => Ok(ExitCode::SUCCESS),
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
            ended = act.serve(listener) => ended.map(|()| ExitCode::SUCCESS).context("serve the socket"),
        }
    })
}

fn check(policy: &std::path::Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(policy).with_context(|| format!("read \"{}\"", policy.display()))?;
    match Policy::parse(&policy.display().to_string(), &text) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(faults) => {
            println!("{faults}");
            Ok(ExitCode::from(1))
        }
    }
}

/// The socket that systemd listens at for us (`LISTEN_FDS`, the first one), where it started us by socket activation.
fn handed_over() -> anyhow::Result<Option<UnixListener>> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(std::process::id()) || number("LISTEN_FDS").unwrap_or(0) == 0 {
        return Ok(None);
    }
    #[expect(unsafe_code, reason = "systemd's protocol hands the socket over as descriptor 3")]
    // SAFETY: LISTEN_PID names this process, so descriptor 3 was opened for it, and nothing else here owns it.
    let listener = unsafe { <std::os::unix::net::UnixListener as std::os::fd::FromRawFd>::from_raw_fd(3) };
    listener.set_nonblocking(true)?;
    Ok(Some(UnixListener::from_std(listener).context("take the socket that systemd handed over")?))
}
