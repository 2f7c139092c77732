//! What the loop holds, and what it does with each thing that comes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;
use watchkeep_protocol::{CommandResult, Inventory, MatterBody, Report, Status};

use super::RunError;
use super::renewal::Renewal;
use super::workers::{Ask, Collected, Worker};
use crate::act::client::{Client, News};
use crate::act::wall_ms;
use crate::collect::SpoolFigures;
use crate::event::Sent;
use crate::link::line::Line;
use crate::link::runtime::Heard;
use crate::link::{Greeting, Output};
use crate::observe::Sighting;
use crate::spool::{FolderDisk, SpoolError};

/// Between attempts to write what could not be written.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// After so many intervals without an answer the collectors count as stuck.
const STUCK_AFTER: u32 = 3;

/// What a body is made of.
pub struct Parts {
    pub line: Line<FolderDisk>,
    pub renewal: Renewal,
    /// The agent's own directory.
    pub state: PathBuf,
    pub act: Client,
    pub collect: Worker<SpoolFigures, Collected>,
    pub discover: Worker<Ask, Option<Inventory>>,
}

pub struct Body {
    pub line: Line<FolderDisk>,
    pub renewal: Renewal,
    state: PathBuf,
    pub act: Client,
    nonce_asked: bool,
    /// Results that the spool did not take yet, with their tickets.
    outcomes: VecDeque<(u64, CommandResult)>,
    retry_at: Option<Instant>,
    pub collect: Worker<SpoolFigures, Collected>,
    pub discover: Worker<Ask, Option<Inventory>>,
    layout: Option<[u8; 32]>,
    /// Intervals for which the collectors did not come back.
    missed: u32,
}

impl Body {
    pub fn begin(parts: Parts) -> Self {
        let mut body = Self {
            line: parts.line,
            renewal: parts.renewal,
            state: parts.state,
            act: parts.act,
            nonce_asked: false,
            outcomes: VecDeque::new(),
            retry_at: None,
            collect: parts.collect,
            discover: parts.discover,
            layout: None,
            missed: 0,
        };
        for repair in std::mem::take(&mut body.line.spool.repairs) {
            tracing::warn!("the spool was repaired: {repair}");
        }
        body.status("started", "");
        let left = body.line.start();
        body.carry(left);
        body
    }

    pub fn take_heard(&mut self, heard: Heard) {
        match &heard {
            Heard::Up => tracing::info!("connected to the broker"),
            Heard::Down(why) => {
                tracing::warn!("no connection to the broker: {why}");
                self.dropped();
            }
            Heard::Message { .. } => {}
        }
        let left = self.line.take(heard);
        self.carry(left);
    }

    /// The connection is over. Where it showed one of two certificates and the controller never answered, the other is next.
    fn dropped(&mut self) {
        if !self.line.is_up() && self.renewal.refused() {
            self.show();
        }
    }

    /// The controller gave a new certificate: the link goes on with it.
    pub fn take_certificate(&mut self) {
        tracing::info!("the controller gave a new certificate: connecting with it");
        let left = self.line.reconnect();
        self.carry(left);
        self.show();
    }

    /// The next connection shows what renewing says. The link is not connected.
    fn show(&mut self) {
        if let Err(error) = self.line.show(self.renewal.shown(), &self.state) {
            tracing::error!("a certificate cannot be shown: {error}");
        }
    }

