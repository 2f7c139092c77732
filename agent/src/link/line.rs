//! The link with its spool over real connections, as the agent's loop and each simulated host hold it.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::runtime::{Carrier, Connection, Heard};
use super::{Greeting, Input, Link, Output, World};
use crate::act::wall_ms;
use crate::enrol::{EnrolError, Identity};
use crate::spool::{Disk, Spool};

/// See the module. What a step orders is done here as far as it concerns connections; the rest is given back.
pub struct Line<D> {
    pub spool: Spool<D>,
    link: Link,
    carrier: Carrier,
    connection: Option<Connection>,
    connect_at: Option<Instant>,
    /// The broker's session was seen to work: what we said in it was answered.
    resume: bool,
    began: Instant,
    chance: Box<dyn FnMut() -> u64 + Send>,
    sent: Sent,
}

/// What was published since it was last asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub messages: u64,
    /// Reports among them, those sent again counted again.
    pub reports: u64,
}

impl<D: Disk> Line<D> {
    /// Connects to nothing yet; `chance` gives 64 random bits a call.
    pub fn new(link: Link, spool: Spool<D>, carrier: Carrier, chance: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self {
            spool,
            link,
            carrier,
            connection: None,
            connect_at: None,
            resume: false,
            began: Instant::now(),
            chance: Box::new(chance),
            sent: Sent::default(),
        }
    }

    /// Begins the first connection.
    pub fn start(&mut self) -> Vec<Output> {
        let first = self.link.start();
        self.carry(vec![first])
    }

    /// Whether the controller answers.
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Whether every matter was heard by the controller, or there is nobody to say it to.
    pub fn has_said_all(&self) -> bool {
        let span = self.spool.matters();
        span.first == span.next || !self.is_up()
    }

    /// What the connection tells next; waits for ever where there is none.
    pub async fn heard(&mut self) -> Heard {
        match &mut self.connection {
            Some(connection) => connection.heard().await,
            None => std::future::pending().await,
        }
    }

    pub fn take(&mut self, heard: Heard) -> Vec<Output> {
        match heard {
            Heard::Up => {
                self.resume = false;
                self.step(Input::Connected)
            }
            Heard::Message { topic, payload } => self.step(Input::Incoming { topic: &topic, payload: &payload }),
            Heard::Down(_) => self.reconnect(),
        }
    }

    /// Drops the connection, to make another.
    pub fn reconnect(&mut self) -> Vec<Output> {
        self.connection = None;
        self.step(Input::Disconnected)
    }

    /// The next connection shows the key and the certificate of `identity`; `state` is the agent's own directory.
    ///
    /// # Errors
    /// Key or certificate cannot be used.
    pub fn show(&mut self, identity: &Identity, state: &Path) -> Result<(), EnrolError> {
        let credentials = identity.credentials(state);
        self.carrier.show(identity)?;
        credentials?.into_iter().for_each(|credentials| self.link.reseal(credentials));
        Ok(())
    }

    /// When [`Line::due`] is to be called next.
    pub fn next_due(&self) -> Option<Instant> {
        let link = self.link.next_due().map(|at| self.began + Duration::from_millis(at));
        [link, self.connect_at].into_iter().flatten().min()
    }

    /// Time passed.
    pub fn due(&mut self) -> Vec<Output> {
        if self.connect_at.is_some_and(|at| at <= Instant::now()) {
            self.connect_at = None;
            self.connection = Some(self.carrier.connect(self.resume));
        }
        match self.link.next_due().is_some_and(|at| at <= self.now()) {
            true => self.step(Input::Tick),
            false => Vec::new(),
        }
    }

    /// Something was spooled.
    pub fn available(&mut self) -> Vec<Output> {
        self.step(Input::Available)
    }

    /// The agent has other things to say of itself.
    pub fn greet(&mut self, greeting: Greeting) -> Vec<Output> {
        let now = self.now();
        let mut world = World { now, wall_ms: wall_ms(), chance: &mut self.chance, spool: &mut self.spool };
        let outputs = self.link.greet(greeting, &mut world);
        self.carry(outputs)
    }

    /// What was published since this was last called.
    pub fn take_sent(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    /// Says goodbye to the controller and to the broker.
    pub async fn goodbye(&mut self, within: Duration) {
        let last = self.link.farewell();
        self.carry(last);
        if let Some(connection) = self.connection.take() {
            connection.goodbye(within).await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn step(&mut self, input: Input<'_>) -> Vec<Output> {
        let now = self.now();
        let mut world = World { now, wall_ms: wall_ms(), chance: &mut self.chance, spool: &mut self.spool };
        let outputs = self.link.step(input, &mut world);
        self.carry(outputs)
    }

    /// Connects, drops and publishes. Gives back the rest, and what was dropped with its reason.
    fn carry(&mut self, outputs: Vec<Output>) -> Vec<Output> {
        self.resume |= self.link.is_up();
        outputs.into_iter().filter_map(|output| self.carry_one(output)).collect()
    }

    fn carry_one(&mut self, output: Output) -> Option<Output> {
        match output {
            Output::Connect { after_ms } => self.connect_after(after_ms),
            Output::Reconnect { after_ms, .. } => {
                self.connection = None;
                self.connect_after(after_ms);
                return Some(output);
            }
            Output::Publish { topic, payload } => {
                self.sent.messages += 1;
                self.sent.reports += u64::from(topic.ends_with("/report"));
                let taken = self.connection.as_ref().is_some_and(|connection| connection.publish(topic, payload));
                if !taken {
                    tracing::debug!("a message was not handed over; it goes again for want of an ack");
                }
            }
            Output::Command(_) | Output::Sections(_) | Output::Acked | Output::Note(_) => return Some(output),
        }
        None
    }

    fn connect_after(&mut self, after_ms: u64) {
        self.connect_at = Some(Instant::now() + Duration::from_millis(after_ms));
    }
}
