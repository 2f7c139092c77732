//! A process that is a controller: its log, its runtime, and the signals that end it.

use std::io::IsTerminal as _;

use anyhow::Context as _;

use super::{Addresses, Controller, Options};

/// Runs a controller until it is told to stop.
pub fn serve(options: Options) -> anyhow::Result<()> {
    start_logging();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let controller = Controller::start(options).await?;
        let Addresses { http, mqtt, enrol } = &controller.addresses;
        tracing::info!(%http, %mqtt, %enrol, "the controller is ready");
        let ended = tokio::select! {
            stopped = stop_signal() => stopped,
            broken = controller.broken() => Err(broken),
        };
        tracing::info!("stopping");
        controller.stop().await;
        ended
    })
}

/// Logs to standard error; `WATCHKEEP_LOG` filters as `RUST_LOG` does elsewhere.
pub fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WATCHKEEP_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,rmqtt=warn"));
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = started.with_ansi(std::io::stderr().is_terminal()).try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
