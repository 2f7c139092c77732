//! `wait_for`: conditions over a host's newest samples, watched while runs wait for them.

use std::collections::BTreeMap;

use watchkeep_desk::ids::RunId;
use watchkeep_desk::runbooks::Watch;
use watchkeep_desk::{InputBody, Millis};
use watchkeep_rules::model::Condition;
use watchkeep_rules::promql::series::Point;
use watchkeep_rules::selector::Compiled;

use crate::samples::HostSeries;

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
    /// Since when it has held without a break, by when the values were read.
    since: Option<Millis>,
    /// Whether the desk was told; once is enough.
    told: bool,
    /// What was last seen, for the sentence.
    last: String,
}

/// What a look at the newest samples came to.
struct Seen {
    /// When the value that passes was read; none: none passes.
    passed: Option<Millis>,
    /// For the sentence.
    what: String,
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
    /// A report of the host came in. What counts is when each value was read, not when the report came: a block that was
    /// not due keeps the values and the time of its last reading.
    pub fn report(&mut self, agent: &str, samples: &HostSeries, watches: &Watches) -> Vec<InputBody> {
        self.forget(agent, watches);
        let mut told = Vec::new();
        for watched in watches.of(agent) {
            let watch = &watched.watch;
            let progress = self.0.entry((watch.run, watch.step)).or_default();
            let seen = look(samples, watched);
            progress.last = seen.what;
            progress.since = seen.passed.map(|read| progress.since.unwrap_or(read));
            let held = seen.passed.zip(progress.since).is_some_and(|(read, since)| read.since(since) >= watch.held);
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

/// Whether any series of the host that the selector takes passes the comparison by a value that was read while it is waited
/// for.
fn look(samples: &HostSeries, watched: &Watched) -> Seen {
    let (watch, Some(selector)) = (&watched.watch, &watched.selector) else {
        return Seen { passed: None, what: "its selector does not compile".to_owned() };
    };
    let mut what = format!("no series {} matches", watch.metric);
    let mut passed: Option<Millis> = None;
    for (labels, Point { at, value }) in samples.newest(&watch.metric) {
        let read = Millis(at);
        if passed >= Some(read) || !selector.matches_by(|label| labels.get(label)) {
            continue;
        }
        if read < watch.from {
            what = format!("{} was not read since the step began", watch.metric);
            continue;
        }
        what = format!("{} is {value}", watch.metric);
        if watched.condition.holds(value) {
            passed = Some(read);
        }
    }
    Seen { passed, what }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watchkeep_desk::ids::RunId;
    use watchkeep_protocol::layout::{Block, Instance, Metric, Template};
    use watchkeep_protocol::{Layout, Report, Row};
    use watchkeep_rules::selector::Selector;

    use super::*;
    use crate::samples::{HeldLayout, Templates};

    /// What one host reports of `load`, and a wait for `load < 5` that began at 100 and must hold for 20 ms.
    struct Bench {
        watches: Watches,
        watching: Watching,
        samples: HostSeries,
        layout: Arc<HeldLayout>,
    }

    impl Bench {
        fn new() -> Self {
            let template = Template {
                collector: "cpu".into(),
                metrics: vec![Metric { name: "load".into(), ..Metric::default() }],
                instance_labels: Vec::new(),
            };
            let block = Block { template, instances: vec![Instance::default()] };
            let watch = Watch {
                run: RunId(1),
                step: 0,
                agent: "web-1".into(),
                metric: "load".into(),
                selector: Selector::default(),
                op: "<".into(),
                value: 5.0,
                held: 20,
                from: Millis(100),
                until: Millis(1_000),
            };
            Self {
                watches: Watches::new(vec![watch]),
                watching: Watching::default(),
                samples: HostSeries::new("web-1", &BTreeMap::new()),
                layout: Arc::new(HeldLayout::new(&Layout::whole(vec![block]), &mut Templates::default())),
            }
        }

        /// A report comes; `load` was read at `read`. Whether the desk is told that the condition held.
        fn report(&mut self, read: i64, load: f64) -> bool {
            let rows = vec![Row { block: 0, values: vec![load], flags: Vec::new() }];
            let report = Report { rows, ..Report::default() };
            self.samples.take(&report, &self.layout, read);
            let told = self.watching.report("web-1", &self.samples, &self.watches);
            told.iter().any(|input| matches!(input, InputBody::Watched { held: true, .. }))
        }
    }

    #[test]
    fn values_read_before_the_step_do_not_count() {
        let mut bench = Bench::new();
        assert!(!bench.report(50, 1.0), "read before the step, reported after");
        assert!(!bench.report(90, 1.0));
        assert!(!bench.report(110, 1.0), "held for 0 ms only, not since 50");
        let told = bench.watching.tick("web-1", &bench.watches, Millis(1_000));
        assert!(format!("{told:?}").contains("load is 1"), "{told:?}");
    }

    #[test]
    fn a_report_that_brings_no_new_reading_makes_the_condition_hold_no_longer() {
        let mut bench = Bench::new();
        assert!(!bench.report(110, 1.0));
        assert!(!bench.report(110, 1.0), "its block was not due");
        assert!(!bench.report(129, 1.0));
        assert!(bench.report(130, 1.0), "20 ms between the readings");
    }

    #[test]
    fn a_break_begins_the_wait_anew() {
        let mut bench = Bench::new();
        for (read, load) in [(110, 1.0), (120, 9.0), (131, 1.0), (150, 1.0)] {
            assert!(!bench.report(read, load), "at {read}");
        }
        assert!(bench.report(151, 1.0));
    }

    #[test]
    fn a_condition_that_nothing_spoke_to_since_the_step_says_so() {
        let mut bench = Bench::new();
        assert!(!bench.report(99, 1.0));
        let told = bench.watching.tick("web-1", &bench.watches, Millis(1_000));
        assert!(format!("{told:?}").contains("load was not read since the step began"), "{told:?}");
    }
}
