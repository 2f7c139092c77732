//! The life of a controller: open, build, announce, run, drain.

mod build;
mod data;
mod entrance;
mod heart;
mod process;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::ApiState;
use crate::brokers::Reached;
use crate::core::engine::Engine;
use crate::fleet::enrol::EnrolHandle;
use crate::fleet::foreign;
use crate::remote_write::RemoteWrite;
use crate::store::{self, Database};

pub use data::{Claimed, DataDir, DirInUse};
pub use process::{serve, start_logging, stop_signal};

/// What a controller is started with.
#[derive(Clone, Debug)]
pub struct Options {
    pub data: PathBuf,
    /// HTTP API and console.
    pub listen: SocketAddr,
    /// Agents' MQTT over TLS.
    pub mqtt_listen: SocketAddr,
    /// Where hosts enrol, HTTPS.
    pub enrol_listen: SocketAddr,
    /// A broker of another make that agents are reached through, instead of listening for them.
    pub broker: Option<foreign::Address>,
    /// The CA of that broker's certificate, PEM; the controller's own where there is none.
    pub broker_ca: Option<PathBuf>,
    /// A database's address; `watchkeep.db` in `data` where there is none.
    pub database: Option<String>,
    /// Names and addresses under which agents reach this host, beyond loopback and its own name; the first is told to
    /// those that enrol.
    pub names: Vec<String>,
    /// Take the lease of the desk from a controller that holds it.
    pub take_over: bool,
    /// How long agents' certificates live; they renew them before a third of it is left.
    pub agent_certificate_life: Duration,
}

/// Where a running controller is reached.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub http: SocketAddr,
    /// `mqtts://host:port`, as agents are told.
    pub mqtt: String,
    pub enrol: SocketAddr,
}

/// A controller that runs.
pub struct Controller {
    pub addresses: Addresses,
    pub data: DataDir,
    pub state: ApiState,
    engine: Engine,
    broker: Reached,
    enrol: EnrolHandle,
    /// What runs beside the core until the controller stops, each under the name by which its end is told.
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    remote_write: RemoteWrite,
    stop: watch::Sender<bool>,
    ready: watch::Sender<bool>,
    /// The data directory, held as long as the controller lives.
    claimed: Claimed,
}

/// How often tasks are looked after that should not end.
const LOOKED_AFTER: Duration = Duration::from_secs(1);
/// How long each of them may take to end when it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

impl Controller {
    /// Opens everything and starts. Building starts nothing that outlives an error.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let claimed = DataDir::claim(&options.data)?;
        let address = options.database.clone().unwrap_or_else(|| claimed.dir.database());
        let database = tokio::task::spawn_blocking(move || store::open(&address)).await?.context("open the store")?;
        Self::build(options, claimed, database).await
    }

    /// The same over a database that is open already, for tests in which it fails; `options.database` is not looked at.
    pub async fn start_over(options: Options, database: Database) -> anyhow::Result<Self> {
        let claimed = DataDir::claim(&options.data)?;
        Self::build(options, claimed, database).await
    }

    /// Inputs that were set aside since the start.
    pub fn set_aside(&self) -> u64 {
        self.engine.aside().load(Ordering::Relaxed)
    }

    /// Waits until a part that everything needs has ended by itself.
    pub async fn broken(&self) -> anyhow::Error {
        let ended = self.engine.ended();
        let what = loop {
            tokio::select! {
                () = ended.notified() => break "the core",
                () = tokio::time::sleep(LOOKED_AFTER) => {}
            }
            if let Some((what, _)) = self.tasks.iter().find(|(_, task)| task.is_finished()) {
                break what;
            }
        };
        self.ready.send_replace(false);
        anyhow::anyhow!("{what} has ended by itself; the log says why")
    }

    /// Drains and stops: no more from outside, commit what is held, close.
    pub async fn stop(self) {
        self.ready.send_replace(false);
        self.enrol.stop().await;
        self.broker.stop().await;
        self.stop.send_replace(true);
        for (what, mut task) in self.tasks {
            if tokio::time::timeout(ENDS_WITHIN, &mut task).await.is_err() {
                tracing::warn!(what, "did not end within {ENDS_WITHIN:?}");
                task.abort();
            }
        }
        let (engine, remote_write) = (self.engine, self.remote_write);
        let ended = tokio::task::spawn_blocking(move || {
            engine.stop();
            // What the workers took last is queued before the process ends.
            remote_write.end();
        });
        if ended.await.is_err() {
            tracing::error!("the core ended badly");
        }
        drop(self.claimed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ca::AGENT_LIFE;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_part_that_ends_by_itself_is_named_and_the_controller_with_it_not_ready() {
        let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let options = Options {
            data: folder.path().to_owned(),
            listen: free,
            mqtt_listen: free,
            enrol_listen: free,
            broker: None,
            broker_ca: None,
            database: None,
            names: Vec::new(),
            take_over: false,
            agent_certificate_life: AGENT_LIFE,
        };
        let controller = Controller::start(options).await.expect("it starts");
        let still_well = tokio::time::timeout(Duration::from_millis(1_500), controller.broken()).await;
        assert!(still_well.is_err(), "nothing has ended");
        let outbox = controller.tasks.iter().find(|(what, _)| *what == "the outbox").expect("it runs");
        outbox.1.abort();
        let broken = tokio::time::timeout(Duration::from_secs(20), controller.broken()).await.expect("it is noticed");
        assert_eq!(broken.to_string(), "the outbox has ended by itself; the log says why");
        assert!(!*controller.state.ready.borrow());
        controller.stop().await;
    }
}
