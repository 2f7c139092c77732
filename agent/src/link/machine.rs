//! The step function.

use std::collections::VecDeque;

use prost::Message;
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Ack, Command, Envelope, Hello, MatterBody, Report, Resync, Span, Status, WireError};

use super::layouts::Announced;
use super::seal::Seal;
use super::{Greeting, Input, Output, World};
use crate::spool::{Disk, SpoolError};

/// Publishes of one step at most; the rest waits for the next.
pub(super) const BURST: u32 = 64;
/// Unacknowledged messages at most, whatever credit is given.
const WINDOW_MAX: u32 = 256;
/// How long an answer is waited for at first, ms; doubled while none comes.
const ANSWER: u64 = 5_000;
const ANSWER_MAX: u64 = 60_000;
/// Nothing came for so long although something is owed to us: the link is dead.
const DEAD: u64 = 20_000;
/// First and longest pause between attempts to connect, ms.
const PAUSE: u64 = 500;
const PAUSE_MAX: u64 = 60_000;
/// With so little credit as none, hello asks for more after this long.
const ASK_CREDIT: u64 = 15_000;

/// The link of one agent process.
pub struct Link {
    pub(super) agent: String,
    pub(super) session: [u8; 16],
    greeting: Greeting,
    /// Of messages up.
    counter: u64,
    pub(super) connected: bool,
    /// The controller answered a hello of this connection; the streams flow.
    pub(super) welcomed: bool,
    credit: u32,
    /// The next matter and report to send.
    matter: u64,
    report: u64,
    /// Below these, nothing needs to be sent again.
    matters_acked: u64,
    reports_taken: u64,
    /// Reports under way, by number; there may be gaps between them.
    reports_out: VecDeque<u64>,
    pub(super) announced: Announced,
    /// Since when an answer is owed without anything having come.
    pub(super) quiet_since: u64,
    /// When something was last sent (again) that wants an answer, or one brought progress.
    pub(super) asked_at: u64,
    answer_within: u64,
    pause: u64,
    /// Counts messages, so that neither stream starves the other.
    turn: u32,
    /// The last hello of this connection carried a nonce.
    nonce_said: bool,
    /// Through a broker that is not the controller's own: the seal on every message.
    pub(super) seal: Option<Seal>,
    /// When the last agreement was begun.
    pub(super) opened_at: u64,
}

pub(super) type Steps = Vec<Output>;

impl Link {
    /// The link of `agent` (its certificate's name) in the session `session` (16 random bytes, drawn at process start).
    pub fn new(agent: impl Into<String>, session: [u8; 16], greeting: Greeting) -> Self {
        Self {
            agent: agent.into(),
            session,
            greeting,
            counter: 0,
            connected: false,
            welcomed: false,
            credit: 0,
            matter: 0,
            report: 0,
            matters_acked: 0,
            reports_taken: 0,
            reports_out: VecDeque::new(),
            announced: Announced::default(),
            quiet_since: 0,
            asked_at: 0,
            answer_within: ANSWER,
            pause: PAUSE,
            turn: 0,
            nonce_said: false,
            seal: None,
            opened_at: 0,
        }
    }

    /// The first thing to do.
    pub fn start(&mut self) -> Output {
        Output::Connect { after_ms: 0 }
    }

    pub fn session(&self) -> [u8; 16] {
        self.session
    }

    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Whether the controller answered on this connection.
    pub fn is_up(&self) -> bool {
        self.connected && self.welcomed
    }

    /// Changes what a hello says; a connected link says it again at once. A nonce is said in one hello only, as a command's
    /// expiry counts from when the controller heard it; not connected, it is not kept.
    pub fn greet<D: Disk>(&mut self, greeting: Greeting, world: &mut World<'_, D>) -> Steps {
        let taken_back = greeting.command_nonce.is_empty() && self.nonce_said;
        let news = greeting != self.greeting || taken_back;
        self.greeting = greeting;
        if self.may_speak() && news {
            return vec![self.hello(world)];
        }
        if !self.connected {
            self.greeting.command_nonce.clear();
        }
        Vec::new()
    }

    /// Whether the controller was told no nonce on this connection: draw one and [`Link::greet`].
    pub fn wants_nonce(&self) -> bool {
        self.connected && !self.nonce_said && self.greeting.command_nonce.is_empty()
    }

    /// The monotonic instant at which a [`Input::Tick`] is due; `None` while nothing is waited for.
    pub fn next_due(&self) -> Option<u64> {
        if !self.connected {
            None
        } else if self.owed() {
            Some((self.asked_at + self.answer_within).min(self.quiet_since + DEAD))
        } else {
            (self.credit == 0).then_some(self.asked_at + ASK_CREDIT)
        }
    }

