//! What a host has to say: units that die, reports, its inventory, and what `act` did.

use std::collections::BTreeMap;

use watchkeep_agent::link::{Greeting, Input, World};
use watchkeep_protocol::inventory::section_hash;
use watchkeep_protocol::layout::{Instance, Row};
use watchkeep_protocol::{Block, Event, Inventory, Item, MatterBody, Metric, MetricKind, Report, Status, Template};

use super::super::timeline::Timeline;
use super::{Host, INTERVAL, SERIAL, UNITS, Wish, sixteen};

impl Host {
    /// What `act` has to do and to hand over.
    pub(super) fn act_works(&mut self, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
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
    pub(super) fn live(&mut self, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
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

    pub(super) fn observe(
        &mut self,
        labels: &[(&str, &str)],
        wall: i64,
        timeline: &mut Timeline,
        wishes: &mut Vec<Wish>,
    ) {
        self.events += 1;
        let text = format!("{} event {}", self.name, self.events);
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        timeline.say(&self.name, format!("{text}: {labels:?}"));
        self.spool(MatterBody::Event(Event { labels, text }), wall, timeline, wishes);
    }

    /// Adds a matter and makes it durable; whether it is.
    pub(super) fn spool(
        &mut self,
        body: MatterBody,
        wall: i64,
        timeline: &mut Timeline,
        wishes: &mut Vec<Wish>,
    ) -> bool {
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

    pub(super) fn due(&mut self, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
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
