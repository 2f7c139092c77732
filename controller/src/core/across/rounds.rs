//! When rules across hosts are evaluated, what they record, and what follows: a step function.

use std::sync::{MutexGuard, PoisonError};

use watchkeep_desk::{InputBody, Millis};
use watchkeep_rules::metric::Written;
use watchkeep_rules::promql::series::Samples;

use super::FleetNews;
use crate::detect;
use crate::detect::metrics::{Asking, FleetMetrics, FleetStep, MetricGroups, RuleHealth, Standing};
use crate::ingest::{HostRow, Proposal};
use crate::samples::{
    Covered, FLEET, Folder, Handed, HostSeries, KEEP_MS, Sealing, SharedSeries, Tap, Templates, recover,
};

/// In a new life agents first come back and send what is missing; until then an absence says nothing.
const WARM_UP_MS: i64 = 60_000;

/// Rules across hosts, between two looks.
#[derive(Default)]
pub struct Rounds {
    life: u64,
    /// When this life began.
    began: Millis,
    metrics: FleetMetrics,
    /// The other rules, over the series that others write.
    foreign: FleetMetrics,
    /// Rules of `foreign` whose annotations ask for samples of hosts, too.
    asking: Asking,
    /// How far back what rules recorded is looked at, ms.
    keep_ms: i64,
    /// What the rules recorded.
    recorded: SharedSeries,
    /// The newest instant that block files have something recorded of, until what is missing since then is made up for.
    recorded_until: Option<i64>,
    health: RuleHealth,
    /// Since it was last asked how its rules stand.
    is_evaluated: bool,
}

impl Rounds {
    /// What rules record goes into `recorded`, to be read from there.
    pub fn new(recorded: SharedSeries) -> Self {
        Self { recorded, ..Self::default() }
    }

    /// One look: takes up what is new, and evaluates the groups that are due: rules across hosts over `samples`, the others
    /// over what is `foreign` in them, if anything is. In both is what they recorded. What follows is proposed under
    /// [`FLEET`], if anything does.
    pub fn step(
        &mut self,
        news: FleetNews,
        samples: &dyn Samples,
        foreign: Option<&dyn Samples>,
        now: Millis,
    ) -> Option<Proposal> {
        let mut steps = Vec::new();
        if let Some((life, rules, kept)) = news.restore {
            (self.life, self.began) = (life, now);
            let kept = kept.row.detection;
            self.metrics = FleetMetrics::restore(&rules.metrics.fleet, kept.fleet);
            self.foreign = FleetMetrics::restore(&rules.metrics.foreign, kept.foreign);
            steps.extend(self.reload(&rules.metrics, now));
        }
        if let Some(rules) = news.rules {
            steps.extend(self.reload(&rules.metrics, now));
        }
        let mut write = |written: &Written| write(&self.recorded, written);
        if let Some(foreign) = foreign {
            let mut step = self.foreign.step(foreign, now, &mut write, &mut self.health);
            self.foreign.annotate(&mut step, &self.asking, samples);
            steps.push(step);
        }
        if !self.metrics.is_empty() && now.since(self.began) >= WARM_UP_MS {
            if let Some(since) = self.recorded_until.take() {
                self.metrics.missed(since, now);
            }
            steps.push(self.metrics.step(samples, now, &mut write, &mut self.health));
        }
        self.is_evaluated |= steps.iter().any(|step| step.is_evaluated);
        self.proposal(steps)
    }

    /// Reads back what block files have of what rules recorded, once after the first restore. Returns sentences about what
    /// could not be read.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn recover(&mut self, folder: &Folder, now: Millis) -> std::io::Result<Vec<String>> {
        let mut recorded = locked(&self.recorded);
        let of_ours = |agent: &str| (agent == FLEET).then(|| std::mem::take(&mut *recorded));
        let mut recovery = recover(folder, now.0.saturating_sub(self.keep_ms), &mut Templates::default(), of_ours)?;
        if let Some(found) = recovery.hosts.remove(FLEET) {
            *recorded = found.samples;
        }
        self.recorded_until = recorded.newest_written();
        Ok(recovery.faults)
    }

    /// Puts everything that was recorded since the last block file into one, and drops from memory what is in files and older
    /// than rules look back.
    pub fn hand_over(&mut self, now: Millis) -> Sealing {
        let mut sealing = Sealing::new(now.0);
        let mut recorded = locked(&self.recorded);
        recorded.hand_over(Covered { agent: FLEET.to_owned(), ..Covered::default() }, &mut sealing);
        recorded.forget(now.0.saturating_sub(self.keep_ms));
        sealing
    }

    /// What was handed over is in a block file. Must be told before the next is handed over.
    pub fn sealed(&mut self) {
        locked(&self.recorded).sealed();
    }

    /// Whether what is recorded from now on is passed on.
    pub fn follow(&self, follows: bool) {
        locked(&self.recorded).follow(follows);
    }

    /// Passes on what was recorded since the last time.
    pub fn pass_on(&self, tap: &Tap) {
        let told = locked(&self.recorded).take_told();
        if !told.is_empty() {
            tap.hand_over(vec![Handed { agent: FLEET.to_owned(), told }]);
        }
    }

    /// Which rules fail, where that changed since this was last asked.
    pub fn take_rule_health(&mut self) -> Option<RuleHealth> {
        self.health.take_if_changed()
    }

    /// How its rules stand, where some were evaluated or others taken up since this was last asked.
    pub fn take_standing(&mut self) -> Option<Standing> {
        std::mem::take(&mut self.is_evaluated).then(|| {
            let mut standing = Standing::default();
            self.metrics.add_standing(&mut standing);
            self.foreign.add_standing(&mut standing);
            standing
        })
    }

    fn reload(&mut self, groups: &MetricGroups, now: Millis) -> [FleetStep; 2] {
        self.keep_ms = groups.reach_across().max(KEEP_MS);
        self.asking = groups.asking.clone();
        self.is_evaluated = true;
        let mut write = |written: &Written| write(&self.recorded, written);
        [(&mut self.metrics, &groups.fleet), (&mut self.foreign, &groups.foreign)]
            .map(|(metrics, groups)| metrics.reload(groups, now, &mut write, &mut self.health))
    }

    fn proposal(&self, steps: Vec<FleetStep>) -> Option<Proposal> {
        if !steps.iter().any(|step| step.is_changed) {
            return None;
        }
        let (fleet, foreign) = (self.metrics.kept(), self.foreign.kept());
        let detection = detect::Kept { fleet, foreign, ..detect::Kept::default() };
        let changes = steps.into_iter().flat_map(|step| step.changes);
        Some(Proposal {
            agent: FLEET.to_owned(),
            inputs: changes.map(InputBody::Alert).collect(),
            row: Some(HostRow { detection, ..HostRow::default() }),
            life: self.life,
            ..Proposal::default()
        })
    }
}

fn write(recorded: &SharedSeries, written: &Written) {
    locked(recorded).write(&written.labels, written.at, written.value);
}

fn locked(recorded: &SharedSeries) -> MutexGuard<'_, HostSeries> {
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}
