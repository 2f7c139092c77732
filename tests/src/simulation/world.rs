//! The scheduler: what happens next, to whom, and what goes wrong with it.

mod clones;
mod network;
mod trouble;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, ensure};
use watchkeep::fleet::gate::Gone;
use watchkeep_desk::Millis;

use super::broker::{Line, Weather};
use super::controller::Controller;
use super::host::Host;
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

    fn after_step(&mut self) {
        self.send();
        if !self.controller.is_quiet() && !self.turn_waits {
            self.turn_waits = true;
            let delay = 1 + self.chance.below(60);
            self.after(delay, Due::Turn);
        }
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
}
