//! One simulated host: the agent's real link and spool over a disk that fails, its `act`, and a few units that die.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use watchkeep_agent::link::{Greeting, Input, Link, Output, World, client_id};
use watchkeep_agent::spool::memory::MemoryDisk;
use watchkeep_agent::spool::{Limits, Spool};
use watchkeep_protocol::inventory::section_hash;
use watchkeep_protocol::layout::{Instance, Row};
use watchkeep_protocol::{Block, Event, Inventory, Item, MatterBody, Metric, MetricKind, Report, Status, Template};

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

    /// Another host with all that is on this one's disks, up from `back_at` on: the same name, the same spool, and a clock of
    /// its own.
    ///
    /// # Errors
    /// `act`'s folder cannot be copied.
    pub fn clone_to(&mut self, folder: &Path, back_at: u64, chance: Chance) -> Result<Self> {
        self.cloned = true;
        let act = self.act.cloned(folder)?;
        Ok(Self {
            agent: self.agent.clone(),
            serial: self.serial.clone(),
            hostname: self.hostname.clone(),
            names: BTreeSet::from([self.agent.clone()]),
            cloned: true,
            back_at,
            act_back_at: back_at,
            // Whose reports they are is told by their serials as well.
            reports: self.reports + CLONES_SERIALS,
            ..Self::with(&format!("{}-clone", self.name), act, self.disk.cloned(), chance)
        })
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

    /// MQTT's client id and the session of the process that runs.
    pub fn client(&self) -> Option<(String, [u8; 16])> {
        self.life.as_ref().map(|life| (client_id(&self.agent, &life.session), life.session))
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

    /// The agent's process ends. With `power`, so does the whole host: what was not synced is lost, and `act` ends as well.
    ///
    /// # Errors
    /// `act`'s journal cannot be torn.
    pub fn crash(&mut self, power: bool, back_at: u64, timeline: &mut Timeline) -> Result<Option<u64>> {
        let Some(life) = self.life.take() else { return Ok(None) };
        timeline.say(&self.name, if power { "the host loses power" } else { "the agent is killed" });
        self.back_at = back_at;
        self.disk.fail_at(0);
        self.disk.set_full(false);
        if power {
            self.disk.crash(self.chance.draw());
            self.act.crash(&mut self.chance)?;
            self.act_back_at = back_at;
        }
        Ok(life.connection.map(|(connection, _)| connection))
    }

    /// Somebody takes a snapshot of the agent's disk.
    pub fn take_snapshot(&mut self, timeline: &mut Timeline) {
        timeline.say(&self.name, "a snapshot of the spool is taken");
        self.snapshot = Some((self.disk.cloned(), self.durable.clone()));
    }

    /// The agent ends, and comes back with the spool of the snapshot; what happened since is undone.
    ///
    /// # Errors
    /// `act`'s journal cannot be torn.
    pub fn restore_snapshot(&mut self, back_at: u64, timeline: &mut Timeline) -> Result<Option<u64>> {
        let Some((disk, durable)) = &self.snapshot else { return Ok(None) };
        let (disk, durable) = (disk.cloned(), durable.clone());
        let connection = self.crash(false, back_at, timeline)?;
        timeline.say(&self.name, "the snapshot of the spool is put back");
        self.disk = disk;
        let since = std::mem::replace(&mut self.durable, durable);
        self.undone.extend(since);
        self.undone.extend(std::mem::take(&mut self.loose));
        Ok(connection)
    }

    /// `act` alone is killed.
    ///
    /// # Errors
    /// Its journal cannot be torn.
    pub fn crash_act(&mut self, back_at: u64, timeline: &mut Timeline) -> Result<()> {
        timeline.say(&self.name, "act is killed");
        self.act_back_at = back_at;
        self.act.crash(&mut self.chance)
    }

    /// What `act` has to do and to hand over.
    fn act_works(&mut self, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
        let own = self.wall(wall);
        for unit in self.act.finish(timeline.now, own, &mut self.chance) {
            let Some(known) = UNITS.iter().find(|known| **known == unit) else { continue };
            if self.failed.insert(known, false) == Some(true) {
                self.observe(&[("kind", "unit_recovered"), ("unit", known)], wall, timeline, wishes);
            }
        }
        while self.life.is_some()
            && let Some((ticket, result)) = self.act.next_result()
        {
            timeline.say(&self.name, format!("a result of {} step {} is spooled", result.run, result.step));
            if self.spool(MatterBody::Result(result), wall, timeline, wishes) {
                self.act.kept(ticket);
            } else {
                // Tried again with the next tick, as the agent does after a pause.
                self.act.not_kept(ticket);
                break;
            }
        }
        if let Some(life) = &mut self.life
            && life.link.wants_nonce()
            && !life.nonce_asked
        {
            let nonce = sixteen(&mut || self.chance.draw());
            if let Some((command_nonce, epoch)) = self.act.greet(nonce, timeline.now) {
                let greeting = Greeting { command_nonce, epoch, ..life.link.greeting().clone() };
                let (now, offset) = (timeline.now - life.began, self.offset);
                let mut chance = || self.chance.draw();
                let mut world = World { now, wall_ms: wall + offset, chance: &mut chance, spool: &mut life.spool };
                let outputs = life.link.greet(greeting, &mut world);
                self.carry(outputs, wall, timeline, wishes);
            }
        }
    }

    /// Things happen on the host.
    fn live(&mut self, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
        match self.chance.below(60) {
            0 => {
                let unit = UNITS[self.chance.below(UNITS.len() as u64) as usize];
                if self.failed.insert(unit, true) == Some(false) {
                    self.observe(
                        &[("kind", "unit_failed"), ("unit", unit), ("result", "signal")],
                        wall,
                        timeline,
                        wishes,
                    );
                }
            }
            1 => {
                let unit = UNITS[self.chance.below(UNITS.len() as u64) as usize];
                if self.failed.insert(unit, false) == Some(true) {
                    self.observe(&[("kind", "unit_recovered"), ("unit", unit)], wall, timeline, wishes);
                }
            }
            2 => self.observe(&[("kind", "demonstration")], wall, timeline, wishes),
            3 => {
                for _ in 0..self.chance.below(12) {
                    self.observe(&[("kind", "nothing_that_a_rule_knows")], wall, timeline, wishes);
                }
            }
            _ => {}
        }
    }

    fn observe(&mut self, labels: &[(&str, &str)], wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
        self.events += 1;
        let text = format!("{} event {}", self.name, self.events);
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        timeline.say(&self.name, format!("{text}: {labels:?}"));
        self.spool(MatterBody::Event(Event { labels, text }), wall, timeline, wishes);
    }

    /// Adds a matter and makes it durable; whether it is.
    fn spool(&mut self, body: MatterBody, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) -> bool {
        let own = self.wall(wall);
        let Some(life) = &mut self.life else { return false };
        let text = match &body {
            MatterBody::Event(event) => Some(event.text.clone()),
            _ => None,
        };
        let added = match life.spool.add_matter(own, body) {
            Ok(_) => {
                self.loose.extend(text);
                true
            }
            Err(error) => {
                timeline.say(&self.name, format!("the spool did not take it: {error}"));
                false
            }
        };
        let synced = match life.spool.sync() {
            Ok(()) => {
                self.durable.extend(std::mem::take(&mut self.loose));
                true
            }
            Err(error) => {
                timeline.say(&self.name, format!("the spool is not durable: {error}"));
                false
            }
        };
        self.step(Input::Available, wall, timeline, wishes);
        added && synced
    }

    fn due(&mut self, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
        let now = timeline.now;
        let own = self.wall(wall);
        let Some(life) = &mut self.life else { return };
        if life.connect_at.is_some_and(|at| at <= now) {
            life.connect_at = None;
            self.connections += 1;
            life.connection = Some((self.connections, false));
            wishes.push(Wish::Connect { connection: self.connections });
        }
        if life.report_at <= now {
            life.report_at = now + INTERVAL;
            self.spools.insert(life.spool.id());
            let blocks = blocks();
            if let Ok(layout) = life.spool.put_layout(&blocks) {
                let values = UNITS.iter().map(|unit| if self.failed[unit] { 0.0 } else { 1.0 }).collect();
                self.reports += 1;
                let serial = Row { block: 1, values: vec![self.reports as f64], flags: Vec::new() };
                let rows = vec![Row { block: 0, values, flags: Vec::new() }, serial];
                let report = Report { at_ms: own, layout: layout.to_vec(), rows, ..Report::default() };
                let _kept = life.spool.add_report(report);
                if let Some(skipped) = life.spool.take_skipped() {
                    let detail = format!("reports {}..{} were given up", skipped.first, skipped.next);
                    let status = Status { what: "skipped".to_owned(), detail, skipped: Some(skipped) };
                    self.spool(MatterBody::Status(status), wall, timeline, wishes);
                }
            }
            self.step(Input::Available, wall, timeline, wishes);
        }
        if !self.loose.is_empty()
            && let Some(life) = &mut self.life
            && life.spool.sync().is_ok()
        {
            self.durable.extend(std::mem::take(&mut self.loose));
            self.step(Input::Available, wall, timeline, wishes);
        }
        if self.life.as_ref().is_some_and(|life| !life.inventory_sent) {
            let mut all = true;
            for inventory in inventory(&self.hostname) {
                all &= self.spool(MatterBody::Inventory(inventory), wall, timeline, wishes);
            }
            if let Some(life) = &mut self.life {
                life.inventory_sent = all;
            }
        }
        let due = self.life.as_ref().and_then(|life| life.link.next_due().map(|at| at + life.began));
        if due.is_some_and(|at| at <= now) {
            self.step(Input::Tick, wall, timeline, wishes);
        }
    }

    /// The broker took connection `connection`.
    pub fn connected(&mut self, connection: u64, wall: i64, timeline: &mut Timeline) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if let Some(life) = &mut self.life
            && life.connection == Some((connection, false))
        {
            life.connection = Some((connection, true));
            life.nonce_asked = false;
            timeline.say(&self.name, "connected");
            self.step(Input::Connected, wall, timeline, &mut wishes);
        }
        wishes
    }

    /// Connection `connection` is over, or did not come about.
    pub fn disconnected(&mut self, connection: u64, wall: i64, timeline: &mut Timeline) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if let Some(life) = &mut self.life
            && life.connection.is_some_and(|(known, _)| known == connection)
        {
            life.connection = None;
            timeline.say(&self.name, "no connection");
            self.step(Input::Disconnected, wall, timeline, &mut wishes);
        }
        wishes
    }

    /// A message came down on connection `connection`.
    pub fn heard(
        &mut self,
        connection: u64,
        topic: &str,
        payload: &[u8],
        wall: i64,
        timeline: &mut Timeline,
    ) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if self.life.as_ref().is_some_and(|life| life.connection == Some((connection, true))) {
            self.step(Input::Incoming { topic, payload }, wall, timeline, &mut wishes);
        }
        wishes
    }

    fn step(&mut self, input: Input<'_>, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
        let Some(life) = &mut self.life else { return };
        let mut chance = || self.chance.draw();
        let mut world = World {
            now: timeline.now - life.began,
            wall_ms: wall + self.offset,
            chance: &mut chance,
            spool: &mut life.spool,
        };
        let outputs = life.link.step(input, &mut world);
        self.carry(outputs, wall, timeline, wishes);
    }

    fn carry(&mut self, outputs: Vec<Output>, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
        for output in outputs {
            let own = self.wall(wall);
            let Some(life) = &mut self.life else { return };
            match output {
                Output::Connect { after_ms } => life.connect_at = Some(timeline.now + after_ms),
                Output::Reconnect { after_ms, why } => {
                    timeline.say(&self.name, format!("drops the connection: {why}"));
                    life.connect_at = Some(timeline.now + after_ms);
                    wishes.extend(life.connection.take().map(|(connection, _)| Wish::Drop { connection }));
                }
                Output::Publish { topic, payload } => wishes.push(Wish::Publish { topic, payload }),
                Output::Command(command) => {
                    self.act.take(&command, timeline.now, own, &mut self.chance, timeline);
                }
                Output::Sections(_) => life.inventory_sent = false,
                Output::Acked => {
                    let first = life.spool.matters().first;
                    assert!(
                        first >= life.first,
                        "the spool's mark of {} went back from {} to {first}",
                        self.name,
                        life.first
                    );
                    life.first = first;
                }
                Output::Note(note) => timeline.say(&self.name, format!("notes: {note}")),
            }
        }
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

/// What systemd says of the units, as the agent's collector tells it.
fn blocks() -> Vec<Block> {
    let labels = BTreeMap::from([("state".to_owned(), "active".to_owned())]);
    let kind = MetricKind::Gauge as i32;
    let metric = Metric { name: "node_systemd_unit_state".to_owned(), labels, kind, help: String::new() };
    let template =
        Template { collector: "systemd".to_owned(), metrics: vec![metric], instance_labels: vec!["name".to_owned()] };
    let instances = UNITS.iter().map(|unit| Instance { values: vec![(*unit).to_owned()] }).collect();
    let metric = Metric { name: SERIAL.to_owned(), kind, ..Metric::default() };
    let serial = Template { collector: "simulation".to_owned(), metrics: vec![metric], instance_labels: Vec::new() };
    vec![Block { template, instances }, Block { template: serial, instances: vec![Instance::default()] }]
}

fn inventory(name: &str) -> Vec<Inventory> {
    let item = |class: &str, key: &str, attributes: &[(&str, &str)]| Item {
        class: class.to_owned(),
        key: key.to_owned(),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        relations: Vec::new(),
    };
    let host = vec![item("host", name, &[("hostname", name), ("machine_id", &format!("machine-of-{name}"))])];
    let services = UNITS.iter().map(|unit| item("service_unit", unit, &[("active_state", "active")])).collect();
    let section = |section: &str, items: Vec<Item>| Inventory {
        section: section.to_owned(),
        hash: section_hash(&items).to_vec(),
        items,
        parts: 1,
        ..Inventory::default()
    };
    vec![section("host", host), section("service", services)]
}
