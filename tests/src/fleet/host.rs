//! One simulated host: the agent's link over its own MQTT connection, with a spool in memory.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use prost::Message as _;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use watchkeep_agent::act::wall_ms;
use watchkeep_agent::enrol::Identity;
use watchkeep_agent::link::line::Line;
use watchkeep_agent::link::runtime::{Carrier, Heard};
use watchkeep_agent::link::{Greeting, Link, Output};
use watchkeep_agent::spool::memory::MemoryDisk;
use watchkeep_agent::spool::{Limits, Spool};
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{
    Ack, Command, CommandBody, CommandResult, Envelope, Event, MatterBody, Outcome, Report, Status,
};

use super::Plan;
use super::estate::Estate;
use super::figures::Figures;
use super::scenes::{self, Scene};
use super::shape::Shape;
use crate::chance::Chance;

/// Reports whose making is remembered, for the lag.
const REMEMBERED: usize = 10_000;
/// How long ago it booted, seconds.
const UP: f64 = 4e6;
/// What is not delivered within this after being told to stop is left.
const LAST_WORDS: Duration = Duration::from_secs(3);

pub struct SimulatedHost {
    line: Line<MemoryDisk>,
    is_up: bool,
    began: Instant,
    chance: Chance,
    shape: Shape,
    estate: Estate,
    layout: Option<[u8; 32]>,
    interval: Duration,
    churn: f64,
    fail: f64,
    /// Units that are down, and for how many more reports.
    failed: Vec<(usize, u32)>,
    scenes: VecDeque<(Duration, Scene)>,
    figures: Arc<Figures>,
    made: VecDeque<(u64, Instant)>,
    matters_acked: u64,
}

impl SimulatedHost {
    /// Starts nothing.
    ///
    /// # Errors
    /// An identity that cannot be used.
    pub fn new(
        plan: &Plan,
        index: usize,
        identity: &Identity,
        state: &Path,
        mut chance: Chance,
        figures: Arc<Figures>,
    ) -> Result<Self> {
        let session = sixteen(&mut chance, true);
        let greeting = Greeting {
            interval_ms: u32::try_from(plan.interval.as_millis()).unwrap_or(u32::MAX),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: identity.name.clone(),
            boot_id: format!("{:032x}", index + 1),
            ..Greeting::default()
        };
        let link = Link::new(identity.name.clone(), session, greeting);
        let link = match identity.credentials(state)? {
            Some(credentials) => link.sealed(credentials),
            None => link,
        };
        let estate = Estate::new(&identity.name, index, Shape::units_of(plan.series));
        let spool = Spool::open(MemoryDisk::new(), Limits::default(), sixteen(&mut chance, true));
        let mut dice = Chance::of(chance.draw());
        Ok(Self {
            line: Line::new(link, spool.context("open a spool")?, Carrier::new(identity, session)?, move || {
                dice.draw()
            }),
            is_up: false,
            began: Instant::now(),
            shape: Shape::new(estate.units(), wall_ms() as f64 / 1_000.0 - UP, Chance::of(chance.draw())),
            chance,
            estate,
            layout: None,
            interval: plan.interval,
            churn: plan.churn,
            fail: plan.fail,
            failed: Vec::new(),
            scenes: scenes::of(plan, index + 1),
            figures,
            made: VecDeque::new(),
            matters_acked: 0,
        })
    }

