//! Resident memory of a whole controller with its hosts, their last samples and sixty rules; of Prometheus and Alertmanager
//! with the same.

use std::time::Duration;

use anyhow::Result;

use super::fleet::connected;
use super::{Figure, Row, Size, Target, beside, rules};
use crate::reading::Reading;
use crate::{Controller, Setup};

pub const ROW: Row = Row {
    name: "whole",
    what: "resident memory of a controller after --reports reports of each host, of Prometheus and Alertmanager with the same",
    run,
};

const MIB: f64 = 1_048_576.0;

fn run(size: &Size) -> Result<Vec<Figure>> {
    let controller = Controller::start(Setup { files: vec![rules::usual()], ..Setup::default() })?;
    let alone = controller.process().resident_bytes()? as f64;
    let mut fleet = connected(&controller, size, size.interval, &["--churn", "0"])?;
    let arrived = controller.process().resident_bytes()? as f64;
    std::thread::sleep(Duration::from_secs_f64(size.interval * size.reports as f64));
    fleet.ensure_runs()?;
    let (reading, ours) = (Reading::take(&controller)?, controller.process().resident_bytes()? as f64);
    drop(fleet.stop()?);
    drop(controller);
    let theirs = beside::costs(size)?;
    Ok(vec![
        Figure::new("watchkeep, before any host came", alone / MIB, "MiB"),
        Figure::new("watchkeep, once all are connected", arrived / MIB, "MiB"),
        Figure::new("watchkeep, at the end", ours / MIB, "MiB"),
        Figure::new("of it samples", reading.of("watchkeep_samples_memory_bytes")? / MIB, "MiB"),
        Figure::new("prometheus and alertmanager", theirs.resident / MIB, "MiB"),
        Figure::new("memory, of theirs", ours / theirs.resident, "×").against(Target::at_most(1.0 / 3.0, 1.0 / 24.0)),
    ])
}
