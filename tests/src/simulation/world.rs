//! The scheduler: what happens next, to whom, and what goes wrong with it.

mod clones;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, ensure};
use prost::Message as _;
use watchkeep::fleet::gate::Gone;
use watchkeep::ingest::Incoming;
use watchkeep_desk::Millis;
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Ack, Envelope, Resync, Will};

use super::broker::{KEEP_ALIVE, Line, Taken, WILL_DELAY, Weather, peer};
use super::controller::{Controller, Sent};
use super::host::{Host, Wish};
use super::invariants::{self, End, Seen};
use super::timeline::Timeline;
use clones::Twins;

use crate::chance::Chance;

/// UTC milliseconds at the beginning.
const BEGIN: i64 = 1_800_000_000_000;
/// How long things go wrong, virtual ms.
const STORM: u64 = 90_000;
/// How long it is watched after everybody has said everything: longer than a command is valid.
const QUIET: u64 = 90_000;
/// By then everything must be quiet.
const END: u64 = 1_500_000;
/// How often a host's clock is looked at.
const HOST_TICK: u64 = 250;
/// As the engine ticks.
const TICK: u64 = 200;
/// Lines of the timeline that a failure shows.
const SHOWN: usize = 120;

/// A seed that broke an invariant.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub timeline: String,
    pub broken: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, timeline, broken } = self;
        write!(f, "{timeline}\nseed {seed} breaks an invariant: {broken}\nrun it again with WATCHKEEP_SEED={seed}")
    }
}

