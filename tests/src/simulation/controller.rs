//! The simulated controller: real shards, committer, dispatcher and store, driven as `core::engine` and `core::carrier` drive
//! them, by one thread and a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use watchkeep::access::ca::Issued;
use watchkeep::access::certificates;
use watchkeep::access::keys::SigningKey;
use watchkeep::core::committer::{Committer, LedgerKeys, Opened};
use watchkeep::core::engine::{GROUP, chain};
use watchkeep::core::handle::{Carried, Work};
use watchkeep::core::outlet::{Downlinks, Outlet};
use watchkeep::core::registry::Registry;
use watchkeep::fleet::dispatch::{Dispatch, Dispatcher};
use watchkeep::fleet::gate::Refusal;
use watchkeep::fleet::sign::sign;
use watchkeep::generation::Generation;
use watchkeep::ingest::{Incoming, KeptHost, Proposal, Shard};
use watchkeep::ledger::LedgerSecret;
use watchkeep::samples::{Folder, Question, Receipt, Tally};
use watchkeep::store::failing::{Failing, Fault};
use watchkeep::store::lease::Holder;
use watchkeep::store::outbox::Errand;
use watchkeep::store::{lease, outbox, reading, writing};
use watchkeep_desk::{Effect, InputBody, Millis};
use watchkeep_protocol::topic::{Topic, shard_of};
use watchkeep_rules::selector::Selector;

use super::shared::Shared;
use super::timeline::Timeline;
use crate::chance::Chance;

/// Workers, each with its share of the shards.
const WORKERS: usize = 2;
/// How often samples are sealed, ms; a run is a few minutes long.
const SEAL_EVERY: i64 = 10_000;
/// Two configurations, between which the controller is reloaded while things go wrong.
const PACKS: [&str; 2] = [
    "packs:\n  - use: systemd\n  - use: demonstration\n",
    "packs:\n  - use: systemd\n    overrides:\n      UnitFailed: {resolve_after: 5s}\n  - use: demonstration\n",
];
/// The channels of both.
pub const CHANNELS: [&str; 2] = ["day", "night"];

/// What goes down.
pub enum Sent {
    Message {
        topic: Topic,
        payload: Vec<u8>,
    },
    Kick {
        client: String,
    },
    /// All of the agent's, whatever their client ids.
    KickAgent {
        agent: String,
    },
}

/// What the controller handed to its broker and the broker has not yet sent.
#[derive(Default)]
struct Sending(Mutex<Vec<Sent>>);

impl Sending {
    fn put(&self, sent: Sent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }
}

impl Outlet for Sending {
    fn publish(&self, topic: &Topic, payload: Vec<u8>) {
        self.put(Sent::Message { topic: topic.clone(), payload });
    }

    fn kick(&self, client: &str, _reason: &str) {
        self.put(Sent::Kick { client: client.to_owned() });
    }
}

/// The controller with what outlives it.
pub struct Controller {
    pub store: Shared,
    pub fault: Fault,
    pub inputs: PathBuf,
    /// Block files of samples.
    samples: Folder,
    /// When samples are sealed next.
    seal_at: Millis,
    /// What may be taken up, by hash.
    pub generations: BTreeMap<String, Arc<Generation>>,
    /// What is in force.
    generation: Arc<Generation>,
    pub checkpoint: Arc<LedgerKeys>,
    command_key: SigningKey,
    running: Option<Running>,
    /// When a dead one comes back.
    pub back_at: u64,
    /// Commits that failed, and controllers that died.
    pub failures: u64,
    /// What became of samples.
    pub tally: Tally,
    /// Certificates that were handed out.
    certificates: u64,
}

/// What ends with the process.
struct Running {
    committer: Committer,
    shards: Vec<Shard>,
    life: u64,
    epoch: u64,
    work: Vec<Work>,
    sending: Arc<Sending>,
    downlinks: Downlinks,
    dispatcher: Dispatcher,
    registry: Registry,
}

