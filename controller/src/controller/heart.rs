//! The core of a controller as it is started: what it reads back, what it is told, and what follows from a commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use anyhow::Context as _;
use tokio::sync::{Notify, watch};
use watchkeep_desk::InputBody;
use watchkeep_rules::load::Retention;

use super::build::Ground;
use super::{Claimed, DataDir};
use crate::access::certificates;
use crate::core::clock;
use crate::core::committer::{CHAIN, Committed, Committer, CoreError, LedgerKeys, Opened};
use crate::core::engine::{Engine, Surroundings, chain};
use crate::core::handle::Handle;
use crate::core::outlet::BrokerOutlet;
use crate::core::registry::Registry;
use crate::generation::{self, Generation};
use crate::samples::coarse::{Coarse, Resolution};
use crate::samples::foreign::Foreign;
use crate::samples::{Folder, KEEP_MS, Settings, Tap};
use crate::store::{self, Database, lease};

/// Starts the core over what the store has. `told` passes on each generation that it takes up; `take_over` takes the lease
/// from whoever has it.
pub(super) async fn start(
    ground: &Ground,
    claimed: &Claimed,
    keys: LedgerKeys,
    told: watch::Sender<Arc<Generation>>,
    take_over: bool,
) -> anyhow::Result<(Engine, Tap)> {
    let mut opener = Opener {
        database: ground.database.clone(),
        inputs: claimed.dir.inputs(),
        keys: Arc::new(keys),
        generation: ground.generation.clone(),
        registry: Arc::clone(&ground.registry),
        epoch: Arc::clone(&ground.epoch),
        holder: claimed.holder()?,
        take_over,
    };
    let samples_term = Arc::new(AtomicI64::new(ground.generation.borrow().retention.samples));
    let samples = sample_settings(&claimed.dir, Arc::clone(&samples_term))?;
    let (tap, coarse) = (samples.tap.clone(), samples.coarse.clone());
    keep_coarse(&coarse, &ground.generation.borrow().retention);
    let in_force = InForce { generation: told, samples_term, coarse };
    let surroundings = Surroundings {
        open: Box::new(move || opener.open()),
        downlinks: Arc::clone(&ground.downlinks),
        now: clock::now,
        committed: on_commit(
            Arc::clone(&ground.registry),
            Arc::clone(&ground.outlet),
            Arc::clone(&ground.bell),
            in_force,
        ),
        samples,
    };
    let engine = tokio::task::spawn_blocking(move || Engine::start(surroundings)).await?.context("start the core")?;
    Ok((engine, tap))
}

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
    let path = data.samples();
    let coarse = Coarse::open(&path);
    let coarse = coarse.with_context(|| format!("open the folders of coarse blocks beside \"{}\"", path.display()))?;
    Ok(Settings { folder, coarse, retention_ms, unsealed_max: UNSEALED_MAX, foreign, tap })
}

/// A generation to begin with.
pub(super) struct Found {
    pub(super) generation: Arc<Generation>,
    pub(super) author: String,
    /// Whether it is not the one that ran last.
    pub(super) is_news: bool,
}

/// The configuration directory's, or, where that has faults, the one that ran last.
pub(super) async fn first_generation(database: &Database, dir: &Path) -> anyhow::Result<Found> {
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
    /// The same of down-sampled ones.
    coarse: Coarse,
}

fn keep_coarse(coarse: &Coarse, terms: &Retention) {
    coarse.keep(Resolution::FiveMinutes, terms.samples_5m);
    coarse.keep(Resolution::Hour, terms.samples_1h);
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
            keep_coarse(&in_force.coarse, &next.retention);
            in_force.generation.send_replace(Arc::clone(next));
        }
        if committed.owed {
            bell.notify_one();
        }
    })
}

/// Certificates that were handed out and not told to the desk before the last stop.
pub(super) async fn tell_untold(database: &Database, core: &Handle) -> anyhow::Result<()> {
    let readers = database.readers(1);
    let read = move || readers.read(|tx| certificates::untold(tx, 500));
    for certificate in tokio::task::spawn_blocking(read).await?? {
        for change in certificate.changes() {
            core.ask(InputBody::Agent(change)).await?;
        }
    }
    Ok(())
}