    /// When [`Body::due`] is to be called next.
    pub fn next_due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        [self.line.next_due(), self.retry_at].into_iter().flatten().min().unwrap_or(far)
    }

    pub fn due(&mut self) {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry_at = None;
            self.spool_outcomes();
        }
        let left = self.line.due();
        self.carry(left);
    }

    /// Something was spooled.
    fn say(&mut self) {
        let left = self.line.available();
        self.carry(left);
    }

    fn greet(&mut self, greeting: Greeting) {
        let left = self.line.greet(greeting);
        self.carry(left);
    }

    /// Does what the line leaves to do.
    fn carry(&mut self, left: Vec<Output>) {
        if self.line.is_up()
            && self.renewal.is_on_trial()
            && let Err(error) = self.renewal.answered()
        {
            tracing::error!("{:#}", anyhow::Error::from(error));
        }
        for output in left {
            match output {
                Output::Reconnect { why, .. } => {
                    tracing::warn!("the connection is dropped: {why}");
                    self.dropped();
                }
                Output::Command(command) => {
                    if !self.act.command(command) {
                        tracing::warn!(
                            "act is not keeping up: a command was dropped, to be sent again while it is valid"
                        );
                    }
                }
                Output::Sections(sections) => {
                    self.discover.tell(Ask::Forget(sections));
                    self.look();
                }
                Output::Note(note) => tracing::warn!("{note}"),
                // The line has done these.
                Output::Connect { .. } | Output::Publish { .. } | Output::Acked => {}
            }
        }
        if self.line.link().wants_nonce() && !self.nonce_asked {
            self.nonce_asked = self.act.greet();
        }
    }

    /// Asks the collectors for a reading. Where they did not come back from the last, an empty report keeps the beat.
    pub fn collect(&mut self) {
        let (matters, samples) = (self.line.spool.matters(), self.line.spool.samples());
        let bytes = self.line.spool.bytes();
        let figures = SpoolFigures {
            bytes: bytes.0 + bytes.1,
            matters: matters.next - matters.first,
            reports: samples.next - samples.first,
        };
        if self.collect.ask(figures) {
            return;
        }
        self.missed += 1;
        if self.missed == STUCK_AFTER {
            self.status("collector_stuck", "the collectors did not come back; reports are empty until they do");
        }
        if let Some(layout) = self.layout {
            self.add_report(wall_ms(), layout, Vec::new());
        }
    }

    pub fn report(&mut self, collected: Collected) {
        self.missed = 0;
        if let Some(blocks) = &collected.blocks
            && let Err(error) = self.line.spool.put_layout(blocks)
        {
            trouble(&error);
        }
        self.layout = Some(collected.layout);
        self.add_report(collected.at_ms, collected.layout, collected.rows);
    }

    /// Spools what was read at `at_ms`. A reading that hung comes behind the empty reports of that time, and is told from them
    /// by its own.
    fn add_report(&mut self, at_ms: i64, layout: [u8; 32], rows: Vec<watchkeep_protocol::layout::Row>) {
        let report = Report { at_ms, layout: layout.to_vec(), rows, ..Report::default() };
        if let Err(error) = self.line.spool.add_report(report) {
            trouble(&error);
        }
        if let Some(skipped) = self.line.spool.take_skipped() {
            let detail = format!("reports {}..{} were given up", skipped.first, skipped.next);
            tracing::warn!("{detail}");
            let status = Status { what: "skipped".to_owned(), detail, skipped: Some(skipped) };
            self.add([MatterBody::Status(status)]);
        }
        self.say();
    }

    /// Spools what was observed and tells the observer.
    pub fn spool_sightings(&mut self, sightings: &mut Vec<Sighting>) {
        let mut told = Vec::new();
        for sighting in sightings.drain(..) {
            match self.line.spool.add_matter(sighting.at_ms, MatterBody::Event(sighting.event)) {
                Ok(_) => told.push(sighting.kept),
                // Untold, it comes again.
                Err(error) => trouble(&error),
            }
        }
        if self.make_durable() {
            for kept in told {
                let _ = kept.send(());
            }
        }
    }

    /// Spools events of other programs and answers them.
    pub fn spool_events(&mut self, events: &mut Vec<Sent>) {
        let mut told = Vec::new();
        for sent in events.drain(..) {
            match self.line.spool.add_matter(wall_ms(), MatterBody::Event(sent.event)) {
                Ok(number) => told.push((sent.answer, number)),
                Err(error) => drop(sent.answer.send(Err(sentence(&error)))),
            }
        }
        let durable = self.make_durable();
        for (answer, number) in told {
            let said = if durable { Ok(number) } else { Err("the disk did not take it yet".to_owned()) };
            let _ = answer.send(said);
        }
    }

    /// Spools one message of what was found and asks for the next. What the disk refuses comes again with the next look.
    pub fn spool_inventory(&mut self, found: Option<Inventory>) {
        match found {
            Some(message) => {
                if self.add([MatterBody::Inventory(message)]) {
                    self.discover.ask(Ask::Next);
                }
            }
            None => _ = self.discover.tell(Ask::Kept),
        }
    }

    /// Asks for a look at what is on the host, unless one is under way.
    pub fn look(&mut self) {
        self.discover.ask(Ask::Look);
    }

    pub fn has_room_for_outcomes(&self) -> bool {
        self.outcomes.is_empty()
    }

    pub fn take_news(&mut self, news: News) {
        match news {
            News::Greeting(greeting) => {
                self.nonce_asked = false;
                let known = self.line.link().greeting().clone();
                self.greet(Greeting {
                    command_nonce: greeting.nonce,
                    epoch: greeting.epoch,
                    policy_hash: greeting.policy_hash,
                    ..known
                });
            }
            News::Gone => {
                // Asked again only once there is an `act`: its greeting comes by itself.
                self.nonce_asked = true;
                let known = self.line.link().greeting().clone();
                self.greet(Greeting { command_nonce: Vec::new(), ..known });
            }
            News::Outcome { ticket, result } => {
                self.outcomes.push_back((ticket, result));
                self.spool_outcomes();
            }
        }
    }

    /// Spools results of commands and confirms them to `act`; what the disk refuses is tried again.
    fn spool_outcomes(&mut self) {
        while let Some((ticket, result)) = self.outcomes.front().cloned() {
            if !self.add([MatterBody::Result(result)]) {
                self.retry_at = Some(Instant::now() + DISK_PAUSE);
                return;
            }
            self.act.kept(ticket);
            self.outcomes.pop_front();
        }
    }

    fn status(&mut self, what: &str, detail: &str) {
        let status = Status { what: what.to_owned(), detail: detail.to_owned(), skipped: None };
        self.add([MatterBody::Status(status)]);
    }

    /// Adds matters of now and makes them durable.
    fn add(&mut self, matters: impl IntoIterator<Item = MatterBody>) -> bool {
        let mut all = true;
        for matter in matters {
            if let Err(error) = self.line.spool.add_matter(wall_ms(), matter) {
                trouble(&error);
                all = false;
            }
        }
        self.make_durable() && all
    }

    fn make_durable(&mut self) -> bool {
        let synced = self.line.spool.sync();
        if let Err(error) = &synced {
            trouble(error);
        }
        self.say();
        synced.is_ok()
    }

    pub fn stopping(&mut self) {
        tracing::info!("told to stop");
        self.status("stopping", "");
    }

    /// Says goodbye to the broker and closes the spool.
    ///
    /// # Errors
    /// The spool's last words could not be written; nothing that was durable is lost.
    pub async fn end(mut self, within: Duration) -> Result<(), RunError> {
        self.line.goodbye(within).await;
        tracing::info!("watchkeep-agent ends");
        Ok(self.line.spool.close()?)
    }
}

fn sentence(error: &SpoolError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn trouble(error: &SpoolError) {
    tracing::error!("{}", sentence(error));
}