impl Controller {
    /// # Errors
    /// The store, the shipped packs or the folder cannot be used.
    pub fn new(folder: &Path) -> Result<Self> {
        let mut generations = Vec::new();
        let channel = |name| format!("  - webhook: {{name: {name}, url: 'http://localhost', secret_file: secret}}\n");
        for packs in PACKS {
            let settings = format!("{packs}notify:\n{}", CHANNELS.map(channel).concat());
            let files = BTreeMap::from([("watchkeep.yaml".to_owned(), settings)]);
            generations.push(Arc::new(Generation::check(files).context("check the shipped packs")?));
        }
        let keys = LedgerKeys { secret: LedgerSecret::new([7; 32]), checkpoint: SigningKey::generate() };
        Ok(Self {
            store: Shared::fresh().context("open a database in memory")?,
            fault: Fault::default(),
            inputs: folder.join("inputs"),
            samples: Folder::open(&folder.join("samples")).context("make the folder of block files")?,
            seal_at: Millis(0),
            generation: Arc::clone(&generations[0]),
            generations: generations.into_iter().map(|one| (one.hash.clone(), one)).collect(),
            checkpoint: Arc::new(keys),
            command_key: SigningKey::generate(),
            running: None,
            back_at: 0,
            failures: 0,
            tally: Tally::default(),
            certificates: 0,
        })
    }

