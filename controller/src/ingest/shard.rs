//! One shard: the step function over its hosts.

mod acks;
mod asking;
mod hello;
mod incoming;
mod logged;
mod step;
mod taking;

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_desk::{InputBody, Millis};
use watchkeep_rules::promql::series::{Samples, Series};

pub use self::incoming::Incoming;
use self::logged::LoggedBefore;
use self::step::{From, Step};
use super::host::{Host, KeptHost};
use super::proposal::Proposal;
use crate::detect::metrics::{Judged, RuleHealth, Standing};
use crate::detect::{Rules, Watches};
use crate::fleet::session::Heard;
use crate::samples::foreign::wire::Metadata;
use crate::samples::{self, Covered, Folder, Handed, Held, KEEP_MS, Layouts, Question, Sealing, Tally, Tap};

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
    /// Says whether samples are passed on, and what is to be.
    tap: Tap,
    handed: Vec<Handed>,
    /// What was logged elsewhere and taken last.
    logged: LoggedBefore,
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
            tap: Tap::default(),
            handed: Vec::new(),
            logged: LoggedBefore::default(),
        }
    }

    /// Collects what is passed on while `tap` is open.
    pub fn tapped(self, tap: Tap) -> Self {
        Self { tap, ..self }
    }

    /// What is to be passed on since this was last asked.
    pub fn take_handed(&mut self) -> Vec<Handed> {
        std::mem::take(&mut self.handed)
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
            Incoming::Logged { agent, events, answer } => {
                let fresh = self.logged.fresh(events);
                self.host_step(&agent, now, said, |step| step.logged(fresh, answer));
            }
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
        // The markers of a goodbye may have been in no file yet.
        for host in self.hosts.values_mut() {
            if let Some(at) = host.ended.take() {
                host.samples.end_once(at.0);
            }
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

    /// The annotations that ask for samples, of each input of a proposal that has such, as `samples` of all hosts answer them.
    pub fn asked(&self, proposal: &Proposal, samples: &dyn Samples) -> Vec<(usize, BTreeMap<String, String>)> {
        let asking = &self.rules.metrics.asking;
        if asking.is_empty() {
            return Vec::new();
        }
        let of_input = |(place, input): (usize, &InputBody)| {
            let InputBody::Alert(change) = input else { return None };
            let annotations = asking.annotations(change, samples);
            (!annotations.is_empty()).then_some((place, annotations))
        };
        proposal.inputs.iter().enumerate().filter_map(of_input).collect()
    }

    /// Adds annotations to inputs of a proposal, by their place, and to what is kept of their alerts.
    pub fn annotate(&mut self, proposal: &mut Proposal, asked: Vec<(usize, BTreeMap<String, String>)>) {
        let host = self.hosts.get_mut(&proposal.agent);
        let Some(host) = host.filter(|_| !asked.is_empty()) else { return };
        for (place, annotations) in asked {
            if let Some(InputBody::Alert(change)) = proposal.inputs.get_mut(place) {
                host.detection.annotate(change, &annotations);
                change.annotations.extend(annotations);
            }
        }
        proposal.row = host.row_if_changed();
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
        let (holds_back, is_open) = (self.holds_back(), self.tap.is_open());
        for (agent, host) in &mut self.hosts {
            let proposal = said.remove(agent).unwrap_or_default();
            let (rules, watches) = (&*self.rules, &*self.watches);
            let layouts = &mut self.layouts;
            let (tally, lags, health) = (&mut self.tally, &mut self.lags, &mut self.rule_health);
            let mut step = Step { host, rules, watches, layouts, tally, lags, health, holds_back, now, proposal };
            step.host.samples.follow(is_open);
            work(&mut step);
            collect(&mut self.handed, agent, step.host);
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
        step.host.samples.follow(self.tap.is_open());
        work(&mut step);
        collect(&mut self.handed, agent, step.host);
        said.insert(agent.to_owned(), step.proposal);
    }
}

/// What a host told in a step.
fn collect(handed: &mut Vec<Handed>, agent: &str, host: &mut Host) {
    let told = host.samples.take_told();
    if !told.is_empty() {
        handed.push(Handed { agent: agent.to_owned(), told });
    }
}