    /// Lives until `stop` turns true.
    pub async fn live(mut self, mut stop: watch::Receiver<bool>) {
        self.matter(MatterBody::Status(Status { what: "started".to_owned(), ..Status::default() }));
        self.estate.sections().into_iter().for_each(|section| self.matter(MatterBody::Inventory(section)));
        let left = self.line.start();
        self.carry(left);
        // Hosts do not report at the same moment.
        let offset = self.chance.between(Duration::ZERO, self.interval);
        let mut report = interval_at(Instant::now() + offset, self.interval);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (due, scene) = (self.next_due(), self.next_scene());
            tokio::select! {
                heard = self.line.heard() => self.take(heard),
                () = sleep_until(due) => self.due(),
                () = sleep_until(scene) => self.scene(),
                _ = report.tick() => self.report(),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.end().await;
    }

    /// Says what is held until all of it is taken, and goodbye: its spool ends with it.
    async fn end(mut self) {
        self.matter(MatterBody::Status(Status { what: "stopping".to_owned(), ..Status::default() }));
        let until = Instant::now() + LAST_WORDS;
        let owes = |host: &Self| !host.line.has_said_all() || !host.made.is_empty();
        while self.line.is_up() && owes(&self) && Instant::now() < until {
            let due = self.next_due().min(until);
            tokio::select! {
                heard = self.line.heard() => self.take(heard),
                () = sleep_until(due) => self.due(),
            }
        }
        self.line.goodbye(LAST_WORDS).await;
    }

    fn take(&mut self, heard: Heard) {
        match &heard {
            Heard::Up => {}
            Heard::Message { topic, payload } => self.note_ack(topic, payload),
            Heard::Down(_) => Figures::add(&self.figures.lost, 1),
        }
        let left = self.line.take(heard);
        self.carry(left);
    }

    fn next_due(&self) -> Instant {
        self.line.next_due().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    fn due(&mut self) {
        let left = self.line.due();
        self.carry(left);
    }

    /// Something was spooled.
    fn say(&mut self) {
        let left = self.line.available();
        self.carry(left);
    }

    /// Does what the line leaves to do.
    fn carry(&mut self, left: Vec<Output>) {
        let sent = self.line.take_sent();
        Figures::add(&self.figures.sent, sent.messages);
        Figures::add(&self.figures.reports_sent, sent.reports);
        for output in left {
            match output {
                Output::Reconnect { .. } => Figures::add(&self.figures.lost, 1),
                Output::Sections(_) => {
                    let sections = self.estate.sections();
                    sections.into_iter().for_each(|section| self.matter(MatterBody::Inventory(section)));
                }
                Output::Command(command) => self.refuse(&command),
                Output::Note(note) => eprintln!("{}: {note}", self.line.link().greeting().hostname),
                // The line has done these.
                Output::Connect { .. } | Output::Publish { .. } | Output::Acked => {}
            }
        }
        if self.is_up != self.line.is_up() {
            self.is_up = self.line.is_up();
            let change = if self.is_up { 1 } else { u64::MAX };
            // Adding the largest number takes one away.
            self.figures.up.fetch_add(change, Ordering::Relaxed);
        }
    }

    /// What the controller took, and how long it took to.
    fn note_ack(&mut self, topic: &str, payload: &[u8]) {
        let is_ack = Topic::parse(topic).is_some_and(|topic| topic.kind == Kind::Ack);
        let Some(ack) = Envelope::read(payload).ok().filter(|_| is_ack) else { return };
        let Ok(ack) = ack.open_checked::<Ack>(Kind::Ack) else { return };
        if ack.spool != self.line.spool.id() {
            return;
        }
        while let Some((_, at)) = self.made.pop_front_if(|(number, _)| *number < ack.taken) {
            let lag = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
            Figures::add(&self.figures.taken, 1);
            Figures::add(&self.figures.lag_total_ms, lag);
            self.figures.lag_longest_ms.fetch_max(lag, Ordering::Relaxed);
        }
        if ack.matters > self.matters_acked {
            Figures::add(&self.figures.matters_acked, ack.matters - self.matters_acked);
            self.matters_acked = ack.matters;
        }
    }

    fn matter(&mut self, body: MatterBody) {
        let added = self.line.spool.add_matter(wall_ms(), body).and_then(|_| self.line.spool.sync());
        added.expect("a spool in memory has room for what one host says");
        Figures::add(&self.figures.matters, 1);
        self.say();
    }

    fn report(&mut self) {
        self.shape.advance(self.interval.as_secs_f64());
        if self.happens(self.churn * self.interval.as_secs_f64() / 60.0) {
            self.shape.churn();
            self.layout = None;
        }
        self.fail_and_recover();
        let layout = match self.layout {
            Some(layout) => layout,
            None => self.line.spool.put_layout(self.shape.blocks()).expect("a spool in memory takes a layout"),
        };
        self.layout = Some(layout);
        let report = Report { at_ms: wall_ms(), layout: layout.to_vec(), rows: self.shape.rows(), ..Report::default() };
        let number = self.line.spool.add_report(report).expect("a spool in memory takes a report");
        Figures::add(&self.figures.made, 1);
        if self.made.len() < REMEMBERED {
            self.made.push_back((number, Instant::now()));
        }
        self.say();
    }

    fn fail_and_recover(&mut self) {
        for (_, left) in &mut self.failed {
            *left -= 1;
        }
        let (over, failed) = std::mem::take(&mut self.failed).into_iter().partition(|(_, left)| *left == 0);
        self.failed = failed;
        let over: Vec<(usize, u32)> = over;
        over.into_iter().for_each(|(unit, _)| self.unit_changes(unit, "unit_recovered", ("how", "active"), "active"));
        if self.happens(self.fail * self.interval.as_secs_f64() / 3600.0) {
            let unit = self.chance.below(self.estate.units().len() as u64) as usize;
            if self.failed.iter().all(|(known, _)| *known != unit) {
                self.failed.push((unit, 2));
                self.unit_changes(unit, "unit_failed", ("result", "exit-code"), "failed");
            }
        }
    }

    fn unit_changes(&mut self, unit: usize, kind: &str, more: (&str, &str), state: &str) {
        self.shape.set_unit(unit, state);
        let name = self.estate.units()[unit].clone();
        let text = format!("{name}: {kind}");
        let labels = [("kind", kind), ("unit", &name), more].map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.matter(MatterBody::Event(Event { labels: labels.into(), text }));
    }

    fn next_scene(&self) -> Instant {
        let far = Duration::from_secs(365 * 86_400);
        self.began + self.scenes.front().map_or(far, |(at, _)| *at)
    }

    fn scene(&mut self) {
        match self.scenes.pop_front() {
            Some((_, Scene::Upgrade { package, to })) => {
                self.estate.upgrade(&package, &to);
                let section = self.estate.package_section();
                self.matter(MatterBody::Inventory(section));
            }
            Some((_, Scene::Break { unit })) => {
                self.named_unit_changes(&unit, "unit_failed", ("result", "exit-code"), "failed");
            }
            Some((_, Scene::Mend { unit })) => {
                self.named_unit_changes(&unit, "unit_recovered", ("how", "active"), "active");
            }
            None => {}
        }
    }

    /// A unit that this host does not have stays as it is.
    fn named_unit_changes(&mut self, unit: &str, kind: &str, more: (&str, &str), state: &str) {
        if let Some(unit) = self.estate.units().iter().position(|known| known == unit) {
            self.unit_changes(unit, kind, more, state);
        }
    }

    /// Nothing may be done to a host that is not there; it says so, as one does whose policy allows nothing.
    fn refuse(&mut self, command: &Command) {
        let Ok(body) = CommandBody::decode(command.body.as_slice()) else { return };
        self.matter(MatterBody::Result(CommandResult {
            id: body.id,
            run: body.run,
            step: body.step,
            attempt: body.attempt,
            outcome: Outcome::Refused.into(),
            refusal: "policy".to_owned(),
            reason: "this host is simulated: it does nothing that it is told".to_owned(),
            ..CommandResult::default()
        }));
    }

    fn happens(&mut self, probability: f64) -> bool {
        (self.chance.below(1 << 53) as f64) < probability * (1_u64 << 53) as f64
    }
}

/// 16 bytes; `fresh` mixes the clock in, since a process of an agent that starts anew is another session and spool.
fn sixteen(chance: &mut Chance, fresh: bool) -> [u8; 16] {
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let drawn = u128::from(chance.draw()) << 64 | u128::from(chance.draw());
    (drawn ^ if fresh { clock().rotate_left(64) } else { 0 }).to_be_bytes()
}
