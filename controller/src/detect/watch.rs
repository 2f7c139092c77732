//! `wait_for`: conditions over a host's newest samples, watched while runs wait for them.

use std::collections::BTreeMap;

use watchkeep_desk::ids::RunId;
use watchkeep_desk::runbooks::Watch;
use watchkeep_desk::{InputBody, Millis};
use watchkeep_protocol::layout::Flag;
use watchkeep_rules::model::Condition;
use watchkeep_rules::selector::Compiled;

use crate::ingest::Samples;

/// Every condition that runs wait for now, by agent.
#[derive(Debug, Default)]
pub struct Watches(BTreeMap<String, Vec<Watched>>);

#[derive(Debug)]
struct Watched {
    watch: Watch,
    condition: Condition,
    selector: Option<Compiled>,
}

/// How far one host is with the conditions that are waited for.
#[derive(Debug, Default)]
pub struct Watching(BTreeMap<(RunId, usize), Progress>);

#[derive(Debug, Default)]
struct Progress {
    /// Since when it has held without a break, by the reports' times.
    since: Option<Millis>,
    /// Whether the desk was told; once is enough.
    told: bool,
    /// What was last seen, for the sentence.
    last: String,
}

impl Watches {
    /// The desk's watches, ready to be evaluated.
    pub fn new(watches: Vec<Watch>) -> Self {
        let mut by_agent: BTreeMap<String, Vec<Watched>> = BTreeMap::new();
        for watch in watches {
            let selector = Compiled::new(&watch.selector).ok();
            let condition = Condition {
                text: String::new(),
                metric: watch.metric.clone(),
                matchers: watch.selector.clone(),
                op: watch.op.clone(),
                value: watch.value,
            };
            by_agent.entry(watch.agent.clone()).or_default().push(Watched { watch, condition, selector });
        }
        Self(by_agent)
    }

    fn of(&self, agent: &str) -> &[Watched] {
        self.0.get(agent).map_or(&[], Vec::as_slice)
    }
}

impl Watching {
    /// A report of the host came in, read at `at`.
    pub fn report(&mut self, agent: &str, samples: &Samples, watches: &Watches, at: Millis) -> Vec<InputBody> {
        self.forget(agent, watches);
        let mut told = Vec::new();
        for watched in watches.of(agent) {
            let watch = &watched.watch;
            let progress = self.0.entry((watch.run, watch.step)).or_default();
            let (holds, last) = look(agent, samples, watched);
            progress.last = last;
            progress.since = if holds { progress.since.or(Some(at)) } else { None };
            let held = progress.since.is_some_and(|since| at.since(since) >= watch.held);
            if held && !progress.told {
                progress.told = true;
                told.push(InputBody::Watched { run: watch.run, step: watch.step, held, detail: progress.last.clone() });
            }
        }
        told
    }

    /// Time passed: what did not hold in time is told.
    pub fn tick(&mut self, agent: &str, watches: &Watches, now: Millis) -> Vec<InputBody> {
        self.forget(agent, watches);
        let mut told = Vec::new();
        for Watched { watch, .. } in watches.of(agent).iter().filter(|watched| watched.watch.until <= now) {
            let progress = self.0.entry((watch.run, watch.step)).or_default();
            if !progress.told {
                progress.told = true;
                let last = if progress.last.is_empty() { "no report came" } else { &progress.last };
                let detail = format!("did not hold for {} s in time: {last}", watch.held / 1_000);
                told.push(InputBody::Watched { run: watch.run, step: watch.step, held: false, detail });
            }
        }
        told
    }

    fn forget(&mut self, agent: &str, watches: &Watches) {
        if !self.0.is_empty() {
            let wanted = watches.of(agent);
            self.0.retain(|key, _| wanted.iter().any(|watched| (watched.watch.run, watched.watch.step) == *key));
        }
    }
}

/// Whether any series of the host that the selector takes passes the comparison, and what was seen.
fn look(agent: &str, samples: &Samples, watched: &Watched) -> (bool, String) {
    let (watch, Some(selector)) = (&watched.watch, &watched.selector) else {
        return (false, "its selector does not compile".to_owned());
    };
    let mut seen = format!("no series {} matches", watch.metric);
    for (labels, value) in series(agent, samples, &watch.metric) {
        if !selector.matches(&labels) {
            continue;
        }
        seen = format!("{} is {value}", watch.metric);
        if watched.condition.holds(value) {
            return (true, seen);
        }
    }
    (false, seen)
}

/// The host's series of one metric that were read last time, with the labels that PromQL would see.
fn series<'a>(
    agent: &'a str,
    samples: &'a Samples,
    metric: &'a str,
) -> impl Iterator<Item = (BTreeMap<String, String>, f64)> + 'a {
    let blocks = samples.layout.iter().flat_map(|layout| &layout.blocks).zip(&samples.blocks);
    blocks.flat_map(move |(block, values)| {
        let metrics = &block.template.metrics;
        let columns = metrics.iter().enumerate().filter(move |(_, column)| column.name == metric);
        columns.flat_map(move |(column, known)| {
            block.instances.iter().enumerate().filter_map(move |(row, instance)| {
                let place = row * metrics.len() + column;
                let read = values.flags.get(place).is_none_or(|flag| *flag == Flag::Read as u8);
                let value = values.values.get(place).copied().filter(|_| read)?;
                let mut labels = known.labels.clone();
                labels.extend(block.template.instance_labels.iter().cloned().zip(instance.values.iter().cloned()));
                labels.insert("instance".to_owned(), agent.to_owned());
                labels.insert("job".to_owned(), "node".to_owned());
                Some((labels, value))
            })
        })
    })
}
