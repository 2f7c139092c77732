//! The agent's life: one thread, one loop, and everything that it waits for in one place.
//!
//! Matters are spooled in groups, one sync a group, and answered once durable. Whatever does not answer (a collector that hangs,
//! an `act` that is gone, a broker out of reach) delays nothing else: reports go out at their interval, empty where the
//! collectors did not come back. At the end a `stopping` status is spooled, what can be delivered within a few seconds
//! is, and the broker gets a goodbye instead of a will.

mod body;
mod memory;
mod renewal;
mod workers;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

use crate::act::client::Client;
use crate::checks;
use crate::collect::Collectors;
use crate::config::AgentConfig;
use crate::discover::Discoverer;
use crate::enrol::{EnrolError, Identity};
use crate::event;
use crate::gather::{self, Source};
use crate::link::line::Line;
use crate::link::runtime::{AddressError, Carrier};
use crate::link::{Greeting, Link};
use crate::logs;
use crate::observe::{self, HostWatch, Observer, Sighting, Units};
use crate::root::Root;
use crate::scrape;
use crate::spool::{FolderDisk, Limits, Spool, SpoolError};
use crate::usage;
use body::{Body, Parts};
use renewal::Renewal;
use workers::{collecting, discovering};

/// Sightings and events that wait for the spool, each; senders wait while it is full.
const QUEUE: usize = 256;
/// Matters that are made durable together at most.
const GROUP: usize = 128;
/// Between looks at what is on the host.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The second look comes early: by then systemd's units are known.
const SECOND_LOOK: Duration = Duration::from_secs(4);
/// What is not delivered within this after being told to stop waits for the next start.
const LAST_WORDS: Duration = Duration::from_secs(3);
const GOODBYE: Duration = Duration::from_secs(2);

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Identity(#[from] EnrolError),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("open the spool \"{}\"", path.display())]
    SpoolFolder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("listen for events at \"{}\"", path.display())]
    Events { path: PathBuf, source: io::Error },
    #[error("{doing}")]
    System { doing: &'static str, source: io::Error },
}

/// Runs the agent on this thread until SIGTERM or SIGINT. A second signal ends it at once.
///
/// # Errors
/// What keeps it from starting; once it runs, only the spool's last words.
pub fn until_stopped(config: &AgentConfig) -> Result<(), RunError> {
    let system = |doing| move |source| RunError::System { doing, source };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system("make the runtime"))?;
    let ended = runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(system("hear SIGTERM"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system("hear SIGINT"))?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(async move {
            let mut both = async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
            both().await;
            let _ = stop.send(());
            both().await;
            tracing::warn!("told to stop a second time: ending at once");
            std::process::exit(130);
        });
        run(config, &Root::default(), async { drop(stopped.await) }).await
    });
    // Threads that hang in the kernel are left behind.
    runtime.shutdown_background();
    ended
}

/// Runs the agent until `stop` completes.
///
/// # Errors
/// As [`until_stopped`].
pub async fn run(config: &AgentConfig, root: &Root, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let system = |doing| move |source| RunError::System { doing, source };
    let state = &config.paths.state;
    let identity = Identity::load(state)?;
    let session = draw();
    let folder = state.join("spool");
    let disk = FolderDisk::open(&folder).map_err(|source| RunError::SpoolFolder { path: folder, source })?;
    let spool = Spool::open(disk, Limits::default(), draw())?;
    let renewal = Renewal::begin(state, identity.clone())?;
    let carrier = Carrier::new(renewal.shown(), session)?;
    let at = &config.events.socket;
    let listener = event::bind(at).map_err(|source| RunError::Events { path: at.clone(), source })?;

    let units = Arc::new(Mutex::new(Units::default()));
    let (sightings, seen) = mpsc::channel(QUEUE);
    let (events, sent) = mpsc::channel(QUEUE);
    let gathered =
        gather::begin(sources(config, root, &identity.name, Some(&sightings))).map_err(system("start a thread"))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(HostWatch::new(root, state, sightings.clone()).run());
    tasks.spawn(Observer::new(state, &root.boot_id(), units.clone(), sightings).run());
    tasks.spawn(event::listen(listener, events));
    let collectors = Collectors::new(root, &config.collect, units.clone());
    let link = Link::new(identity.name.clone(), session, greeting(config, root));
    let link = match renewal.shown().credentials(state)? {
        Some(credentials) => link.sealed(credentials),
        None => link,
    };
    let parts = Parts {
        line: Line::new(link, spool, carrier, chance),
        renewal,
        state: state.clone(),
        act: Client::begin(config.act.socket.clone()),
        collect: collecting(collectors, gathered).map_err(system("start a thread"))?,
        discover: discovering(Discoverer::new(root.clone(), state, &config.collect, units))
            .map_err(system("start a thread"))?,
    };
    tracing::info!(agent = identity.name, broker = identity.broker, "watchkeep-agent runs");
    let body = live(Body::begin(parts), config.interval, seen, sent, stop).await;
    let _ = std::fs::remove_file(&config.events.socket);
    drop(tasks);
    observe::stopped(state, &root.boot_id());
    body.end(GOODBYE).await
}

