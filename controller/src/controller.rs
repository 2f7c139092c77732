//! The life of a controller: open, build, announce, run, drain.

mod data;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use watchkeep_desk::InputBody;

use crate::access::api_tokens::{self, Role};
use crate::access::ca::{Ca, ServerFiles};
use crate::access::keys::{Purpose, SigningKey};
use crate::access::{self, certificates};
use crate::api::{self, ApiState};
use crate::brokers::{Credentials, Reached};
use crate::core::carrier::Carrier;
use crate::core::checkpoints::CheckpointKey;
use crate::core::clock;
use crate::core::committer::{CHAIN, Committed, Committer, CoreError, LedgerKeys, Opened};
use crate::core::engine::{Engine, Surroundings, chain};
use crate::core::gate::CoreGate;
use crate::core::outlet::{BrokerOutlet, Downlinks};
use crate::core::outside::OutsideAlerts;
use crate::core::registry::Registry;
use crate::core::retention::Keeper;
use crate::fleet::enrol::{self, EnrolConfig, EnrolHandle, Given, Office};
use crate::fleet::foreign;
use crate::generation::{self, Generation};
use crate::ledger::LedgerSecret;
use crate::metrics::{Counts, Metrics};
use crate::remote_write::{self, RemoteWrite};
use crate::samples::foreign::Foreign;
use crate::samples::{Folder, KEEP_MS, Settings, Tap};
use crate::store::{self, Database, lease};

pub use data::{Claimed, DataDir, DirInUse};

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
    http: JoinHandle<()>,
    carrier: JoinHandle<()>,
    retention: JoinHandle<()>,
    alerts: JoinHandle<()>,
    remote_write: RemoteWrite,
    stop: watch::Sender<bool>,
    ready: watch::Sender<bool>,
    /// The data directory, held as long as the controller lives.
    claimed: Claimed,
}

/// How often tasks are looked after that should not end.
const LOOKED_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// What stays the same while the store is opened again and again.
struct Opener {
    database: Database,
    inputs: PathBuf,
    keys: Arc<LedgerKeys>,
    generation: watch::Receiver<Arc<Generation>>,
    registry: Arc<Registry>,
    epoch: Arc<AtomicU64>,
    holder: lease::Holder,
    /// Whether to take the lease from whoever has it. Said by a person once: after the first time it is not repeated.
    take_over: bool,
}