    /// The public key that hosts check commands with.
    pub fn public_key(&self) -> Vec<u8> {
        self.command_key.public_key().to_vec()
    }

    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Nothing waits for the desk.
    pub fn is_quiet(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.work.is_empty())
    }

    /// A new process: takes the lease and reads everything back.
    ///
    /// # Errors
    /// What was kept cannot be read back.
    pub fn start(&mut self, now: Millis, timeline: &mut Timeline) -> Result<()> {
        self.fault.arm(0);
        let (Opened { committer, kept, agents }, epoch) = self.open(now)?;
        timeline.say("controller", format!("starts at fact {}, epoch {epoch}", committer.head()));
        let sending = Arc::new(Sending::default());
        let mut running = Running {
            committer,
            shards: Vec::new(),
            life: 0,
            epoch,
            work: Vec::new(),
            downlinks: Downlinks::new(sending.clone()),
            sending,
            dispatcher: Dispatcher::default(),
            registry: Registry::default(),
        };
        running.registry.take(&agents);
        running.restore(kept, &self.samples, now)?;
        self.running = Some(running);
        self.tell_untold()
    }

    fn open(&mut self, now: Millis) -> Result<(Opened, u64)> {
        let mut store = Failing::new(self.store.clone(), self.fault.clone());
        let holder = Holder { words: "simulation".to_owned(), place: "simulation".to_owned() };
        let epoch = lease::take(&mut store, lease::DESK, &holder, false, now).context("take the lease")?;
        let opened =
            Committer::open(Box::new(store), &self.inputs, Arc::clone(&self.checkpoint), Arc::clone(&self.generation));
        Ok((opened.context("read everything back")?, epoch))
    }

    /// Takes the generation up and enrols the hosts, before anything goes wrong.
    ///
    /// # Errors
    /// The first commit fails.
    pub fn prepare(&mut self, now: Millis, names: &[String], timeline: &mut Timeline) -> Result<Vec<String>> {
        let (answer, _) = tokio::sync::oneshot::channel();
        let generation = Arc::clone(&self.generation);
        let take_up = Work::TakeUp { generation, author: "simulation".to_owned(), answer };
        self.running.as_mut().context("it was started")?.work.push(take_up);
        let mut serials = Vec::new();
        for name in names {
            let (agent, serial) = self.enrol(name, now)?;
            ensure!(agent == *name, "{name} is enrolled as {agent}");
            serials.push(serial);
        }
        ensure!(self.turn(now, timeline)?, "the hosts are not enrolled");
        Ok(serials)
    }

    /// Enrols a host that asks for this name, as the office does: its certificate is kept, then the desk is told. The name
    /// and the serial that it got; it may connect once [`Controller::admit`] says so.
    ///
    /// # Errors
    /// The certificate cannot be kept.
    pub fn enrol(&mut self, wanted: &str, now: Millis) -> Result<(String, String)> {
        self.certificates += 1;
        let (number, labels) = (self.certificates, BTreeMap::new());
        let serial = format!("{number:032x}");
        let granted = writing(&mut self.store, |tx| {
            let Some(agent) = certificates::free_name(tx, wanted)? else { return Ok(None) };
            let issued = Issued { agent, serial: serial.clone(), pem: "PEM".to_owned(), not_after: i64::MAX };
            certificates::keep(tx, &issued, (wanted, "simulation", [number as u8; 32], &labels), now.0)?;
            Ok(Some(issued.agent))
        });
        let agent = granted.context("keep a certificate")?.with_context(|| format!("no name is free for {wanted}"))?;
        self.tell_untold()?;
        Ok((agent, serial))
    }

    /// What was enrolled and the desk has not learnt of.
    fn tell_untold(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let untold = reading(&mut self.store, |tx| certificates::untold(tx, 500)).context("read the certificates")?;
        for body in untold.iter().flat_map(|certificate| certificate.changes()).map(InputBody::Agent) {
            let waits = |work: &Work| matches!(work, Work::Input { body: waiting, .. } if *waiting == body);
            if !running.work.iter().any(waits) {
                running.work.push(Work::Input { body, answer: None });
            }
        }
        Ok(())
    }

    /// Whether the holder of this certificate may connect.
    ///
    /// # Errors
    /// What stands against it.
    pub fn admit(&self, agent: &str, serial: &str) -> Result<(), Refusal> {
        self.running.as_ref().map_or(Err(Refusal::NotReady), |running| running.registry.admit(agent, serial))
    }

    /// The process ends at once. The last write to the input log may be there in part.
    ///
    /// # Errors
    /// The input log cannot be torn.
    pub fn crash(&mut self, back_at: u64, chance: &mut Chance, timeline: &mut Timeline) -> Result<()> {
        if self.running.take().is_none() {
            return Ok(());
        }
        self.failures += 1;
        self.back_at = back_at;
        timeline.say("controller", "is killed");
        if chance.below(2) == 0
            && let Some(newest) = newest_file(&self.inputs)?
        {
            let torn: Vec<u8> = (0..1 + chance.below(20)).map(|byte| byte as u8).collect();
            let mut file = OpenOptions::new().append(true).open(&newest).context("open the input log")?;
            file.write_all(&torn).context("tear the input log")?;
            timeline.say("controller", format!("{} bytes of a torn frame are left in the input log", torn.len()));
        }
        Ok(())
    }

    /// Somebody reloads the configuration: the one that is not in force is to be taken up.
    pub fn reload(&mut self, timeline: &mut Timeline) {
        let other = self.generations.values().find(|one| one.hash != self.generation.hash);
        let (Some(running), Some(generation)) = (&mut self.running, other.cloned()) else { return };
        timeline.say("controller", format!("is to take up generation {}", &generation.hash[..8]));
        let (answer, _) = tokio::sync::oneshot::channel();
        running.work.push(Work::TakeUp { generation, author: "simulation".to_owned(), answer });
    }

    /// Something came for the shard of `agent`. Whether the desk has work now.
    pub fn hear(&mut self, agent: &str, incoming: Incoming, now: Millis) {
        if let Some(running) = &mut self.running {
            let worker = shard_of(agent) as usize % WORKERS;
            running.step(worker, incoming, now);
        }
    }

    /// Time passes for every shard.
    pub fn tick(&mut self, now: Millis) {
        if let Some(running) = &mut self.running {
            for worker in 0..WORKERS {
                running.step(worker, Incoming::Tick { behind: false }, now);
            }
            for shard in &mut running.shards {
                let Tally { asked, given_up, .. } = shard.take_tally();
                self.tally.asked += asked;
                self.tally.given_up += given_up;
            }
            if now >= self.seal_at {
                self.seal_at = now.plus(SEAL_EVERY);
                running.seal(&self.samples, now);
            }
        }
    }

    /// The desk's turn: everything that waits is decided and committed. `false`: a commit failed.
    ///
    /// # Errors
    /// A fault that nobody armed.
    pub fn turn(&mut self, now: Millis, timeline: &mut Timeline) -> Result<bool> {
        let Some(running) = &mut self.running else { return Ok(true) };
        let count = running.work.len().min(GROUP);
        let group: Vec<Work> = running.work.drain(..count).collect();
        let group = group.into_iter().filter(|work| running.is_current(work)).collect();
        let before = running.committer.head();
        match running.committer.commit(now, group) {
            Ok(mut committed) => {
                if committed.head != before {
                    timeline.say("controller", format!("commits facts {}..={}", before + 1, committed.head));
                }
                for agent in running.registry.take(&committed.agents) {
                    running.sending.put(Sent::KickAgent { agent });
                }
                for proposal in std::mem::take(&mut committed.proposals) {
                    running.send_down(proposal);
                }
                if let Some(generation) = committed.generation {
                    self.generation = generation;
                }
                if let Some(rules) = committed.rules {
                    for worker in 0..WORKERS {
                        running.step(worker, Incoming::Rules(Arc::clone(&rules)), now);
                    }
                }
                if let Some(watches) = committed.watches {
                    for worker in 0..WORKERS {
                        running.step(worker, Incoming::Watches(Arc::clone(&watches)), now);
                    }
                }
                Ok(true)
            }
            Err(error) => {
                let said = chain(&error);
                timeline.say("controller", format!("a commit fails: {said}"));
                if !self.fault.struck() {
                    bail!("a commit failed though no fault was armed: {said}");
                }
                self.failures += 1;
                Ok(false)
            }
        }
    }

    /// After a failed commit: everything in memory is dropped and read back, as the engine does.
    ///
    /// # Errors
    /// What was kept cannot be read back.
    pub fn reopen(&mut self, now: Millis, timeline: &mut Timeline) -> Result<()> {
        self.fault.arm(0);
        let (Opened { committer, kept, agents }, epoch) = self.open(now)?;
        timeline.say("controller", format!("reads everything back at fact {}, epoch {epoch}", committer.head()));
        let Some(running) = &mut self.running else { return Ok(()) };
        running.committer = committer;
        running.epoch = epoch;
        running.life += 1;
        running.registry.take(&agents);
        running.restore(kept, &self.samples, now)?;
        // Who enrols waits for an answer, and asks again where none comes.
        self.tell_untold()
    }

    /// Carries out what the outbox owes: signs and sends commands, tells notices. With `deaf` the first channel takes no notice now.
    ///
    /// # Errors
    /// The outbox cannot be read, or an order cannot be signed.
    pub fn carry(&mut self, now: Millis, deaf: bool, timeline: &mut Timeline) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let due = reading(&mut self.store, |tx| outbox::due(tx, now, 256)).context("read the outbox")?;
        let (epoch, dispatcher) = (running.epoch, &mut running.dispatcher);
        let dispatches = running.downlinks.live.with(|live| dispatcher.step(&due, |agent| live.get(agent), epoch, now));
        for dispatch in dispatches {
            match dispatch {
                Dispatch::Send { order, session, binding } => {
                    let command = sign(&self.command_key, &order, &binding).context("sign an order")?;
                    let what = format!("sends {} step {} attempt {}", order.run, order.step, order.attempt);
                    timeline.say("controller", format!("{what} to {}", order.agent));
                    running.downlinks.send_command(&order.agent, session, &command);
                }
                Dispatch::Expired { command, agent, .. } => {
                    timeline.say("controller", format!("gives up a command to {agent}"));
                    let carried = Carried::GivenUp { error: "it expired".to_owned() };
                    running.work.push(Work::Carried {
                        errand: Errand::command(command),
                        carried,
                        told: None,
                        kept: tokio::sync::oneshot::channel().0,
                    });
                }
            }
        }
        let waiting: BTreeSet<Errand> = running.work.iter().filter_map(carried_errand).collect();
        for owed in due {
            if let Effect::Notice(notice) = &owed.effect
                && !waiting.contains(&owed.errand)
            {
                let is_deaf = deaf && owed.errand.channel == CHANNELS[0];
                let (carried, told) = if is_deaf {
                    timeline.say("controller", format!("notice {} is not taken", &owed.errand.id[..8]));
                    (Carried::Failed { error: "nobody is there".to_owned(), again_at: now.plus(2_000) }, None)
                } else {
                    let channel = owed.errand.channel.clone();
                    let (notice, about, detail) = (notice.notice, notice.about(), String::new());
                    (Carried::Done, Some(InputBody::Notified { notice, channel, about, delivered: true, detail }))
                };
                let kept = tokio::sync::oneshot::channel().0;
                running.work.push(Work::Carried { errand: owed.errand, carried, told, kept });
            }
        }
        Ok(())
    }

    /// Every value of the metric `name` that there is of `agent`, in order of time.
    ///
    /// # Errors
    /// The controller is down, or has more than it is asked for.
    pub fn values(&self, agent: &str, name: &str) -> Result<Vec<f64>> {
        let matchers = Selector::parse(&format!("{{__name__=\"{name}\", instance=\"{agent}\"}}"));
        let question = Question {
            matchers: matchers.map_err(|error| anyhow!("{error:?}"))?,
            after: i64::MIN,
            until: i64::MAX,
            labels_only: false,
            series_max: 10,
            points_max: 100_000,
        };
        let mut values = Vec::new();
        for shard in &self.running.as_ref().context("the controller is down")?.shards {
            let found = shard.select(&question).map_err(|error| anyhow!(error))?;
            values.extend(found.iter().flat_map(|series| series.points.iter().map(|point| point.value)));
        }
        Ok(values)
    }

    /// What is to be sent down now.
    pub fn sent(&mut self) -> Vec<Sent> {
        let Some(running) = &self.running else { return Vec::new() };
        std::mem::take(&mut *running.sending.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Running {
    /// Samples go into block files, as the engine's workers have them written.
    fn seal(&mut self, folder: &Folder, now: Millis) {
        for (worker, shard) in self.shards.iter_mut().enumerate() {
            if let Receipt::Sealed { covered, .. } = shard.hand_over(now).write(folder, worker) {
                shard.sealed(&covered);
            }
        }
    }

    fn restore(&mut self, kept: BTreeMap<String, KeptHost>, folder: &Folder, now: Millis) -> Result<()> {
        let mut shares: Vec<BTreeMap<String, KeptHost>> = (0..WORKERS).map(|_| BTreeMap::new()).collect();
        for (agent, host) in kept {
            shares[shard_of(&agent) as usize % WORKERS].insert(agent, host);
        }
        let rules = self.committer.rules();
        self.shards = shares.into_iter().map(|share| Shard::restore(Arc::clone(&rules), share, now)).collect();
        for shard in &mut self.shards {
            let faults = shard.recover(folder, now).context("read block files back")?;
            ensure!(faults.is_empty(), "block files that nobody damaged are not whole: {faults:?}");
        }
        let watches = self.committer.watches();
        for worker in 0..WORKERS {
            self.step(worker, Incoming::Rules(Arc::clone(&rules)), now);
            self.step(worker, Incoming::Watches(Arc::clone(&watches)), now);
        }
        Ok(())
    }

    /// As a worker of the engine steps its shard.
    fn step(&mut self, worker: usize, incoming: Incoming, now: Millis) {
        for mut proposal in self.shards[worker].steps(vec![incoming], now) {
            if proposal.may_go_at_once() {
                self.send_down(proposal);
            } else {
                proposal.life = self.life;
                self.work.push(Work::Proposal(proposal));
            }
        }
    }

    fn send_down(&self, proposal: Proposal) {
        for down in proposal.down {
            self.downlinks.send(&proposal.agent, down);
        }
    }

    /// What was proposed in a life before is dropped, unacknowledged.
    fn is_current(&self, work: &Work) -> bool {
        !matches!(work, Work::Proposal(proposal) if proposal.life != self.life)
    }
}

fn carried_errand(work: &Work) -> Option<Errand> {
    match work {
        Work::Carried { errand, .. } => Some(errand.clone()),
        _ => None,
    }
}

fn newest_file(folder: &Path) -> Result<Option<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("list \"{}\"", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.context("list the input log")?.path());
    }
    Ok(files.into_iter().max())
}
