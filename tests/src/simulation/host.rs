//! One simulated host: the agent's real link and spool over a disk that fails, its `act`, and a few units that die.

mod link;
mod matters;
mod misfortune;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use watchkeep_agent::link::{Greeting, Link};
use watchkeep_agent::spool::memory::MemoryDisk;
use watchkeep_agent::spool::{Limits, Spool};
use watchkeep_protocol::MatterBody;

use super::act::Act;
use super::timeline::Timeline;
use crate::chance::Chance;

/// Units that a host has.
const UNITS: [&str; 2] = ["nginx.service", "backup.service"];
/// Between two reports, ms.
const INTERVAL: u64 = 5_000;
/// Tells each report of a host from all others, whatever became of its spool.
pub const SERIAL: &str = "simulation_serial";
/// Where a clone's serials begin, beyond those of the host it was made of.
const CLONES_SERIALS: u64 = 1_000_000;
/// Small, so that segments come and go within one simulation.
const LIMITS: Limits = Limits { segment_bytes: 2_048, samples_bytes_max: 16_384 };

/// What a host asks of the world around it.
#[derive(Debug)]
pub enum Wish {
    Publish {
        topic: String,
        payload: Vec<u8>,
    },
    /// A connection is begun, of this number.
    Connect {
        connection: u64,
    },
    /// The connection of this number is dropped by the agent.
    Drop {
        connection: u64,
    },
}

/// One host.
pub struct Host {
    /// What it is called in the timeline and in its events.
    pub name: String,
    /// The name in its certificate, and the certificate's serial; a clone has those of the host it was made of.
    pub agent: String,
    pub serial: String,
    /// Every name that it had.
    pub names: BTreeSet<String>,
    /// It was cloned, or is a clone.
    pub cloned: bool,
    /// What it calls itself, and what its machine is known by.
    hostname: String,
    pub act: Act,
    pub disk: MemoryDisk,
    /// The agent's process; none while it is down.
    pub life: Option<Life>,
    /// When what is down comes back.
    pub back_at: u64,
    pub act_back_at: u64,
    /// Events that the spool said are durable: each must come to the store, once.
    pub durable: BTreeSet<String>,
    /// Events of a past that a restored host no longer has: they may have come before, or never.
    pub undone: BTreeSet<String>,
    /// What a restore would bring back: the disk, and what was durable then.
    snapshot: Option<(MemoryDisk, BTreeSet<String>)>,
    /// Serials of reports that it was told are sealed.
    pub sealed: BTreeSet<u64>,
    /// Spool ids that it went under.
    pub spools: BTreeSet<[u8; 16]>,
    /// Added to the spool and not known to be durable: a crash may keep or lose them.
    loose: Vec<String>,
    /// The host's clock against the true one, ms.
    offset: i64,
    failed: BTreeMap<&'static str, bool>,
    chance: Chance,
    events: u64,
    /// Reports that were read so far: the newest serial.
    pub reports: u64,
    connections: u64,
}

/// One process of the agent.
pub struct Life {
    link: Link,
    pub spool: Spool<MemoryDisk>,
    session: [u8; 16],
    began: u64,
    connect_at: Option<u64>,
    /// The connection that it believes in, and whether it was told that it stands.
    pub connection: Option<(u64, bool)>,
    report_at: u64,
    inventory_sent: bool,
    nonce_asked: bool,
    /// The highest mark that it was ever told.
    first: u64,
}

impl Host {
    /// # Errors
    /// `act`'s folder cannot be made.
    pub fn new(name: &str, serial: &str, folder: &Path, keys: Vec<Vec<u8>>, chance: Chance) -> Result<Self> {
        let act = Act::new(name, folder, keys)?;
        Ok(Self { serial: serial.to_owned(), ..Self::with(name, act, MemoryDisk::new(), chance) })
    }

    fn with(name: &str, act: Act, disk: MemoryDisk, mut chance: Chance) -> Self {
        let offset = chance.below(1_200_000) as i64 - 600_000;
        Self {
            name: name.to_owned(),
            agent: name.to_owned(),
            serial: String::new(),
            names: BTreeSet::from([name.to_owned()]),
            cloned: false,
            hostname: name.to_owned(),
            act,
            disk,
            life: None,
            back_at: chance.below(2_000),
            act_back_at: 0,
            durable: BTreeSet::new(),
            undone: BTreeSet::new(),
            snapshot: None,
            sealed: BTreeSet::new(),
            spools: BTreeSet::new(),
            loose: Vec::new(),
            offset,
            failed: UNITS.iter().map(|unit| (*unit, false)).collect(),
            chance,
            events: 0,
            reports: 0,
            connections: 0,
        }
    }