    /// Takes one input and says what to do.
    pub fn step<D: Disk>(&mut self, input: Input<'_>, world: &mut World<'_, D>) -> Steps {
        match input {
            Input::Connected => self.connected(world),
            Input::Disconnected => self.disconnected(world),
            Input::Incoming { topic, payload } => self.incoming(topic, payload, world),
            Input::Available => self.pump(world),
            Input::Tick => self.tick(world),
        }
    }

    fn connected<D: Disk>(&mut self, world: &mut World<'_, D>) -> Steps {
        self.connected = true;
        self.welcomed = false;
        // One that was to be said on a connection which ended before it could speak.
        self.greeting.command_nonce.clear();
        self.announced.clear();
        self.answer_within = ANSWER;
        self.quiet_since = world.now;
        vec![self.begin(world)]
    }

    fn disconnected<D: Disk>(&mut self, world: &mut World<'_, D>) -> Steps {
        self.connected = false;
        self.welcomed = false;
        vec![Output::Connect { after_ms: self.next_pause(world) }]
    }

    /// Drops a link on which nothing comes back.
    fn give_up<D: Disk>(&mut self, why: &'static str, world: &mut World<'_, D>) -> Steps {
        self.connected = false;
        self.welcomed = false;
        vec![Output::Reconnect { after_ms: self.next_pause(world), why }]
    }

    /// Between half and all of a pause that doubles, so that a fleet does not come back at once.
    fn next_pause<D: Disk>(&mut self, world: &mut World<'_, D>) -> u64 {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause / 2 + (world.chance)() % (pause / 2 + 1)
    }

    /// Whether the other end owes us an answer.
    fn owed(&self) -> bool {
        !self.welcomed || self.in_flight() > 0
    }

    fn in_flight(&self) -> u64 {
        (self.matter - self.matters_acked) + self.reports_out.len() as u64
    }

    fn tick<D: Disk>(&mut self, world: &mut World<'_, D>) -> Steps {
        if !self.connected {
            Vec::new()
        } else if self.owed() && world.now >= self.quiet_since + DEAD {
            self.give_up("nothing came back for too long", world)
        } else if self.owed() && world.now >= self.asked_at + self.answer_within {
            self.again(world)
        } else if !self.owed() && self.credit == 0 && world.now >= self.asked_at + ASK_CREDIT {
            self.quiet_since = world.now;
            vec![self.hello(world)]
        } else {
            self.pump(world)
        }
    }

    /// Sends again from the marks, at growing intervals.
    fn again<D: Disk>(&mut self, world: &mut World<'_, D>) -> Steps {
        let within = (self.answer_within * 2).min(ANSWER_MAX);
        let jitter = (world.chance)() % (within / 4 + 1);
        let mut steps = Vec::new();
        if self.welcomed {
            self.rewind();
        } else {
            steps.push(self.begin(world));
        }
        self.answer_within = within + jitter;
        self.asked_at = world.now;
        // Saying it again breaks no silence: only what comes back does.
        let quiet_since = self.quiet_since;
        steps.extend(self.pump(world));
        self.quiet_since = quiet_since;
        steps
    }

    /// The marks are where sending goes on from.
    fn rewind(&mut self) {
        self.matter = self.matters_acked;
        self.report = self.reports_taken;
        self.reports_out.clear();
    }

    pub(super) fn hello<D: Disk>(&mut self, world: &mut World<'_, D>) -> Output {
        let greeting = self.greeting.clone();
        self.greeting.command_nonce.clear();
        self.nonce_said = !greeting.command_nonce.is_empty();
        let hello = Hello {
            spool: world.spool.id().to_vec(),
            matters: world.spool.matters(),
            samples: world.spool.samples(),
            clock_ms: world.wall_ms,
            interval_ms: greeting.interval_ms.max(1),
            version: greeting.version,
            hostname: greeting.hostname,
            command_nonce: greeting.command_nonce,
            epoch: greeting.epoch,
            policy_hash: greeting.policy_hash,
            key_share: Vec::new(),
            claims: greeting.claims,
            boot_id: greeting.boot_id,
            unsent: world.spool.unsent(),
        };
        self.asked_at = world.now;
        self.publish(Kind::Hello, &hello)
    }

    pub(super) fn publish(&mut self, kind: Kind, body: &impl Message) -> Output {
        self.counter += 1;
        let topic = Topic::new(self.agent.clone(), kind).to_string();
        let mut envelope = Envelope::new(self.session, self.counter, body);
        if let Some(seal) = self.seal.as_ref().filter(|_| kind != Kind::Open) {
            seal.put(&mut envelope, &topic);
        }
        Output::Publish { topic, payload: envelope.encode_to_vec() }
    }

