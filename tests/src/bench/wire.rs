//! A whole controller as fast as its agents report, over their own wire, with sixty usual rules judged on the way.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::fleet::connected;
use super::{Figure, Row, Size, Target, beside, floors, rules};
use crate::reading::Reading;
use crate::{Controller, Setup};

pub const ROW: Row = Row {
    name: "wire",
    what: "samples that a controller takes in a CPU second from its agents, a report a second each, with 60 rules",
    run,
};

/// Seconds between reports of one host.
const INTERVAL: f64 = 1.0;
/// Until windows fill and what arrival stirred up has settled.
const SETTLES: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(40);

fn run(size: &Size) -> Result<Vec<Figure>> {
    let controller = Controller::start(Setup { files: vec![rules::usual()], ..Setup::default() })?;
    let mut fleet = connected(&controller, size, INTERVAL, &["--churn", "0"])?;
    std::thread::sleep(SETTLES);
    let (first, cpu) = (Reading::take(&controller)?, controller.process().cpu_seconds()?);
    std::thread::sleep(MEASURED);
    fleet.ensure_runs()?;
    let (last, cpu) = (Reading::take(&controller)?, controller.process().cpu_seconds()? - cpu);
    let more = |name: &str| anyhow::Ok(last.of(name)? - first.of(name)?);
    let samples = more("watchkeep_samples_taken_total")?;
    let (reports, judged) =
        (more("watchkeep_samples_lag_seconds_count")?, more("watchkeep_rule_evaluations_total{way=\"stream\"}")?);
    ensure!(reports > 0.0 && judged > 0.0, "{reports} reports came and {judged} rules were judged");
    drop(fleet.stop()?);
    let floor = samples * floors::APPENDED_SAMPLE_NS / 1e9 + reports * floors::MESSAGE.as_secs_f64();
    let theirs = beside::costs(size)?;
    let ours = samples / cpu;
    Ok(vec![
        Figure::new("samples came in", samples / MEASURED.as_secs_f64(), "samples/s"),
        Figure::new("watchkeep, taken in a CPU second, rules judged", ours, "samples/CPU s"),
        Figure::new("a report", cpu * 1e6 / reports, "CPU µs"),
        Figure::new("prometheus, taken in a CPU second, no rules", theirs.samples_a_second, "samples/CPU s"),
        Figure::new("samples a CPU second, × prometheus", ours / theirs.samples_a_second, "×")
            .against(Target::at_least(20.0, 170.0)),
        Figure::new("watchkeep, over the floor", cpu / floor, "×"),
        Figure::new("messages dropped for want of room", more("watchkeep_ingest_messages_dropped_total")?, ""),
    ])
}
