//! One shard: the step function over its hosts.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::bytes::Bytes;
use watchkeep_desk::input::{AgentChange, AgentEvent, AlertChange};
use watchkeep_desk::{InputBody, Millis};
use watchkeep_protocol::check::Check;
use watchkeep_protocol::matter::Will;
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Ack, Envelope, Hello, Layout, Matter, Report, Resync, WireError};
use watchkeep_rules::promql::series::Series;

use super::host::{Counted, Host, KeptHost, Streams};
use super::matter::{self, content, hexadecimal, unhexadecimal};
use super::proposal::{Down, Proposal};
use super::{Numbered, report};
use crate::core::aside;
use crate::detect::metrics::{Judged, RuleHealth, Standing};
use crate::detect::{Rules, Watches};
use crate::fleet::gate::{Gone, Peer, Suspicion};
use crate::fleet::session::Heard;
use crate::samples::foreign::wire::Metadata;
use crate::samples::{self, Covered, Folder, Held, KEEP_MS, Layouts, Question, Sealing, Tally};

/// Messages that an agent may have under way unacknowledged.
const CREDIT: u32 = 256;
/// What an agent was asked for and did not do is asked for again with its next message after this long, ms …
const ASK_AGAIN: i64 = 2_000;
/// … and without one after this long.
const ASK_UNASKED: i64 = 15_000;

/// What a shard is stepped with.
#[derive(Debug)]
pub enum Incoming {
    /// A publish that the broker's gate let through, by the process with client id `client`.
    Message {
        agent: String,
        client: String,
        kind: Kind,
        payload: Bytes,
    },
    Connected(Peer),
    Gone {
        peer: Peer,
        how: Gone,
    },
    Suspicious(Suspicion),
    /// Through a foreign broker somebody says that this session is gone.
    Hint {
        agent: String,
        session: [u8; 16],
    },
    /// A new generation's rules.
    Rules(Arc<Rules>),
    /// What runs wait for now, of this shard's agents.
    Watches(Arc<Watches>),
    /// The labels that the operator gave an agent when it enrolled.
    Labels {
        agent: String,
        labels: BTreeMap<String, String>,
    },
    /// The CMDB has retired this agent's host with all that is on it.
    Retired {
        agent: String,
    },
    /// Time passed. `behind`: messages still wait to be read, so nobody's silence counts.
    Tick {
        behind: bool,
    },
}

impl Incoming {
    /// Whether it is a matter, which the desk has to commit.
    pub fn is_matter(&self) -> bool {
        let of_matters = |kind| matches!(kind, Kind::Event | Kind::Inventory | Kind::Result | Kind::Status);
        matches!(self, Self::Message { kind, .. } if of_matters(*kind))
    }
}

/// The hosts of one worker.
#[derive(Debug)]
pub struct Shard {
    rules: Arc<Rules>,
    watches: Arc<Watches>,
    hosts: BTreeMap<String, Host>,
    layouts: Layouts,
    tally: Tally,
    lags: Vec<i64>,
    rule_health: RuleHealth,
    /// Bytes of samples that were to be sealed and could not, and how many there may be; past it reports are held back.
    unsealed: usize,
    unsealed_max: usize,
}

impl Shard {
    /// A shard of these hosts as the store kept them; `now` is when the controller started.
    pub fn restore(rules: Arc<Rules>, kept: BTreeMap<String, KeptHost>, now: Millis) -> Self {
        let restore = |(agent, kept): (String, KeptHost)| (agent.clone(), Host::restore(&agent, &rules, kept, now));
        let hosts = kept.into_iter().map(restore).collect();
        Self {
            rules,
            watches: Arc::default(),
            hosts,
            layouts: Layouts::default(),
            tally: Tally::default(),
            lags: Vec::new(),
            rule_health: RuleHealth::default(),
            unsealed: 0,
            unsealed_max: usize::MAX,
        }
    }

    /// Keeps about so many bytes at most of samples that cannot be sealed.
    pub fn keeping(self, unsealed_max: usize) -> Self {
        Self { unsealed_max, ..self }
    }