    fn incoming<D: Disk>(&mut self, topic: &str, payload: &[u8], world: &mut World<'_, D>) -> Steps {
        let (kind, envelope) = match self.read(topic, payload) {
            Ok(Some(read)) => read,
            // Of another session of this agent: an answer that came late, or a clone's.
            Ok(None) => return Vec::new(),
            Err(error) => return refused(topic, &error),
        };
        if let Some(steps) = self.guard(kind, &envelope, topic, world) {
            return steps;
        }
        self.quiet_since = world.now;
        self.take(kind, &envelope, world).unwrap_or_else(|error| refused(topic, &error))
    }

    fn read(&self, topic: &str, payload: &[u8]) -> Result<Option<(Kind, Envelope)>, WireError> {
        let envelope = Envelope::read(payload)?;
        let parsed = Topic::parse(topic).filter(|topic| topic.agent == self.agent);
        let topic =
            parsed.ok_or(WireError::Invalid { what: "topic", found: "is not one of this agent's".to_owned() })?;
        Ok((envelope.session == self.session).then_some((topic.kind, envelope)))
    }

    fn take<D: Disk>(&mut self, kind: Kind, envelope: &Envelope, world: &mut World<'_, D>) -> Result<Steps, WireError> {
        match kind {
            Kind::Ack => Ok(self.acked(&envelope.open_checked::<Ack>(kind)?, world)),
            Kind::Resync => Ok(self.resync(envelope.open_checked::<Resync>(kind)?, world)),
            Kind::Command => Ok(vec![Output::Command(envelope.open_checked::<Command>(kind)?)]),
            _ => Err(WireError::Invalid { what: "topic", found: "is not one that comes down".to_owned() }),
        }
    }

    fn acked<D: Disk>(&mut self, ack: &Ack, world: &mut World<'_, D>) -> Steps {
        if ack.spool != world.spool.id() {
            return Vec::new();
        }
        let (matters, samples) = (world.spool.matters(), world.spool.samples());
        if ack.matters > matters.next || ack.taken > samples.next {
            return self.renumber("the controller has seen more of this spool than it holds: it was restored", world);
        }
        let mut steps = Vec::new();
        // While matters are under way only they count: reports that get through must not put off a lost matter for ever.
        let progress = if self.matter > self.matters_acked {
            ack.matters > self.matters_acked
        } else {
            ack.taken > self.reports_taken
        };
        if let Err(error) = world.spool.acked(ack.matters, ack.sealed) {
            steps.push(trouble(&error));
        }
        let first = !std::mem::replace(&mut self.welcomed, true);
        if first {
            steps.extend(world.spool.answered().err().iter().map(trouble));
            self.matters_acked = ack.matters.max(matters.first);
            self.reports_taken = ack.taken.max(samples.first);
            self.rewind();
        }
        // An ack that was overtaken by a later one says nothing new.
        self.matters_acked = self.matters_acked.max(ack.matters);
        self.reports_taken = self.reports_taken.max(ack.taken);
        while self.reports_out.pop_front_if(|number| *number < ack.taken).is_some() {}
        self.matter = self.matter.max(self.matters_acked);
        self.report = self.report.max(self.reports_taken);
        self.credit = ack.credit.min(WINDOW_MAX);
        self.pause = PAUSE;
        if progress || first {
            self.answer_within = ANSWER;
            self.asked_at = world.now;
        }
        steps.push(Output::Acked);
        steps.extend(self.pump(world));
        steps
    }

    fn resync<D: Disk>(&mut self, resync: Resync, world: &mut World<'_, D>) -> Steps {
        let mut steps = Vec::new();
        if !resync.reason.is_empty() {
            steps.push(Output::Note(format!("the controller asks again: {}", resync.reason)));
        }
        if resync.new_spool {
            return [steps, self.renumber("the controller knows other content under this spool's numbers", world)]
                .concat();
        }
        if resync.hello {
            self.welcomed = false;
            self.announced.clear();
            steps.push(self.hello(world));
        }
        for id in &resync.layouts {
            match world.spool.layout(id) {
                Ok(Some(blocks)) => {
                    let layout = self.announced.tell_whole(blocks);
                    steps.push(self.publish(Kind::Layout, &layout));
                }
                Ok(None) => steps.push(Output::Note("a layout is asked for that is not held here".to_owned())),
                Err(error) => steps.push(trouble(&error)),
            }
        }
        if !resync.sections.is_empty() {
            steps.push(Output::Sections(resync.sections));
        }
        if self.is_up() {
            let sent = resync.reports.iter().try_fold(0, |sent, lost| self.resend(lost, sent, world, &mut steps));
            steps.extend(sent.err().iter().map(trouble));
        }
        steps
    }

