//! A controller is put together: who it is, its core, those who speak to agents, what runs beside, the API.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::{Addresses, Claimed, Controller, DataDir, Options, entrance, heart};
use crate::access;
use crate::access::api_tokens;
use crate::access::ca::{Ca, ServerFiles};
use crate::access::keys::{Purpose, SigningKey};
use crate::access::roles::Role;
use crate::api::{self, ApiState};
use crate::brokers::{Credentials, Reached};
use crate::core::carrier::Carrier;
use crate::core::checkpoints::CheckpointKey;
use crate::core::clock;
use crate::core::committer::LedgerKeys;
use crate::core::engine::Engine;
use crate::core::gate::CoreGate;
use crate::core::handle::Handle;
use crate::core::outlet::{BrokerOutlet, Downlinks};
use crate::core::outside::OutsideAlerts;
use crate::core::registry::Registry;
use crate::core::retention::Keeper;
use crate::generation::Generation;
use crate::ledger::LedgerSecret;
use crate::metrics::{Counts, Metrics};
use crate::remote_write::{self, RemoteWrite};
use crate::samples::Tap;
use crate::store::{Database, Store};

/// Who a controller is: its CA, its certificate, its keys.
pub(super) struct Identity {
    pub(super) ca: Ca,
    pub(super) server: ServerFiles,
    pub(super) command_key: Arc<SigningKey>,
    credentials: Credentials,
}

impl Identity {
    fn open(options: &Options, data: &DataDir) -> anyhow::Result<Self> {
        let ca = Ca::open(&data.0, clock::now().0)?.agents_for(options.agent_certificate_life);
        let server = ca.server(&options.names, clock::now().0)?;
        let command_key = Arc::new(SigningKey::open(&data.0, Purpose::Command)?);
        let credentials = Credentials::issue(&ca, server.clone(), Arc::clone(&command_key))?;
        Ok(Self { ca, server, command_key, credentials })
    }
}

/// What the parts have in common.
pub(super) struct Ground {
    pub(super) database: Database,
    /// The generation in force.
    pub(super) generation: watch::Receiver<Arc<Generation>>,
    pub(super) registry: Arc<Registry>,
    /// Of the desk's lease.
    pub(super) epoch: Arc<AtomicU64>,
    pub(super) outlet: Arc<BrokerOutlet>,
    pub(super) downlinks: Arc<Downlinks>,
    /// Rung where a commit left something to be carried out.
    pub(super) bell: Arc<Notify>,
    data: DataDir,
    http: reqwest::Client,
    /// True once the controller stops.
    stopped: watch::Receiver<bool>,
}

impl Ground {
    fn new(
        data: DataDir,
        database: Database,
        generation: watch::Receiver<Arc<Generation>>,
        stopped: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let outlet = Arc::new(BrokerOutlet::default());
        Ok(Self {
            database,
            generation,
            registry: Arc::new(Registry::default()),
            epoch: Arc::new(AtomicU64::new(0)),
            downlinks: Arc::new(Downlinks::new(outlet.clone())),
            outlet,
            bell: Arc::new(Notify::new()),
            data,
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?,
            stopped,
        })
    }

    /// A connection to the store that writes.
    async fn writer(&self) -> anyhow::Result<Box<dyn Store>> {
        let database = self.database.clone();
        Ok(tokio::task::spawn_blocking(move || database.writer()).await??)
    }

    async fn pass_on(&self, tap: Tap) -> (RemoteWrite, JoinHandle<()>) {
        let surroundings = remote_write::Surroundings {
            folder: self.data.remote_write(),
            config_dir: self.data.config(),
            generation: self.generation.clone(),
            tap,
            now: clock::now,
        };
        RemoteWrite::start(surroundings, self.stopped.clone()).await
    }

    /// Carries out what the desk decided.
    fn carrier(&self, core: &Handle, key: Arc<SigningKey>) -> JoinHandle<()> {
        let carrier = Carrier {
            core: core.clone(),
            readers: self.database.readers(4),
            downlinks: Arc::clone(&self.downlinks),
            key,
            epoch: Arc::clone(&self.epoch),
            generation: self.generation.clone(),
            config_dir: self.data.config(),
            http: self.http.clone(),
            now: clock::now,
            bell: Arc::clone(&self.bell),
        };
        tokio::spawn(carrier.run(self.stopped.clone()))
    }

    /// Removes what is past its term.
    async fn retention(&self, core: &Handle) -> anyhow::Result<JoinHandle<()>> {
        let keeper = Keeper {
            store: self.writer().await?,
            inputs: self.data.inputs(),
            core: core.clone(),
            generation: self.generation.clone(),
            now: clock::now,
        };
        Ok(tokio::spawn(keeper.run(self.stopped.clone())))
    }