    /// One step.
    pub fn step(&mut self, incoming: Incoming, now: Millis) -> Vec<Proposal> {
        self.steps([incoming], now)
    }

    /// Several steps at one instant, as one proposal for each host that has something to say: what follows from all its
    /// messages commits together, and what is kept of the host is written once.
    pub fn steps(&mut self, batch: impl IntoIterator<Item = Incoming>, now: Millis) -> Vec<Proposal> {
        let mut said: BTreeMap<String, Proposal> = BTreeMap::new();
        for incoming in batch {
            self.one(incoming, now, &mut said);
        }
        self.layouts.forget();
        for (agent, proposal) in &mut said {
            proposal.agent.clone_from(agent);
            proposal.row = self.hosts.get_mut(agent).and_then(Host::row_if_changed);
        }
        let said = said.into_values();
        said.filter(|proposal| !proposal.is_empty() || !proposal.down.is_empty()).collect()
    }

    fn one(&mut self, incoming: Incoming, now: Millis, said: &mut BTreeMap<String, Proposal>) {
        match incoming {
            Incoming::Message { agent, client, kind, payload } => {
                let from = From { client: &client, kind, payload: &payload };
                self.host_step(&agent, now, said, |step| step.message(&from));
            }
            Incoming::Connected(peer) => {
                self.host_step(&peer.agent, now, said, |step| step.note(Heard::Connected(&peer)));
            }
            Incoming::Gone { peer, how } => {
                self.host_step(&peer.agent, now, said, |step| step.note(Heard::Gone { peer: &peer, how: &how }));
            }
            Incoming::Suspicious(what) => {
                self.host_step(&what.agent, now, said, |step| step.note(Heard::Suspicious(&what)));
            }
            Incoming::Hint { agent, session } => {
                self.host_step(&agent, now, said, |step| step.note(Heard::Hint { session }));
            }
            Incoming::Rules(rules) => {
                self.rules = rules;
                self.each_host(now, said, |step| step.reload());
            }
            Incoming::Watches(watches) => self.watches = watches,
            Incoming::Labels { agent, labels } => {
                self.host_step(&agent, now, said, |step| step.host.samples.relabel(&agent, &labels));
            }
            Incoming::Retired { agent } => self.host_step(&agent, now, said, |step| step.retired()),
            Incoming::Tick { behind } => self.each_host(now, said, |step| step.tick(behind)),
        }
    }

    /// Samples stay in memory as long as rules look back, ms.
    fn keep_ms(&self) -> i64 {
        self.rules.metrics.reach_of_hosts().max(KEEP_MS)
    }