    /// Somebody has enrolled it again: the agent ends and comes back under this name, with this certificate and the spool
    /// that it has.
    ///
    /// # Errors
    /// `act`'s journal cannot be torn.
    pub fn enrol(&mut self, agent: &str, serial: &str, timeline: &mut Timeline) -> Result<Option<u64>> {
        timeline.say(&self.name, format!("is enrolled again, as {agent}"));
        let back_at = timeline.now + 500;
        let connection = self.crash(false, back_at, timeline)?;
        self.crash_act(back_at, timeline)?;
        self.act.rename(agent);
        self.names.insert(agent.to_owned());
        (self.agent, self.serial) = (agent.to_owned(), serial.to_owned());
        self.back_at = self.back_at.max(back_at);
        Ok(connection)
    }

    fn wall(&self, wall: i64) -> i64 {
        wall + self.offset
    }

    /// The clock moves: what is due is done, and with `busy` something may happen on the host.
    ///
    /// # Errors
    /// An invariant is broken, or a journal cannot be read.
    pub fn tick(&mut self, wall: i64, busy: bool, timeline: &mut Timeline) -> Result<Vec<Wish>> {
        let now = timeline.now;
        if !self.act.is_up() && self.act_back_at <= now {
            self.act.start(self.wall(wall))?;
            if let Some(life) = &mut self.life {
                life.nonce_asked = false;
            }
        }
        if self.life.is_none() && self.back_at <= now {
            self.start(timeline)?;
        }
        let mut wishes = Vec::new();
        self.act_works(wall, timeline, &mut wishes);
        if busy && self.life.is_some() {
            self.live(wall, timeline, &mut wishes);
        }
        self.due(wall, timeline, &mut wishes);
        Ok(wishes)
    }

    fn start(&mut self, timeline: &mut Timeline) -> Result<()> {
        let mut draw = || self.chance.draw();
        let fresh = sixteen(&mut draw);
        let session = sixteen(&mut draw);
        let mut spool = match Spool::open(self.disk.clone(), LIMITS, fresh) {
            Ok(spool) => spool,
            Err(error) => {
                timeline.say(&self.name, format!("the agent does not start: {error}"));
                self.back_at = timeline.now + 1_000;
                return Ok(());
            }
        };
        let span = spool.matters();
        timeline.say(&self.name, format!("the agent starts; matters {}..{} are held", span.first, span.next));
        for repair in std::mem::take(&mut spool.repairs) {
            timeline.say(&self.name, format!("repaired: {repair}"));
        }
        // What the crash spared is durable now, told or not.
        for number in span.first..span.next {
            if let Some(matter) = spool.matter(number).context("read the spool")?
                && let Some(MatterBody::Event(event)) = matter.body
            {
                self.durable.insert(event.text);
            }
        }
        self.loose.clear();
        let greeting = Greeting {
            interval_ms: INTERVAL as u32,
            version: "0.1.0".to_owned(),
            hostname: self.hostname.clone(),
            ..Greeting::default()
        };
        self.act.connected();
        self.life = Some(Life {
            link: Link::new(self.agent.clone(), session, greeting),
            spool,
            session,
            began: timeline.now,
            connect_at: Some(timeline.now),
            connection: None,
            report_at: timeline.now + 500,
            inventory_sent: false,
            nonce_asked: false,
            first: 0,
        });
        Ok(())
    }

    /// The serials of the reports that its spool holds with numbers from `from` to below `until`; none of another spool.
    pub fn serials(&mut self, spool: &[u8], from: u64, until: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let Some(life) = self.life.as_mut().filter(|life| life.spool.id() == spool) else { return found };
        let mut next = from;
        // A disk that fails just now holds what it holds; it is asked another time.
        while let Ok(Some(report)) = life.spool.report_from(next)
            && report.number < until
        {
            next = report.number + 1;
            found.extend(report.rows.iter().filter(|row| row.block == 1).map(|row| row.values[0] as u64));
        }
        found
    }

    /// Whether it was told that this connection stands, and believes so.
    pub fn is_connected(&self) -> bool {
        self.life.as_ref().is_some_and(|life| matches!(life.connection, Some((_, true))))
    }

    /// Whether its agent runs in this session.
    pub fn is_session(&self, session: &[u8]) -> bool {
        self.life.as_ref().is_some_and(|life| life.session == session)
    }

    /// Whether everything that it had to say was heard.
    pub fn is_quiet(&self) -> bool {
        let said = |life: &Life| life.spool.matters().first == life.spool.matters().next && life.link.is_up();
        self.act.is_quiet() && self.loose.is_empty() && self.life.as_ref().is_some_and(said)
    }
}

fn sixteen(draw: &mut impl FnMut() -> u64) -> [u8; 16] {
    (u128::from(draw()) << 64 | u128::from(draw())).to_be_bytes()
}
