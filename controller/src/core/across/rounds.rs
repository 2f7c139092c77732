//! When rules across hosts are evaluated, what they see, and what follows: a step function.

use watchkeep_desk::{InputBody, Millis};
use watchkeep_rules::promql::series::{Samples, Series};
use watchkeep_rules::selector::Selector;

use super::{FLEET, FleetNews};
use crate::detect;
use crate::detect::metrics::{FleetMetrics, FleetStep, MetricGroups, RuleHealth};
use crate::ingest::{HostRow, Proposal};
use crate::samples::{HostSeries, KEEP_MS};

/// In a new life agents first come back and send what is missing; until then an absence says nothing.
const WARM_UP_MS: i64 = 60_000;

/// Rules across hosts, between two looks.
#[derive(Default)]
pub struct Rounds {
    life: u64,
    /// When this life began.
    began: Millis,
    metrics: FleetMetrics,
    /// How far back what rules recorded is looked at, ms.
    keep_ms: i64,
    recorded: HostSeries,
    health: RuleHealth,
}

/// The fleet's samples with what its own rules recorded.
struct Both<'a> {
    hosts: &'a dyn Samples,
    recorded: &'a HostSeries,
}

impl Samples for Both<'_> {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        let mut found = self.hosts.select(matchers, after, until)?;
        found.extend(self.recorded.select(matchers, after, until)?);
        Ok(found)
    }
}

impl Rounds {
    /// One look: takes up what is new, and evaluates the groups that are due over `hosts`' samples. What follows is proposed
    /// under [`FLEET`], if anything does.
    pub fn step(&mut self, news: FleetNews, hosts: &dyn Samples, now: Millis) -> Option<Proposal> {
        let mut steps = Vec::new();
        if let Some((life, rules, kept)) = news.restore {
            (self.life, self.began) = (life, now);
            self.metrics = FleetMetrics::restore(&rules.metrics, kept.row.detection.fleet);
            steps.push(self.reload(&rules.metrics, now));
        }
        if let Some(rules) = news.rules {
            steps.push(self.reload(&rules.metrics, now));
        }
        if !self.metrics.is_empty() && now.since(self.began) >= WARM_UP_MS {
            let samples = Both { hosts, recorded: &self.recorded };
            let step = self.metrics.step(&samples, now, &mut self.health);
            self.write(&step);
            self.recorded.forget(now.0.saturating_sub(self.keep_ms));
            steps.push(step);
        }
        self.proposal(steps)
    }

    /// Which rules fail, where that changed since this was last asked.
    pub fn take_rule_health(&mut self) -> Option<RuleHealth> {
        self.health.take_if_changed()
    }

    #[cfg(test)]
    pub fn recorded(&self) -> &HostSeries {
        &self.recorded
    }

    fn reload(&mut self, groups: &MetricGroups, now: Millis) -> FleetStep {
        self.keep_ms = groups.reach().max(KEEP_MS);
        let step = self.metrics.reload(groups, now, &mut self.health);
        self.write(&step);
        step
    }

    fn write(&mut self, step: &FleetStep) {
        for written in &step.written {
            self.recorded.write(&written.labels, written.at, written.value);
        }
    }

    fn proposal(&self, steps: Vec<FleetStep>) -> Option<Proposal> {
        if !steps.iter().any(|step| step.is_changed) {
            return None;
        }
        let detection = detect::Kept { fleet: self.metrics.kept(), ..detect::Kept::default() };
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