    /// Reads back what block files have of the shard's hosts, before any of them says anything. Returns sentences about what
    /// could not be read.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn recover(&mut self, folder: &Folder, now: Millis) -> std::io::Result<Vec<String>> {
        let keep_ms = self.keep_ms();
        let (hosts, templates) = (&mut self.hosts, self.layouts.templates());
        let of_ours = |agent: &str| hosts.get_mut(agent).map(|host| std::mem::take(&mut host.samples));
        let recovery = samples::recover(folder, now.0.saturating_sub(keep_ms), templates, of_ours)?;
        for (agent, recovered) in recovery.hosts {
            let host = self.hosts.get_mut(&agent).expect("only hosts of the shard were asked for");
            host.samples = recovered.samples;
            host.sealed = Some(recovered.covered);
        }
        Ok(recovery.faults)
    }

    /// Puts everything that was taken since the last block file into one, to be written elsewhere; and drops from memory what
    /// is in files and older than rules look back.
    pub fn hand_over(&mut self, now: Millis) -> Sealing {
        let mut sealing = Sealing::new(now.0);
        let before = now.0.saturating_sub(self.keep_ms());
        for host in self.hosts.values_mut() {
            let covered = host.covered();
            host.samples.hand_over(covered, &mut sealing);
            host.samples.forget(before);
        }
        sealing
    }

    /// What was handed over is in a block file. Must be told before the next is handed over.
    pub fn sealed(&mut self, covered: &[Covered]) {
        self.unsealed = 0;
        for covered in covered {
            if let Some(host) = self.hosts.get_mut(&covered.agent) {
                host.samples.sealed();
                host.sealed = Some(covered.clone());
            }
        }
    }

    /// What was handed over could not be put into a block file. Returns how many bytes wait for one.
    pub fn not_sealed(&mut self) -> usize {
        self.unsealed = self.hosts.values().map(|host| host.samples.unsealed()).sum();
        self.unsealed
    }

    /// Whether so much waits for a block file that reports are not taken; their agents hold them.
    pub fn holds_back(&self) -> bool {
        self.unsealed > self.unsealed_max
    }

    /// What all hosts' samples take up in memory, with their layouts.
    pub fn held(&self) -> Held {
        let layouts = Held { bytes: self.layouts.bytes() as u64, series: 0 };
        self.hosts.values().map(|host| host.samples.held()).chain([layouts]).sum()
    }

    /// How long after its reading each report was taken since this was last asked, ms.
    pub fn take_lags(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.lags)
    }

    /// What became of samples since this was last asked.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Which rules fail for how many hosts, where that changed since this was last asked.
    pub fn take_rule_health(&mut self) -> Option<RuleHealth> {
        self.rule_health.take_if_changed()
    }

    /// Evaluations of hosts' rules since this was last asked.
    pub fn take_judged(&mut self) -> Judged {
        self.rule_health.take_judged()
    }

    /// Every series in memory that the question takes, of all hosts.
    ///
    /// # Errors
    /// There are more points than it wants.
    pub fn select(&self, question: &Question) -> Result<Vec<Series>, String> {
        let mut found = Vec::new();
        let mut points = 0;
        for host in self.hosts.values() {
            let series = question.answer(&host.samples)?;
            points += series.iter().map(|series| series.points.len()).sum::<usize>();
            question.fits(found.len() + series.len(), points)?;
            found.extend(series);
        }
        Ok(found)
    }

    /// How the rules over samples of all hosts stand.
    pub fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        self.hosts.values().for_each(|host| host.detection.add_standing(&mut standing));
        standing
    }

    /// What agents say of the metrics that they report.
    pub fn metadata(&self) -> BTreeMap<String, Metadata> {
        self.layouts.metrics().map(|metric| (metric.name.clone(), Metadata::of(metric))).collect()
    }

    /// A host, for a person who asks for its newest samples.
    pub fn host(&self, agent: &str) -> Option<&Host> {
        self.hosts.get(agent)
    }

    fn each_host(&mut self, now: Millis, said: &mut BTreeMap<String, Proposal>, mut work: impl FnMut(&mut Step<'_>)) {
        let holds_back = self.holds_back();
        for (agent, host) in &mut self.hosts {
            let proposal = said.remove(agent).unwrap_or_default();
            let (rules, watches) = (&*self.rules, &*self.watches);
            let layouts = &mut self.layouts;
            let (tally, lags, health) = (&mut self.tally, &mut self.lags, &mut self.rule_health);
            let mut step = Step { host, rules, watches, layouts, tally, lags, health, holds_back, now, proposal };
            work(&mut step);
            if !step.proposal.is_empty() || !step.proposal.down.is_empty() || step.host.detection.is_changed() {
                said.insert(agent.clone(), step.proposal);
            }
        }
    }

    fn host_step(
        &mut self,
        agent: &str,
        now: Millis,
        said: &mut BTreeMap<String, Proposal>,
        work: impl FnOnce(&mut Step<'_>),
    ) {
        let holds_back = self.holds_back();
        if !self.hosts.contains_key(agent) {
            self.hosts.insert(agent.to_owned(), Host::new(agent, &self.rules));
        }
        let host = self.hosts.get_mut(agent).expect("it was put there above");
        let proposal = said.remove(agent).unwrap_or_default();
        let (rules, watches) = (&*self.rules, &*self.watches);
        let layouts = &mut self.layouts;
        let (tally, lags, health) = (&mut self.tally, &mut self.lags, &mut self.rule_health);
        let mut step = Step { host, rules, watches, layouts, tally, lags, health, holds_back, now, proposal };
        work(&mut step);
        said.insert(agent.to_owned(), step.proposal);
    }
}

/// A publish, as the gate let it through.
struct From<'a> {
    client: &'a str,
    kind: Kind,
    payload: &'a [u8],
}