/// Runs one seed to its end.
///
/// # Errors
/// The story of the seed up to the invariant that it breaks.
pub fn run(seed: u64) -> Result<End, Failure> {
    // `WATCHKEEP_LINES` shows more of a long story.
    let lines = std::env::var("WATCHKEEP_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(SHOWN);
    let fail = |timeline: &Timeline, broken: String| Failure { seed, timeline: timeline.tail(lines), broken };
    let mut world = World::new(seed).map_err(|error| fail(&Timeline::default(), format!("{error:#}")))?;
    world.live().map_err(|error| fail(&world.timeline, format!("{error:#}")))
}

/// What is going to happen.
enum Due {
    Host(usize),
    /// Time passes at the controller.
    Tick,
    /// The desk takes what waits.
    Turn,
    /// A connection reaches the broker, or fails to.
    Connect {
        host: usize,
        connection: u64,
        client: String,
        session: [u8; 16],
    },
    /// The broker's answer reaches the agent.
    Connected {
        host: usize,
        connection: u64,
    },
    Refused {
        host: usize,
        connection: u64,
    },
    /// The end of a connection reaches the broker.
    Closed {
        host: usize,
        connection: u64,
    },
    Will {
        host: usize,
        client: String,
        session: [u8; 16],
    },
    Up {
        host: usize,
        connection: u64,
        topic: String,
        payload: Vec<u8>,
    },
    Down {
        host: usize,
        connection: u64,
        topic: String,
        payload: Vec<u8>,
    },
}

struct World {
    chance: Chance,
    timeline: Timeline,
    due: BTreeMap<(u64, u64), Due>,
    scheduled: u64,
    hosts: Vec<Host>,
    lines: Vec<Line>,
    controller: Controller,
    turn_waits: bool,
    weather: Weather,
    seen: Seen,
    /// Hosts of which there are two now.
    twins: Vec<Twins>,
    /// Those that were told apart again.
    clones: u64,
    quiet_since: Option<u64>,
    /// What was found broken where no error could be returned.
    broken: Option<String>,
    folder: tempfile::TempDir,
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let mut chance = Chance::of(seed);
        // Synced thousands of times: in memory where the system has such a place.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).context("make a folder")?;
        let mut timeline = Timeline::default();
        let mut controller = Controller::new(folder.path())?;
        controller.start(Millis(BEGIN), &mut timeline)?;
        let names: Vec<String> = (1..=2 + chance.below(3)).map(|number| format!("web-{number}")).collect();
        let serials = controller.prepare(Millis(BEGIN), &names, &mut timeline)?;
        let mut hosts = Vec::new();
        for (name, serial) in names.iter().zip(&serials) {
            let keys = vec![controller.public_key()];
            hosts.push(Host::new(name, serial, &folder.path().join(name), keys, Chance::of(chance.draw()))?);
        }
        let weather = Weather::drawn(&mut chance);
        timeline.say("weather", format!("{weather:?}"));
        let lines = hosts.iter().map(|_| Line::default()).collect();
        let mut world = Self {
            chance,
            timeline,
            due: BTreeMap::new(),
            scheduled: 0,
            hosts,
            lines,
            controller,
            turn_waits: false,
            weather,
            seen: Seen::default(),
            twins: Vec::new(),
            clones: 0,
            quiet_since: None,
            broken: None,
            folder,
        };
        for host in 0..world.hosts.len() {
            world.after(host as u64, Due::Host(host));
        }
        world.after(TICK, Due::Tick);
        Ok(world)
    }

    fn wall(&self) -> i64 {
        BEGIN + self.timeline.now as i64
    }

    fn now(&self) -> Millis {
        Millis(self.wall())
    }

    fn is_storm(&self) -> bool {
        self.timeline.now < STORM
    }

    fn after(&mut self, delay: u64, due: Due) {
        self.scheduled += 1;
        self.due.insert((self.timeline.now + delay, self.scheduled), due);
    }

    fn live(&mut self) -> Result<End> {
        loop {
            let ((at, _), due) = self.due.pop_first().expect("clocks never stop");
            self.timeline.now = at;
            self.happen(due)?;
            if self.is_over()? {
                break;
            }
        }
        let mut end = invariants::in_the_end(&mut self.controller, &mut self.hosts, &self.seen)?;
        end.commands = self.hosts.iter().map(|host| host.act.carried.len() as u64).sum();
        end.failures = self.controller.failures;
        end.clones = self.clones;
        Ok(end)
    }

    /// Quiet for longer than any run takes.
    fn is_over(&mut self) -> Result<bool> {
        let quiet = !self.is_storm() && self.controller.is_quiet() && self.hosts.iter().all(Host::is_quiet);
        let quiet = quiet && self.twins.is_empty();
        let now = self.timeline.now;
        // Reports and their acks go on for ever, so a moment of noise does not count against it.
        self.quiet_since = if quiet { self.quiet_since.or(Some(now)) } else { self.quiet_since };
        let waited = self.quiet_since.is_some_and(|since| now >= since + QUIET);
        if !(quiet && waited) {
            let restless: Vec<&str> =
                self.hosts.iter().filter(|host| !host.is_quiet()).map(|host| host.name.as_str()).collect();
            ensure!(
                now < END,
                "nothing goes wrong any more, and it does not become quiet: {restless:?} have more to say"
            );
        }
        Ok(quiet && waited)
    }

    fn happen(&mut self, due: Due) -> Result<()> {
        match due {
            Due::Host(host) => self.host(host)?,
            Due::Tick => self.tick()?,
            Due::Turn => {
                self.turn_waits = false;
                self.turn()?;
            }
            Due::Connect { host, connection, client, session } => self.connect(host, connection, client, session),
            Due::Connected { host, connection } => {
                let wall = self.wall();
                let wishes = self.hosts[host].connected(connection, wall, &mut self.timeline);
                self.grant(host, wishes);
            }
            Due::Refused { host, connection } => self.disconnect(host, connection),
            Due::Closed { host, connection } => self.gone(host, connection, Gone::Closed),
            Due::Will { host, client, session } => self.will(host, &client, session),
            Due::Up { host, connection, topic, payload } => self.up(host, connection, &topic, payload),
            Due::Down { host, connection, topic, payload } => {
                if !self.is_cut(host) {
                    let wall = self.wall();
                    let wishes = self.hosts[host].heard(connection, &topic, &payload, wall, &mut self.timeline);
                    self.grant(host, wishes);
                }
            }
        }
        Ok(())
    }

    fn is_cut(&self, host: usize) -> bool {
        self.lines[host].cut_until > self.timeline.now
    }

    fn host(&mut self, host: usize) -> Result<()> {
        self.after(HOST_TICK, Due::Host(host));
        if self.is_storm() {
            self.trouble_host(host)?;
        } else {
            self.hosts[host].disk.fail_at(0);
        }
        let (wall, storm) = (self.wall(), self.is_storm());
        let wishes = self.hosts[host].tick(wall, storm, &mut self.timeline)?;
        self.grant(host, wishes);
        Ok(())
    }

    /// What may go wrong with a host now.
    fn trouble_host(&mut self, host: usize) -> Result<()> {
        let now = self.timeline.now;
        match self.chance.below(1_500) {
            0..=3 => self.cut(host),
            4..=6 => {
                let power = self.chance.below(2) == 0;
                let back_at = now + 500 + self.chance.below(15_000);
                if let Some(connection) = self.hosts[host].crash(power, back_at, &mut self.timeline)?
                    && !power
                    && !self.is_cut(host)
                {
                    let delay = self.chance.below(200);
                    self.after(delay, Due::Closed { host, connection });
                }
            }
            7..=8 => {
                let back_at = now + 200 + self.chance.below(10_000);
                self.hosts[host].crash_act(back_at, &mut self.timeline)?;
            }
            20..=27 => self.hosts[host].take_snapshot(&mut self.timeline),
            28..=33 => {
                let back_at = now + 500 + self.chance.below(15_000);
                if let Some(connection) = self.hosts[host].restore_snapshot(back_at, &mut self.timeline)?
                    && !self.is_cut(host)
                {
                    self.after(10, Due::Closed { host, connection });
                }
            }
            34 => self.clone_host(host)?,
            9..=12 => {
                let operation = 1 + self.chance.below(6);
                self.hosts[host].disk.fail_at(operation);
            }
            _ => {}
        }
        Ok(())
    }

    fn cut(&mut self, host: usize) {
        let length = 500 + self.chance.below(50_000);
        self.lines[host].cut_until = self.timeline.now + length;
        let name = self.hosts[host].name.clone();
        self.timeline.say("network", format!("the line to {name} is cut for {length} ms"));
    }

    /// Does what a host wishes of the world.
    fn grant(&mut self, host: usize, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Publish { topic, payload } => {
                    let life = self.hosts[host].life.as_ref();
                    let Some((connection, true)) = life.and_then(|life| life.connection) else { continue };
                    if self.is_cut(host) {
                        continue;
                    }
                    for delay in self.weather.arrivals(&mut self.chance) {
                        let (topic, payload) = (topic.clone(), payload.clone());
                        self.after(delay, Due::Up { host, connection, topic, payload });
                    }
                }
                Wish::Connect { connection } => {
                    let Some((client, session)) = self.hosts[host].client() else { continue };
                    let delay = 1 + self.chance.below(100);
                    self.after(delay, Due::Connect { host, connection, client, session });
                }
                Wish::Drop { connection } => {
                    if !self.is_cut(host) {
                        self.after(10, Due::Closed { host, connection });
                    }
                }
            }
        }
    }

    fn connect(&mut self, host: usize, connection: u64, client: String, session: [u8; 16]) {
        if self.is_cut(host) || !self.controller.is_up() {
            let delay = if self.is_cut(host) { 15_000 } else { 20 };
            return self.after(delay, Due::Refused { host, connection });
        }
        let (now, name) = (self.timeline.now, self.hosts[host].agent.clone());
        let serial = self.hosts[host].serial.clone();
        if let Err(refusal) = self.controller.admit(&name, &serial) {
            self.timeline.say("broker", format!("refuses {}: {refusal}", self.hosts[host].name));
            return self.after(20, Due::Refused { host, connection });
        }
        if let Some(before) = self.lines[host].taken.as_ref().map(|taken| taken.connection) {
            self.gone(host, before, Gone::TakenOver);
        }
        let peer = peer(&name, &serial, &client, connection);
        self.lines[host].taken = Some(Taken { connection, peer: peer.clone(), session, heard_at: now });
        self.hear(&name, Incoming::Connected(peer));
        let delay = 1 + self.chance.below(100);
        self.after(delay, Due::Connected { host, connection });
    }

    /// A connection is over at the broker.
    fn gone(&mut self, host: usize, connection: u64, how: Gone) {
        if self.lines[host].taken.as_ref().is_none_or(|taken| taken.connection != connection) {
            return;
        }
        let Some(Taken { peer, session, .. }) = self.lines[host].taken.take() else { return };
        let (agent, client) = (peer.agent.clone(), peer.client.clone());
        self.timeline.say("broker", format!("the connection of {agent} is over: {how:?}"));
        self.hear(&agent, Incoming::Gone { peer, how });
        self.after(WILL_DELAY, Due::Will { host, client, session });
        let delay = self.chance.below(50);
        if !self.is_cut(host) {
            self.after(delay, Due::Refused { host, connection });
        }
    }

    /// The broker sends a last will, unless the same process is back.
    fn will(&mut self, host: usize, client: &str, session: [u8; 16]) {
        if self.lines[host].taken.as_ref().is_some_and(|taken| taken.peer.client == client) {
            return;
        }
        let Some((agent, _)) = client.split_once('/') else { return };
        let agent = agent.to_owned();
        let payload = Envelope::new(session, 0, &Will { session: session.to_vec() }).encode_to_vec().into();
        self.hear(
            &agent,
            Incoming::Message { agent: agent.clone(), client: client.to_owned(), kind: Kind::Will, payload },
        );
    }

    fn up(&mut self, host: usize, connection: u64, topic: &str, payload: Vec<u8>) {
        let now = self.timeline.now;
        if self.is_cut(host) {
            return;
        }
        let Some(taken) = self.lines[host].taken.as_mut().filter(|taken| taken.connection == connection) else {
            return;
        };
        taken.heard_at = now;
        let client = taken.peer.client.clone();
        let Some(Topic { agent, kind }) = Topic::parse(topic) else { return };
        self.hear(&agent.clone(), Incoming::Message { agent, client, kind, payload: payload.into() });
    }

    /// The agent learns that its connection is over.
    fn disconnect(&mut self, host: usize, connection: u64) {
        let wall = self.wall();
        let wishes = self.hosts[host].disconnected(connection, wall, &mut self.timeline);
        self.grant(host, wishes);
    }

    /// Something comes for a shard.
    fn hear(&mut self, agent: &str, incoming: Incoming) {
        let now = self.now();
        self.controller.hear(agent, incoming, now);
        self.after_step();
    }

    fn after_step(&mut self) {
        self.send();
        if !self.controller.is_quiet() && !self.turn_waits {
            self.turn_waits = true;
            let delay = 1 + self.chance.below(60);
            self.after(delay, Due::Turn);
        }
    }

    /// What the controller sent goes on its way.
    fn send(&mut self) {
        for sent in self.controller.sent() {
            match sent {
                Sent::Kick { client } => {
                    let kicked = |line: &Line| line.taken.as_ref().is_some_and(|taken| taken.peer.client == client);
                    if let Some(host) = self.lines.iter().position(kicked) {
                        let connection = self.lines[host].taken.as_ref().map_or(0, |taken| taken.connection);
                        self.gone(host, connection, Gone::Kicked);
                    }
                }
                Sent::KickAgent { agent } => {
                    for host in 0..self.hosts.len() {
                        let taken = self.lines[host].taken.as_ref().filter(|taken| taken.peer.agent == agent);
                        if let Some(connection) = taken.map(|taken| taken.connection) {
                            self.gone(host, connection, Gone::Kicked);
                        }
                    }
                }
                Sent::Message { topic, payload } => self.send_down(&topic, payload),
            }
        }
    }

    fn send_down(&mut self, topic: &Topic, payload: Vec<u8>) {
        if topic.kind == Kind::Ack {
            self.check_ack(&topic.agent, &payload);
        }
        let resync = || Envelope::read(&payload).ok()?.open_checked::<Resync>(Kind::Resync).ok();
        if let Some(resync) = resync().filter(|_| topic.kind == Kind::Resync) {
            self.timeline.say("controller", format!("asks {}: {}", topic.agent, resync.reason));
        }
        // Whoever bears the name has subscribed to it.
        for host in 0..self.hosts.len() {
            let taken = self.lines[host].taken.as_ref().filter(|taken| taken.peer.agent == topic.agent);
            let Some(connection) = taken.map(|taken| taken.connection) else { continue };
            if self.is_cut(host) {
                continue;
            }
            for delay in self.weather.arrivals(&mut self.chance) {
                let (topic, payload) = (topic.to_string(), payload.clone());
                self.after(delay, Due::Down { host, connection, topic, payload });
            }
        }
    }

    /// Nothing is acknowledged that is not committed.
    fn check_ack(&mut self, agent: &str, payload: &[u8]) {
        let Ok(envelope) = Envelope::read(payload) else { return };
        let Ok(ack) = envelope.open_checked::<Ack>(Kind::Ack) else { return };
        self.note_sealed(&envelope.session, &ack);
        let spool: String = ack.spool.iter().map(|byte| format!("{byte:02x}")).collect();
        match invariants::committed_mark(&mut self.controller, agent, &spool) {
            Ok(committed) if ack.matters <= committed.unwrap_or(0) => {}
            Ok(committed) => {
                let committed = committed.map_or("nothing".to_owned(), |mark| format!("matters below {mark}"));
                self.broken.get_or_insert(format!(
                    "matters below {} of spool {spool} are acknowledged, and {committed} are committed",
                    ack.matters
                ));
            }
            Err(error) => {
                self.broken.get_or_insert(format!("{error:#}"));
            }
        }
    }

    /// What is acknowledged as sealed the agent may delete: it must be in the controller's samples from then on.
    fn note_sealed(&mut self, session: &[u8], ack: &Ack) {
        let Some(number) = self.hosts.iter().position(|host| host.is_session(session)) else { return };
        if self.is_unnoticed_twin(number) {
            return;
        }
        let host = &mut self.hosts[number];
        let sealed = host.serials(&ack.spool, 0, ack.sealed);
        host.sealed.extend(sealed);
    }

    fn tick(&mut self) -> Result<()> {
        self.after(TICK, Due::Tick);
        self.keep_alive();
        let now = self.now();
        if !self.controller.is_up() {
            if self.controller.back_at <= self.timeline.now {
                self.controller.start(now, &mut self.timeline)?;
                self.after_step();
            }
            return Ok(());
        }
        if self.is_storm() {
            self.trouble_controller()?;
        } else if self.weather.lost > 0 || self.weather.delay != Weather::CALM.delay {
            self.calm();
        }
        self.controller.tick(now);
        self.turn()?;
        let deaf = self.is_storm() && self.chance.below(3) == 0;
        self.controller.carry(now, deaf, &mut self.timeline)?;
        self.after_step();
        self.watch_clones()?;
        if self.timeline.now.is_multiple_of(25 * TICK) {
            invariants::always(&mut self.controller, &self.hosts, &mut self.seen)?;
        }
        Ok(())
    }

    fn calm(&mut self) {
        self.timeline.say("weather", "calm");
        self.weather = Weather::CALM;
        self.controller.fault.arm(0);
        for line in &mut self.lines {
            line.cut_until = 0;
        }
    }

    /// What may go wrong with the controller now.
    fn trouble_controller(&mut self) -> Result<()> {
        match self.chance.below(600) {
            0..=1 => self.kill_controller()?,
            2..=9 => {
                let step = 1 + self.chance.below(40);
                self.controller.fault.arm(step);
            }
            10 => self.controller.reload(&mut self.timeline),
            _ => {}
        }
        Ok(())
    }

    fn kill_controller(&mut self) -> Result<()> {
        let back_at = self.timeline.now + 100 + self.chance.below(10_000);
        self.controller.crash(back_at, &mut self.chance, &mut self.timeline)?;
        self.turn_waits = false;
        self.due.retain(|_, due| !matches!(due, Due::Turn));
        for host in 0..self.hosts.len() {
            // Its broker ends with it; agents are told unless their line is cut.
            if let Some(taken) = self.lines[host].taken.take()
                && !self.is_cut(host)
            {
                let delay = self.chance.below(200);
                self.after(delay, Due::Refused { host, connection: taken.connection });
            }
        }
        Ok(())
    }

    /// The desk's turn; after a failed commit the store is read back, or the whole controller dies of it.
    fn turn(&mut self) -> Result<()> {
        let now = self.now();
        if !self.controller.turn(now, &mut self.timeline)? {
            if self.chance.below(3) == 0 {
                self.kill_controller()?;
            } else {
                self.controller.reopen(now, &mut self.timeline)?;
            }
        } else if self.is_storm() && self.controller.is_up() && self.chance.below(2_000) == 0 {
            self.timeline.say("controller", "dies between a commit and its answers");
            self.kill_controller()?;
        }
        self.after_step();
        self.broken.take().map_or(Ok(()), |broken| Err(anyhow::anyhow!(broken)))
    }

    /// Both ends of a connection that nothing passes give it up in time.
    fn keep_alive(&mut self) {
        let now = self.timeline.now;
        for host in 0..self.hosts.len() {
            let believed = self.hosts[host].life.as_ref().and_then(|life| life.connection);
            let cut = self.is_cut(host);
            let Some(taken) = &mut self.lines[host].taken else {
                if let Some((connection, true)) = believed
                    && !cut
                {
                    // The other end is gone; whatever is sent there is answered with a reset.
                    self.after(1, Due::Refused { host, connection });
                }
                continue;
            };
            if !cut && believed.is_some_and(|(connection, _)| connection == taken.connection) {
                taken.heard_at = now;
            } else if now > taken.heard_at + KEEP_ALIVE {
                let connection = taken.connection;
                self.gone(host, connection, Gone::KeepAlive);
            }
        }
    }
}