    /// Alerts that others make.
    async fn outside(&self, core: &Handle) -> anyhow::Result<(Arc<OutsideAlerts>, JoinHandle<()>)> {
        let timeout = self.generation.borrow().config.settings.resolve_timeout;
        let outside = Arc::new(OutsideAlerts::open(core.clone(), clock::now(), timeout).await?);
        let task = tokio::spawn(Arc::clone(&outside).run(clock::now, self.stopped.clone()));
        Ok((outside, task))
    }
}

impl Controller {
    /// Builds a controller that runs; nothing of it outlives an error.
    pub(super) async fn build(options: Options, claimed: Claimed, database: Database) -> anyhow::Result<Self> {
        let data = claimed.dir.clone();
        let identity = Identity::open(&options, &data)?;
        let checkpoint = SigningKey::open(&data.0, Purpose::Checkpoint)?;
        let checkpoint_key = CheckpointKey::of(&checkpoint);
        let secret = LedgerSecret::read_or_make(&data.ledger_secret()).context("open the ledger's secret")?;

        let found = heart::first_generation(&database, &data.config()).await?;
        let (told, generation) = watch::channel(Arc::clone(&found.generation));
        let (stop, stopped) = watch::channel(false);
        let ground = Ground::new(data.clone(), database, generation, stopped)?;
        let keys = LedgerKeys { secret, checkpoint };
        let (engine, tap) = heart::start(&ground, &claimed, keys, told, options.take_over).await?;
        let core = engine.handle();
        if found.is_news {
            core.take_up(found.generation, found.author).await?;
        }
        heart::tell_untold(&ground.database, &core).await?;

        // Before agents are heard, or their first samples would not be passed on.
        let (remote_write, passing_on) = ground.pass_on(tap).await;
        let gate = Arc::new(CoreGate { inlet: engine.inlet(), registry: Arc::clone(&ground.registry) });
        let broker = Reached::start(&options, &identity.credentials, gate).await?;
        ground.outlet.set(broker.line());
        let (ca_fingerprint, command_key) = (identity.ca.fingerprint(), Arc::clone(&identity.command_key));
        let (enrol, enrol_url) = entrance::open(&options, &ground.database, identity, &core, &broker).await?;

        let (outside, alerts) = ground.outside(&core).await?;
        let carrier = ground.carrier(&core, command_key);
        let retention = ground.retention(&core).await?;
        let (ready, is_ready) = watch::channel(false);
        let state = ApiState {
            core,
            outside,
            started: clock::now(),
            readers: ground.database.readers(4),
            auditor: ground.database.readers(1),
            writer: Arc::new(Mutex::new(ground.writer().await?)),
            generation: ground.generation.clone(),
            config_dir: data.config(),
            http: ground.http.clone(),
            enrol_url,
            ca_fingerprint,
            metrics: metrics(&engine, &broker),
            downlinks: Arc::clone(&ground.downlinks),
            rules: engine.rules(),
            inlet: engine.inlet(),
            samples: engine.reader(),
            coarse: engine.coarse(),
            sample_counts: engine.sample_counts(),
            remote_write: Arc::clone(&remote_write.stores),
            checkpoint_key,
            logins: Arc::default(),
            now: clock::now,
            ready: is_ready,
            stopping: ground.stopped.clone(),
        };
        first_token(&state, &data.token()).await?;
        let (http, api) = listen(options.listen, state.clone()).await?;
        ready.send_replace(true);

        let mqtt = broker.address(|bound| entrance::reached_at(&options, bound));
        let tasks = vec![
            ("the API", api),
            ("the outbox", carrier),
            ("retention", retention),
            ("alerts from outside", alerts),
            ("remote write", passing_on),
        ];
        let addresses = Addresses { http, mqtt, enrol: enrol.address() };
        Ok(Self { addresses, data, state, engine, broker, enrol, tasks, remote_write, stop, ready, claimed })
    }
}

fn metrics(engine: &Engine, broker: &Reached) -> Metrics {
    let (figures, inlet, aside, samples) = (broker.figures(), engine.inlet(), engine.aside(), engine.sample_counts());
    let coarse = engine.coarse();
    Metrics::new(samples.histograms(), move || Counts {
        broker: figures(),
        ingest_dropped: inlet.dropped(),
        set_aside: aside.load(Ordering::Relaxed),
        samples: samples.read(),
        coarse: coarse.counts(),
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

/// Listens for the API, and answers until the controller stops.
async fn listen(at: SocketAddr, state: ApiState) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let listener =
        tokio::net::TcpListener::bind(at).await.with_context(|| format!("listen for the API on {at} (--listen)"))?;
    let bound = listener.local_addr()?;
    Ok((bound, tokio::spawn(serve_http(listener, state))))
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
