//! What an active series takes with its last samples, each of which can be asked for.
//!
//! Reports go into the hosts' columns as they come in a shard, in this process; what becomes resident is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use watchkeep::samples::{HeldLayout, HostSeries, Templates};
use watchkeep_protocol::Report;
use watchkeep_rules::promql::series::Samples as _;
use watchkeep_rules::selector::Selector;

use super::generated::Generated;
use super::rules::resident;
use super::{Figure, Row, Size, Target, beside};

pub const ROW: Row = Row {
    name: "memory",
    what: "resident memory that a series takes with its last --reports samples, here and in Prometheus",
    run,
};

const BEGAN: i64 = 1_800_000_000_000;
/// Bytes of a sample's value as it came.
const VALUE: f64 = 8.0;

fn run(size: &Size) -> Result<Vec<Figure>> {
    let theirs = beside::costs(size)?;
    let mut templates = Templates::default();
    let mut hosts: Vec<Generated> = Generated::fleet(size, BEGAN);
    let before = resident()?;
    let mut held: Vec<(HostSeries, Arc<HeldLayout>)> = hosts
        .iter()
        .map(|host| {
            let layout = Arc::new(HeldLayout::new(&host.layout(), &mut templates));
            (HostSeries::new(&host.agent, &BTreeMap::new()), layout)
        })
        .collect();
    let interval = (size.interval * 1_000.0) as i64;
    let until = BEGAN + size.reports as i64 * interval;
    for round in 1..=size.reports as i64 {
        let at_ms = BEGAN + round * interval;
        for (host, (series, layout)) in hosts.iter_mut().zip(&mut held) {
            host.advance(size.interval);
            series.take(&Report { at_ms, rows: host.rows(), ..Report::default() }, layout, at_ms);
        }
    }
    let bytes = resident()?.saturating_sub(before) as f64;
    let count: usize = hosts.iter().map(Generated::series).sum();
    let found = queryable(&hosts, &held, until)?;
    ensure!(found == count * size.reports, "{found} of {} samples can be queried", count * size.reports);
    let ours = bytes / count as f64;
    Ok(vec![
        Figure::new("watchkeep, memory", ours, "bytes a series"),
        Figure::new("prometheus, memory", theirs.bytes_a_series, "bytes a series"),
        Figure::new("memory, of prometheus's", ours / theirs.bytes_a_series, "×")
            .against(Target::at_most(1.0 / 5.0, 1.0 / 24.0)),
        Figure::new("of the values as they came", ours / (VALUE * size.reports as f64), "×"),
    ])
}

/// Samples that questions by metric find.
fn queryable(hosts: &[Generated], held: &[(HostSeries, Arc<HeldLayout>)], until: i64) -> Result<usize> {
    let mut found = 0;
    for (host, (series, _)) in hosts.iter().zip(held) {
        for name in host.names() {
            let answer = series.select(&Selector::of_metric(&name), BEGAN, until).map_err(anyhow::Error::msg);
            found += answer.context("ask for a metric")?.iter().map(|series| series.points.len()).sum::<usize>();
        }
    }
    Ok(found)
}