/// One step of one host: what it may look at, and what it proposes.
struct Step<'a> {
    host: &'a mut Host,
    rules: &'a Rules,
    watches: &'a Watches,
    layouts: &'a mut Layouts,
    tally: &'a mut Tally,
    lags: &'a mut Vec<i64>,
    health: &'a mut RuleHealth,
    /// Reports are not taken.
    holds_back: bool,
    now: Millis,
    proposal: Proposal,
}

impl Step<'_> {
    fn said(&mut self, what: AgentEvent) {
        let change = AgentChange { agent: self.host.agent.clone(), happened_at: self.now, what };
        self.proposal.inputs.push(InputBody::Agent(change));
    }

    fn alerts(&mut self, changes: Vec<AlertChange>) {
        self.proposal.inputs.extend(changes.into_iter().map(InputBody::Alert));
    }

    /// Tells the session's bookkeeping, and the desk what follows from it.
    fn hear(&mut self, heard: Heard<'_>) -> bool {
        let before = self.host.presence.live().cloned();
        let outcome = self.host.presence.hear(heard, self.now);
        for event in outcome.events {
            let Host { agent, detection, samples, .. } = &mut *self.host;
            let alerts = match &event {
                AgentEvent::Lost { reason, .. } => detection.lost(agent, samples, reason, self.now),
                AgentEvent::Connected { .. } => detection.back(agent, self.now),
                _ => Vec::new(),
            };
            self.said(event);
            self.alerts(alerts);
        }
        let kicks = outcome.kicks.into_iter();
        self.proposal.down.extend(kicks.map(|kick| Down::Kick { client: kick.client, reason: kick.reason.to_owned() }));
        let live = self.host.presence.live();
        if before.as_ref() != live {
            self.proposal.down.push(Down::Live(live.cloned().map(Box::new)));
        }
        outcome.taken
    }

    /// As [`Step::hear`], where there is nothing to take.
    fn note(&mut self, heard: Heard<'_>) {
        let _nothing_to_take = self.hear(heard);
    }

    fn reload(&mut self) {
        let host = &mut *self.host;
        let inputs = host.detection.reload(&host.agent, &mut host.samples, self.rules, self.now, self.health);
        self.proposal.inputs.extend(inputs);
    }

    fn retired(&mut self) {
        self.host.retire();
        // It may have come back in between.
        if let Some(session) = self.host.presence.live().map(|live| live.session) {
            self.ask_for_inventory(session);
        }
    }

    fn ask_for_inventory(&mut self, session: [u8; 16]) {
        let reason = "what was on this host is retired; tell what is there now".to_owned();
        self.resync(session, Resync { sections: vec!["*".to_owned()], reason, ..Resync::default() });
    }

    fn tick(&mut self, behind: bool) {
        if behind || self.host.presence.next_due().is_some_and(|due| due <= self.now) {
            self.note(Heard::Tick { behind });
        }
        match (self.host.presence.live().is_some(), self.host.is_condemned()) {
            (true, true) => self.ask_for_spool(ASK_UNASKED),
            (true, false) if !behind => self.ask_for_reports(),
            _ => {}
        }
        let host = &mut *self.host;
        let inputs = host.detection.tick(&host.agent, &mut host.samples, self.watches, self.now, self.health);
        self.proposal.inputs.extend(inputs);
    }

    fn message(&mut self, from: &From<'_>) {
        if let Err(fault) = self.read(from)
            && self.host.complain()
        {
            let detail = format!("published what does not read as {}: {fault}", from.kind.word());
            self.said(AgentEvent::Suspicious { detail });
        }
    }

    fn read(&mut self, from: &From<'_>) -> Result<(), WireError> {
        if from.kind == Kind::Will {
            let will = Envelope::read(from.payload)?.open_checked::<Will>(from.kind)?;
            self.note(Heard::Will { session: session_of(&will.session) });
            return Ok(());
        }
        let envelope = Envelope::read(from.payload)?;
        let (client, session) = (Some(from.client), session_of(&envelope.session));
        if from.kind == Kind::Hello {
            return self.greeted(client, session, &envelope);
        }
        if !self.hear(Heard::Message { client, session }) {
            return Ok(());
        }
        let Some(streams) = self.host.streams.as_mut().filter(|live| live.session == session) else {
            self.ask_for_hello(session, "this session is not known here");
            return Ok(());
        };
        streams.heard(envelope.counter, self.now);
        match from.kind {
            Kind::Layout => self.layouts.take(envelope.open_checked::<Layout>(from.kind)?),
            Kind::Report => self.report(envelope.open_checked(from.kind)?),
            Kind::Event | Kind::Inventory | Kind::Result | Kind::Status => {
                self.matter(envelope.open(from.kind.word())?)
            }
            Kind::Hello | Kind::Will | Kind::Ack | Kind::Resync | Kind::Command => Ok(()),
            // Keys are agreed on before anything comes here, and through a foreign broker alone.
            Kind::Open | Kind::Offer | Kind::Proof => Ok(()),
        }
    }

    /// A hello that was overtaken by a later one says that the agent lives, and no more: it may have another spool by now.
    fn greeted(&mut self, client: Option<&str>, session: [u8; 16], envelope: &Envelope) -> Result<(), WireError> {
        let counter = envelope.counter;
        let judged = self.host.streams.as_ref().map(|live| live.judge(session, counter, self.now));
        if judged == Some(Counted::Late) {
            self.note(Heard::Message { client, session });
            return Ok(());
        }
        let hello = envelope.open_checked::<Hello>(Kind::Hello)?;
        if self.hear(Heard::Hello { client, session, hello: &hello }) {
            self.hello(session, counter, &hello, judged == Some(Counted::Rewound));
        }
        Ok(())
    }

    fn hello(&mut self, session: [u8; 16], counter: u64, hello: &Hello, rewound: bool) {
        if rewound {
            self.host.streams = None;
        }
        let begun = self.host.begin(session, counter, hello, self.now);
        self.proposal.forgotten.extend(begun.forgotten);
        let Some(streams) = self.host.streams.clone() else { return };
        if begun.renumbered {
            let reason = "its spool had numbers that came before with other content".to_owned();
            self.said(AgentEvent::Renumbered { spool: streams.spool.clone(), reason });
        }
        let mark = self.host.marks.entry(streams.spool.clone()).or_default();
        if mark.condemned {
            return self.ask_for_spool(ASK_AGAIN);
        }
        if rewound || begun.other_past || mark.next > hello.unsent_from().matters {
            return self.condemn();
        }
        if let Some(missing) = mark.skip_to(hello.matters.first) {
            let (first, next) = (missing.start, missing.end);
            let detail =
                format!("matters {first}..{next} were acknowledged once and are not in this store: was it restored?");
            self.said(AgentEvent::Said { what: "lost".to_owned(), detail });
        }
        self.keep_mark();
        self.ack();
        if self.host.retired {
            self.ask_for_inventory(session);
        }
    }

    /// The spool does not go with its mark: a restored or cloned host. Nothing of it is taken until it numbers anew.
    fn condemn(&mut self) {
        let Some(streams) = &self.host.streams else { return };
        if let Some(mark) = self.host.marks.get_mut(&streams.spool) {
            mark.condemned = true;
        }
        self.keep_mark();
        self.ask_for_spool(0);
    }

    /// Asks for a new spool id, unless something was asked for less than `pause` ms ago: neither the request nor its answer is
    /// sure to arrive, and an agent that is asked with each of its messages answers all of them.
    fn ask_for_spool(&mut self, pause: i64) {
        let Some(session) = self.host.streams.as_ref().map(|live| live.session) else { return };
        let reason = "numbers of this spool came before with other content; draw a new spool id".to_owned();
        self.ask(session, pause, Resync { new_spool: true, reason, ..Resync::default() });
    }

    fn ask_for_hello(&mut self, session: [u8; 16], reason: &str) {
        self.ask(session, ASK_AGAIN, Resync { hello: true, reason: reason.to_owned(), ..Resync::default() });
    }

    fn ask(&mut self, session: [u8; 16], pause: i64, resync: Resync) {
        let asked = self.host.asked.filter(|(asked, _)| *asked == session);
        if asked.is_none_or(|(_, at)| self.now.since(at) >= pause) {
            self.host.asked = Some((session, self.now));
            self.resync(session, resync);
        }
    }

    /// Asks for a layout, unless that was done a moment ago: all reports under way are of it.
    fn ask_for_layout(&mut self, layout: Vec<u8>) {
        let Some(streams) = &mut self.host.streams else { return };
        let asked = streams.layout_asked.as_ref().filter(|(asked, _)| *asked == layout);
        if asked.is_none_or(|(_, at)| self.now.since(*at) >= ASK_AGAIN) {
            streams.layout_asked = Some((layout.clone(), self.now));
            let session = streams.session;
            let reason = "unknown layout".to_owned();
            self.resync(session, Resync { layouts: vec![layout], reason, ..Resync::default() });
        }
    }

    /// Asks for reports that were lost on the way; what is given up moves the mark, of which the agent is told.
    fn ask_for_reports(&mut self) {
        let Some(streams) = &mut self.host.streams else { return };
        if self.holds_back {
            // What is not taken must not be given up for that.
            return streams.reports.wait(self.now);
        }
        let (session, reports) = (streams.session, streams.reports.missing(self.now));
        let given_up = streams.reports.take_given_up();
        self.tally.given_up += given_up;
        if !reports.is_empty() {
            self.tally.asked += reports.iter().map(|lost| lost.next - lost.first).sum::<u64>();
            let reason = "reports were lost on the way".to_owned();
            self.resync(session, Resync { reports, reason, ..Resync::default() });
        }
        if given_up > 0 {
            self.ack_samples();
        }
    }

    fn keep_mark(&mut self) {
        let mark = self.host.spool_mark().map(|(spool, mark)| (spool.clone(), mark.clone()));
        self.proposal.marks.extend(mark);
    }

    fn resync(&mut self, session: [u8; 16], resync: Resync) {
        self.proposal.down.push(Down::Resync { session, resync });
    }

    fn report(&mut self, report: Report) -> Result<(), WireError> {
        let Some(streams) = &self.host.streams else { return Ok(()) };
        let is_of_it = matter::is_hexadecimal_of(&streams.spool, &report.spool);
        if self.host.is_condemned() {
            self.ask_for_spool(ASK_AGAIN);
            return Ok(());
        }
        if !is_of_it {
            // A late copy of one before, or a spool whose hello was lost; then its matters ask for that.
            return Ok(());
        }
        if self.holds_back {
            // It is told where the mark stands, so that it does not think the controller dead.
            self.tally.held_back += 1;
            self.ack_samples();
            return Ok(());
        }
        let Some(layout) = self.layouts.get(&report.layout) else {
            self.ask_for_layout(report.layout);
            return Ok(());
        };
        let Some(at) = self.host.corrected_sample(report.at_ms, self.now) else {
            self.tally.refused += report::refuse(self.host, &report, self.now);
            self.ack_samples();
            return Ok(());
        };
        let taken = report::take(self.host, &report, &layout, at, self.now)?;
        self.tally.add(&taken);
        self.lags.push(self.now.since(at));
        if taken.newest {
            let host = &mut *self.host;
            self.proposal.inputs.extend(host.detection.report(
                &host.agent,
                &mut host.samples,
                self.watches,
                at,
                self.now,
                self.health,
            ));
        }
        self.ack_samples();
        Ok(())
    }

    /// A matter that makes no sense is taken all the same, and told of: refused for ever it would hold up all behind it.
    fn matter(&mut self, message: Matter) -> Result<(), WireError> {
        let Some(streams) = self.host.streams.clone() else { return Ok(()) };
        let spool = hexadecimal(&message.spool);
        if spool != streams.spool {
            // A late copy of what was condemned, or a spool whose hello was lost.
            if !self.host.marks.get(&spool).is_some_and(|mark| mark.condemned) {
                self.ask_for_hello(streams.session, "this spool was not said hello of");
            }
            return Ok(());
        }
        if self.host.is_condemned() {
            self.ask_for_spool(ASK_AGAIN);
            return Ok(());
        }
        let (number, content) = (message.number, content(&message));
        let mark = self.host.marks.entry(streams.spool.clone()).or_default();
        let mut sense = Ok(());
        match mark.judge(number, content, streams.seen) {
            Numbered::Other => {
                self.condemn();
                return Ok(());
            }
            Numbered::Again => self.seen(number),
            // The agent had an acknowledgement of a life before, and will not bring again what is waited for.
            Numbered::Ahead if streams.seen < mark.next => {
                self.ask_for_hello(streams.session, "where its matters begin is not known here");
            }
            Numbered::Ahead => {}
            Numbered::Next => {
                let known = mark.take(content);
                mark.used_at = mark.used_at.max(self.now);
                self.seen(number);
                sense = message.check();
                if !known && sense.is_ok() {
                    self.body(&streams, message);
                }
                self.keep_mark();
            }
        }
        self.ack();
        sense
    }

    /// What a matter says, unless that is set aside.
    fn body(&mut self, streams: &Streams, message: Matter) {
        let kind = message.kind().map_or("matter", Kind::word);
        let (at, number) = (self.host.corrected(message.at_ms, self.now), message.number);
        if let Some(why) = self.host.aside.get(&(streams.spool.clone(), number)) {
            let input = format!("{kind} {number} of spool {}", streams.spool);
            self.proposal.inputs.push(aside::note(Some(self.host.agent.clone()), input, why.clone()));
            return;
        }
        let Some(body) = message.body else { return };
        self.proposal.matter = Some(aside::Matter { spool: streams.spool.clone(), number, kind });
        let id = format!("{}/{}/{}", self.host.agent, streams.spool, number);
        let resync = matter::take(self.host, &id, body, at, self.now, &mut self.proposal);
        resync.into_iter().for_each(|resync| self.resync(streams.session, resync));
    }

    /// Number by number this session shows that it goes with the mark.
    fn seen(&mut self, number: u64) {
        if let Some(streams) = self.host.streams.as_mut().filter(|streams| streams.seen == number) {
            streams.seen += 1;
        }
    }

    /// What is taken so far, and what of the samples is in block files.
    fn ack(&mut self) {
        let Some(streams) = &self.host.streams else { return };
        let (session, next) = (streams.session, self.host.marks.get(&streams.spool).map_or(0, |mark| mark.next));
        let ack = self.acknowledging(streams, next.min(streams.seen));
        // One ack a batch: the newest says all.
        self.proposal.down.retain(|down| !matches!(down, Down::Ack { .. } | Down::Taken { .. }));
        self.proposal.down.push(Down::Ack { session, ack });
    }

    /// The same of samples alone, which waits for no commit.
    fn ack_samples(&mut self) {
        if self.proposal.down.iter().any(|down| matches!(down, Down::Ack { .. })) {
            return self.ack();
        }
        let Some(streams) = &self.host.streams else { return };
        let (session, ack) = (streams.session, self.acknowledging(streams, streams.matters_from));
        self.proposal.down.retain(|down| !matches!(down, Down::Taken { .. }));
        self.proposal.down.push(Down::Taken { session, ack });
    }

    fn acknowledging(&self, streams: &Streams, matters: u64) -> Ack {
        Ack {
            spool: unhexadecimal(&streams.spool),
            matters,
            taken: streams.reports.below(),
            sealed: self.host.sealed(),
            credit: CREDIT,
            now_ms: self.now.0,
            key_share: Vec::new(),
        }
    }
}

/// The session nonce; checked messages have 16 bytes of it.
fn session_of(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().unwrap_or_default()
}
