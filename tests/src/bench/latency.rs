//! From a sample's arrival to the incident on the disk, while many samples come in: units fail here and there, and a rule
//! without `for` makes an incident of each. The controller measures it, from the broker's gate to the end of the commit.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::fleet::connected;
use super::{Figure, Row, Size, Target, floors, rules};
use crate::reading::Reading;
use crate::{Controller, Setup};

pub const ROW: Row = Row {
    name: "latency",
    what: "from a sample's arrival to the incident being durable, while 100,000 samples a second come in",
    run,
};

/// Samples a second that are to come in.
const RATE: f64 = 100_000.0;
/// Units that fail, a host and hour; of a thousand hosts ten a second.
const FAILURES: &str = "36";
const UNIT_DOWN: &str = "groups:
  - name: latency
    rules:
      - alert: UnitDown
        expr: node_systemd_unit_state{state=\"failed\"} == 1
        incident: {key: [instance, name]}
";
const HISTOGRAM: &str = "watchkeep_alerts_durable_seconds";
const SETTLES: Duration = Duration::from_secs(20);

fn run(size: &Size) -> Result<Vec<Figure>> {
    let files = vec![rules::usual(), ("rules/latency.yaml".to_owned(), UNIT_DOWN.to_owned())];
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    // A host reports once a second at most.
    let interval = ((size.hosts * size.series) as f64 / RATE).max(1.0);
    let mut fleet = connected(&controller, size, interval, &["--fail", FAILURES, "--churn", "0"])?;
    std::thread::sleep(SETTLES);
    let first = Reading::take(&controller)?;
    let length = Duration::from_secs(60) * size.minutes;
    std::thread::sleep(length);
    fleet.ensure_runs()?;
    let last = Reading::take(&controller)?;
    let incidents = controller.all("/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed")?;
    drop(fleet.stop()?);
    let told = last.count(HISTOGRAM, &first)?;
    ensure!(told > 0.0 && !incidents.is_empty(), "{} incidents, {told} times alerts were told", incidents.len());
    let samples = last.of("watchkeep_samples_taken_total")? - first.of("watchkeep_samples_taken_total")?;
    let within = |share| anyhow::Ok(last.below(HISTOGRAM, &first, share)? * 1e3);
    let floor = floors::FSYNC.as_secs_f64() * 1e3;
    Ok(vec![
        Figure::new("samples came in", samples / length.as_secs_f64(), "samples/s"),
        Figure::new("alerts told, with their incidents", told, ""),
        Figure::new("half of them durable within", within(0.5)?, "ms").against(Target::at_most(5.0, 2.0)),
        Figure::new("99 % of them durable within", within(0.99)?, "ms").against(Target::at_most(50.0, 30.0)),
        Figure::new("half of them, over the floor", within(0.5)? / floor, "×"),
    ])
}