/// The loop; returns when it is told to stop and has said what it could.
async fn live(
    mut body: Body,
    every: Duration,
    mut seen: mpsc::Receiver<Sighting>,
    mut sent: mpsc::Receiver<event::Sent>,
    stop: impl Future<Output = ()>,
) -> Body {
    let mut report = interval(every);
    report.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look = interval_at(Instant::now() + SECOND_LOOK, LOOK_EVERY);
    let (mut sightings, mut events) = (Vec::new(), Vec::new());
    let mut last_words: Option<Instant> = None;
    tokio::pin!(stop);
    body.look();
    loop {
        let due = body.next_due();
        tokio::select! {
            heard = body.line.heard() => body.take_heard(heard),
            () = sleep_until(due) => body.due(),
            _ = seen.recv_many(&mut sightings, GROUP), if !seen.is_closed() => body.spool_sightings(&mut sightings),
            _ = sent.recv_many(&mut events, GROUP), if !sent.is_closed() => body.spool_events(&mut events),
            collected = body.collect.answer() => body.report(collected),
            found = body.discover.answer() => body.spool_inventory(found),
            news = body.act.news(), if body.has_room_for_outcomes() => body.take_news(news),
            () = body.renewal.given() => body.take_certificate(),
            _ = report.tick() => body.collect(),
            _ = look.tick() => body.look(),
            () = &mut stop, if last_words.is_none() => {
                body.stopping();
                last_words = Some(Instant::now() + LAST_WORDS);
            }
            () = sleep_until(last_words.unwrap_or_else(Instant::now)), if last_words.is_some() => return body,
        }
        if last_words.is_some() && body.line.has_said_all() {
            return body;
        }
    }
}

/// All that is asked beside the collectors, as the agent of this name; `out` takes what checks tell.
pub fn sources(
    config: &AgentConfig,
    root: &Root,
    agent: &str,
    out: Option<&mpsc::Sender<Sighting>>,
) -> Vec<Box<dyn Source>> {
    let mut all = scrape::sources(&config.scrape_configs, agent);
    all.extend(checks::sources(&config.checks, agent, out));
    all.extend(logs::sources(&config.logs, &config.paths.state, config.interval, out));
    all.extend(usage::sources(&config.usage, root));
    all
}

fn greeting(config: &AgentConfig, root: &Root) -> Greeting {
    Greeting {
        interval_ms: u32::try_from(config.interval.as_millis()).unwrap_or(u32::MAX),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hostname: root.line("proc/sys/kernel/hostname").unwrap_or_default(),
        boot_id: root.boot_id(),
        claims: config.labels.clone(),
        ..Greeting::default()
    }
}

/// 16 random bytes.
fn draw() -> [u8; 16] {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// 64 random bits.
fn chance() -> u64 {
    let bytes = draw();
    u64::from_be_bytes(bytes[..8].try_into().expect("16 bytes hold 8"))
}