impl Opener {
    /// Takes the lease, and reads everything back.
    fn open(&mut self) -> Result<Opened, CoreError> {
        let mut store = self.database.writer()?;
        let epoch = lease::take(store.as_mut(), lease::DESK, &self.holder, self.take_over, clock::now())?;
        self.take_over = false;
        self.epoch.store(epoch, Ordering::Release);
        let generation = Arc::clone(&self.generation.borrow());
        let opened = Committer::open(store, &self.inputs, Arc::clone(&self.keys), generation)?;
        self.registry.take(&opened.agents);
        Ok(opened)
    }
}

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

    async fn build(options: Options, claimed: Claimed, database: Database) -> anyhow::Result<Self> {
        let data = claimed.dir.clone();
        let ca = Ca::open(&data.0, clock::now().0)?.agents_for(options.agent_certificate_life);
        let server = ca.server(&options.names, clock::now().0)?;
        let command_key = Arc::new(SigningKey::open(&data.0, Purpose::Command)?);
        let credentials = Credentials::issue(&ca, server.clone(), Arc::clone(&command_key))?;
        let checkpoint_key = SigningKey::open(&data.0, Purpose::Checkpoint)?;
        let verify_key = CheckpointKey::of(&checkpoint_key);
        let fingerprint = ca.fingerprint();
        let found = first_generation(&database, &data.config()).await?;
        let (told_generation, generation) = watch::channel(found.generation);
        let registry = Arc::new(Registry::default());
        let epoch = Arc::new(AtomicU64::new(0));
        let outlet = Arc::new(BrokerOutlet::default());
        let downlinks = Arc::new(Downlinks::new(outlet.clone()));
        let bell = Arc::new(Notify::new());

        let mut opener = Opener {
            database: database.clone(),
            inputs: data.inputs(),
            keys: Arc::new(LedgerKeys {
                secret: LedgerSecret::read_or_make(&data.ledger_secret()).context("open the ledger's secret")?,
                checkpoint: checkpoint_key,
            }),
            generation: generation.clone(),
            registry: Arc::clone(&registry),
            epoch: Arc::clone(&epoch),
            holder: claimed.holder()?,
            take_over: options.take_over,
        };
        let samples_term = Arc::new(AtomicI64::new(generation.borrow().retention.samples));
        let in_force = InForce { generation: told_generation, samples_term: Arc::clone(&samples_term) };
        let committed = on_commit(Arc::clone(&registry), outlet.clone(), Arc::clone(&bell), in_force);
        let samples = sample_settings(&data, samples_term)?;
        let tap = samples.tap.clone();
        let surroundings = Surroundings {
            open: Box::new(move || opener.open()),
            downlinks: Arc::clone(&downlinks),
            now: clock::now,
            committed,
            samples,
        };
        let engine =
            tokio::task::spawn_blocking(move || Engine::start(surroundings)).await?.context("start the core")?;
        let core = engine.handle();
        if found.is_news {
            // The borrow must end before the desk tells of the generation through the same channel.
            let first = Arc::clone(&generation.borrow());
            core.take_up(first, found.author).await?;
        }
        tell_untold(&database, &core).await?;

        let (stop, stopped) = watch::channel(false);
        let passing_on = remote_write::Surroundings {
            folder: data.remote_write(),
            config_dir: data.config(),
            generation: generation.clone(),
            tap,
            now: clock::now,
        };
        let remote_write = RemoteWrite::start(passing_on, stopped.clone()).await;
        let gate = Arc::new(CoreGate { inlet: engine.inlet(), registry });
        let broker = Reached::start(&options, &credentials, gate).await?;
        outlet.set(broker.line());
        let (enrol, enrol_url) =
            start_enrolment(&options, &database, ca, &server, &command_key, &core, &broker).await?;
        let (figures, inlet, aside, samples) =
            (broker.figures(), engine.inlet(), engine.aside(), engine.sample_counts());
        let metrics = Metrics::new(samples.lag(), move || Counts {
            broker: figures(),
            ingest_dropped: inlet.dropped(),
            set_aside: aside.load(Ordering::Relaxed),
            samples: samples.read(),
        });
        let (ready, is_ready) = watch::channel(false);
        let readers = database.readers(4);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        let carrier = Carrier {
            core: core.clone(),
            readers: readers.clone(),
            downlinks: Arc::clone(&downlinks),
            key: command_key,
            epoch,
            generation: generation.clone(),
            config_dir: data.config(),
            http: http.clone(),
            now: clock::now,
            bell,
        };
        let carrier = tokio::spawn(carrier.run(stopped.clone()));
        let database_for_retention = database.clone();
        let eraser = tokio::task::spawn_blocking(move || database_for_retention.writer()).await??;
        let keeper = Keeper {
            store: eraser,
            inputs: data.inputs(),
            core: core.clone(),
            generation: generation.clone(),
            now: clock::now,
        };
        let retention = tokio::spawn(keeper.run(stopped.clone()));
        let database_for_tokens = database.clone();
        let writer = tokio::task::spawn_blocking(move || database_for_tokens.writer()).await??;
        let timeout = generation.borrow().config.settings.resolve_timeout;
        let outside = Arc::new(OutsideAlerts::open(core.clone(), clock::now(), timeout).await?);
        let alerts = tokio::spawn(Arc::clone(&outside).run(clock::now, stopped.clone()));
        let state = ApiState {
            core,
            outside,
            started: clock::now(),
            readers,
            auditor: database.readers(1),
            writer: Arc::new(Mutex::new(writer)),
            generation,
            config_dir: data.config(),
            http,
            enrol_url,
            ca_fingerprint: fingerprint,
            metrics,
            downlinks,
            rules: engine.rules(),
            samples: engine.reader(),
            sample_counts: engine.sample_counts(),
            remote_write: Arc::clone(&remote_write.stores),
            checkpoint_key: verify_key,
            now: clock::now,
            ready: is_ready,
            stopping: stopped,
        };
        first_token(&state, &data.token()).await?;
        let listener = tokio::net::TcpListener::bind(options.listen).await;
        let listener = listener.with_context(|| format!("listen for the API on {}", options.listen))?;
        let http_address = listener.local_addr()?;
        let http = tokio::spawn(serve_http(listener, state.clone()));
        ready.send_replace(true);
        let mqtt = broker.address(|bound| reached_at(&options, bound));
        let addresses = Addresses { http: http_address, mqtt, enrol: enrol.address() };
        Ok(Self {
            addresses,
            data,
            state,
            engine,
            broker,
            enrol,
            http,
            carrier,
            retention,
            alerts,
            remote_write,
            stop,
            ready,
            claimed,
        })
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
            let parts = [
                ("the API", &self.http),
                ("the outbox", &self.carrier),
                ("retention", &self.retention),
                ("alerts from outside", &self.alerts),
                ("remote write", &self.remote_write.task),
            ];
            if let Some((what, _)) = parts.into_iter().find(|(_, task)| task.is_finished()) {
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
        let (engine, mut remote_write) = (self.engine, self.remote_write);
        for (what, mut task) in [
            ("the API", self.http),
            ("the outbox", self.carrier),
            ("retention", self.retention),
            ("alerts from outside", self.alerts),
            ("remote write", std::mem::replace(&mut remote_write.task, tokio::spawn(std::future::ready(())))),
        ] {
            if tokio::time::timeout(std::time::Duration::from_secs(5), &mut task).await.is_err() {
                tracing::warn!(what, "did not end within 5 s");
                task.abort();
            }
        }
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

/// Bytes of samples kept in memory while no block file can be written: some three hours of 2,000 hosts of 300 series each.
const UNSEALED_MAX: usize = 512 << 20;

/// Opens the folder of block files; what a process that died left half written is removed.
fn sample_settings(data: &DataDir, retention_ms: Arc<AtomicI64>) -> anyhow::Result<Settings> {
    let path = data.samples();
    let opened = Folder::open(&path).and_then(|folder| folder.tidy().map(|()| folder));
    let folder = opened.with_context(|| format!("open the folder of block files, \"{}\"", path.display()))?;
    let path = data.foreign();
    let opened = Foreign::open(&path, &folder, clock::now().0.saturating_sub(KEEP_MS));
    let (foreign, faults) =
        opened.with_context(|| format!("open the log of foreign samples, \"{}\"", path.display()))?;
    faults.iter().for_each(|fault| tracing::error!(fault, "what others wrote is not whole"));
    let tap = Tap::default();
    let foreign = Arc::new(foreign.tapped(tap.clone()));
    Ok(Settings { folder, retention_ms, unsealed_max: UNSEALED_MAX, foreign, tap })
}

/// A generation to begin with.
struct Found {
    generation: Arc<Generation>,
    author: String,
    /// Whether it is not the one that ran last.
    is_news: bool,
}

/// The configuration directory's, or, where that has faults, the one that ran last.
async fn first_generation(database: &Database, dir: &Path) -> anyhow::Result<Found> {
    let (readers, dir) = (database.readers(1), dir.to_owned());
    tokio::task::spawn_blocking(move || {
        let last = readers.read(|tx| store::generations::in_force(tx, CHAIN)).context("read the last generation")?;
        let from_dir = generation::read_dir(&dir).and_then(Generation::check);
        match (from_dir, last) {
            (Ok(generation), last) => {
                let is_news = last.is_none_or(|last| last.hash != generation.hash);
                Ok(Found { generation: Arc::new(generation), author: "start".to_owned(), is_news })
            }
            (Err(error), None) => Err(error).context(format!("take up \"{}\"", dir.display())),
            (Err(error), Some(last)) => {
                tracing::error!(faults = %chain(&error), "the configuration has faults; what ran last goes on running");
                let generation = Arc::new(Generation::check(last.files)?);
                Ok(Found { generation, author: last.author, is_news: false })
            }
        }
    })
    .await?
}

/// Where a generation that was taken up is told.
struct InForce {
    generation: watch::Sender<Arc<Generation>>,
    /// How long samples are kept, for whoever seals them.
    samples_term: Arc<AtomicI64>,
}

/// What happens on the desk's thread after each commit, before anybody is answered.
fn on_commit(
    registry: Arc<Registry>,
    outlet: Arc<BrokerOutlet>,
    bell: Arc<Notify>,
    in_force: InForce,
) -> Box<dyn FnMut(&Committed) + Send> {
    Box::new(move |committed| {
        for agent in registry.take(&committed.agents) {
            outlet.kick_agent(&agent);
        }
        if let Some(next) = &committed.generation {
            in_force.samples_term.store(next.retention.samples, Ordering::Relaxed);
            in_force.generation.send_replace(Arc::clone(next));
        }
        if committed.owed {
            bell.notify_one();
        }
    })
}

/// Certificates that were handed out and not told to the desk before the last stop.
async fn tell_untold(database: &Database, core: &crate::core::handle::Handle) -> anyhow::Result<()> {
    let readers = database.readers(1);
    let read = move || readers.read(|tx| certificates::untold(tx, 500));
    for certificate in tokio::task::spawn_blocking(read).await?? {
        for change in certificate.changes() {
            core.ask(InputBody::Agent(change)).await?;
        }
    }
    Ok(())
}

async fn start_enrolment(
    options: &Options,
    database: &Database,
    ca: Ca,
    server: &ServerFiles,
    command_key: &SigningKey,
    core: &crate::core::handle::Handle,
    broker: &Reached,
) -> anyhow::Result<(EnrolHandle, String)> {
    let database = database.clone();
    let store = tokio::task::spawn_blocking(move || database.writer()).await??;
    let core = core.clone();
    let tell = move |certificate: &certificates::Certificate| {
        for change in certificate.changes() {
            core.ask_blocking(InputBody::Agent(change)).map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    let given = Given {
        broker: broker.address(|bound| reached_at(options, bound)),
        sealed: broker.is_sealed(),
        command_keys: vec![command_key.public_key_text()],
    };
    let office = Office::new(store, ca, given, Box::new(tell));
    let config =
        EnrolConfig { listen: options.enrol_listen, certificate: server.certificate.clone(), key: server.key.clone() };
    let enrol = enrol::listen(config, Arc::new(office)).await?;
    let url = format!("https://{}:{}", reached_at(options, enrol.address()), enrol.address().port());
    Ok((enrol, url))
}

/// Under which name others reach what listens at `bound`.
fn reached_at(options: &Options, bound: SocketAddr) -> String {
    options.names.first().cloned().unwrap_or_else(|| match bound {
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
        SocketAddr::V4(address) => address.ip().to_string(),
    })
}

/// Makes the first administrator's token where there is none.
async fn first_token(state: &ApiState, path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let now = clock::now().0;
    let drawn = (access::random(), access::random());
    let token = state
        .write(move |tx| api_tokens::create(tx, ("first", Role::Admin, "controller"), drawn, None, now))
        .await
        .map_err(|problem| anyhow::anyhow!("make the first token: {}", problem.detail))?;
    Ok(access::private_file::write(path, token.reveal().as_bytes())?)
}

async fn serve_http(listener: tokio::net::TcpListener, state: ApiState) {
    let mut stopping = state.stopping.clone();
    let until = async move {
        // An end of the sender is an end as well.
        let _stopped = stopping.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, api::router(state)).with_graceful_shutdown(until).await {
        tracing::error!(%error, "the API stopped");
    }
}

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
        controller.carrier.abort();
        let broken = tokio::time::timeout(Duration::from_secs(20), controller.broken()).await.expect("it is noticed");
        assert_eq!(broken.to_string(), "the outbox has ended by itself; the log says why");
        assert!(!*controller.state.ready.borrow());
        controller.stop().await;
    }
}