    /// Sends the reports again that were `lost`, and the one behind what is not held of them, which says so: [`BURST`] in
    /// all at most, of which `sent` are already. What was not sent yet goes by itself.
    fn resend<D: Disk>(
        &mut self,
        lost: &Span,
        mut sent: u32,
        world: &mut World<'_, D>,
        steps: &mut Steps,
    ) -> Result<u32, SpoolError> {
        let mut from = lost.first;
        while from < lost.next.min(self.report) && sent < BURST {
            let Some(report) = world.spool.report_from(from)? else {
                // Nothing is held behind them either: what a hello says of the spool tells it.
                steps.push(self.hello(world));
                break;
            };
            let number = report.number;
            self.say_report(report, from, world, steps)?;
            (from, sent) = (number + 1, sent + 1);
        }
        Ok(sent)
    }

    /// Goes on under a new spool id, keeping all that is held, and says hello anew.
    fn renumber<D: Disk>(&mut self, why: &str, world: &mut World<'_, D>) -> Steps {
        let id = world.draw();
        let mut steps = vec![Output::Note(format!("a new spool id is drawn: {why}"))];
        if let Err(error) = world.spool.renumber(id) {
            return vec![trouble(&error)];
        }
        let status = Status { what: "renumbered".to_owned(), detail: why.to_owned(), skipped: None };
        let told = world.spool.add_matter(world.wall_ms, MatterBody::Status(status)).and_then(|_| world.spool.sync());
        steps.extend(told.err().iter().map(trouble));
        self.welcomed = false;
        (self.matters_acked, self.reports_taken) = (world.spool.matters().first, world.spool.samples().first);
        self.rewind();
        steps.push(self.hello(world));
        steps
    }

    /// Sends what may be sent.
    pub(super) fn pump<D: Disk>(&mut self, world: &mut World<'_, D>) -> Steps {
        let mut steps = Vec::new();
        if !self.is_up() {
            return steps;
        }
        for _ in 0..BURST {
            if self.in_flight() >= u64::from(self.credit) {
                break;
            }
            let owed = self.owed();
            match self.next_message(world, &mut steps) {
                Ok(true) if !owed => (self.asked_at, self.quiet_since) = (world.now, world.now),
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    steps.push(trouble(&error));
                    break;
                }
            }
        }
        steps
    }

    /// Puts the next matter or report into `steps`, three matters to a report where both wait; false where none does.
    fn next_message<D: Disk>(&mut self, world: &mut World<'_, D>, steps: &mut Steps) -> Result<bool, SpoolError> {
        self.turn = (self.turn + 1) % 4;
        if self.turn == 0 && self.next_report(world, steps)? {
            return Ok(true);
        }
        Ok(self.next_matter(world, steps)? || self.next_report(world, steps)?)
    }

    fn next_matter<D: Disk>(&mut self, world: &mut World<'_, D>, steps: &mut Steps) -> Result<bool, SpoolError> {
        let Some(matter) = world.spool.matter(self.matter)? else { return Ok(false) };
        self.matter += 1;
        steps.extend(matter.kind().map(|kind| self.publish(kind, &matter)));
        Ok(true)
    }

    /// How many reports may be under way. A quarter of the credit is for matters alone: a controller that takes no reports now,
    /// because its disk is full, must hear of events all the same.
    fn reports_max(&self) -> usize {
        (self.credit - self.credit.div_ceil(4)).max(1) as usize
    }

    fn next_report<D: Disk>(&mut self, world: &mut World<'_, D>, steps: &mut Steps) -> Result<bool, SpoolError> {
        if self.reports_out.len() >= self.reports_max() {
            return Ok(false);
        }
        let Some(report) = world.spool.report_from(self.report)? else { return Ok(false) };
        let (number, from) = (report.number, self.report);
        self.say_report(report, from, world, steps)?;
        self.report = number + 1;
        self.reports_out.push_back(number);
        Ok(true)
    }

    /// Puts a report into `steps`, the first held from `from` on, behind its layout where that was not told yet.
    fn say_report<D: Disk>(
        &mut self,
        report: Report,
        from: u64,
        world: &mut World<'_, D>,
        steps: &mut Steps,
    ) -> Result<(), SpoolError> {
        if !self.announced.knows(&report.layout)
            && let Some(blocks) = world.spool.layout(&report.layout)?
        {
            let layout = self.announced.tell(blocks);
            steps.push(self.publish(Kind::Layout, &layout));
        }
        let skipped = report.number - from;
        steps.push(self.publish(Kind::Report, &Report { skipped, ..report }));
        Ok(())
    }
}

pub(super) fn trouble(error: &SpoolError) -> Output {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Output::Note(format!("{error}{cause}"))
}

pub(super) fn refused(topic: &str, error: &WireError) -> Steps {
    let topic: String = topic.chars().take(120).collect();
    vec![Output::Note(format!("a message on \"{topic}\" was not taken: {error}"))]
}
