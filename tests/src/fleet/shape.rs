//! What a host measures: blocks under node_exporter's names, as large as a real host's, whose values move.

use std::collections::BTreeMap;

use watchkeep_protocol::layout::{Instance, Row, Template};
use watchkeep_protocol::{Block, Metric, MetricKind};

use super::system;
use crate::chance::Chance;

/// Series of the blocks other than units: 4 × 8 + 8 + 4 × 6 + 3 × 7 + 3 × 8, and what there is once.
const WITHOUT_UNITS: usize = 109 + system::SYSTEM.len();
const STATES: [&str; 5] = ["activating", "active", "deactivating", "failed", "inactive"];
const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const MEMORY: [&str; 8] = [
    "node_memory_MemTotal_bytes",
    "node_memory_MemFree_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_Buffers_bytes",
    "node_memory_Cached_bytes",
    "node_memory_SwapTotal_bytes",
    "node_memory_SwapFree_bytes",
    "node_memory_Dirty_bytes",
];
const FILESYSTEM: [&str; 6] = [
    "node_filesystem_size_bytes",
    "node_filesystem_free_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_files",
    "node_filesystem_files_free",
    "node_filesystem_readonly",
];
const DISK: [&str; 7] = [
    "node_disk_reads_completed_total",
    "node_disk_read_bytes_total",
    "node_disk_read_time_seconds_total",
    "node_disk_writes_completed_total",
    "node_disk_written_bytes_total",
    "node_disk_write_time_seconds_total",
    "node_disk_io_time_seconds_total",
];
const NETWORK: [&str; 8] = [
    "node_network_receive_bytes_total",
    "node_network_receive_packets_total",
    "node_network_receive_errs_total",
    "node_network_receive_drop_total",
    "node_network_transmit_bytes_total",
    "node_network_transmit_packets_total",
    "node_network_transmit_errs_total",
    "node_network_transmit_drop_total",
];
/// Blocks in their order.
const NETWORK_BLOCK: usize = 4;
const UNITS_BLOCK: usize = 5;
const SYSTEM_BLOCK: usize = 6;
/// Interfaces of containers that come and go, at most.
const CONTAINERS: usize = 8;

/// A host's blocks and their values of now.
#[derive(Clone, Debug)]
pub struct Shape {
    blocks: Vec<Block>,
    values: Vec<Vec<f64>>,
    chance: Chance,
    /// Numbers the interfaces of containers.
    containers: u64,
}

impl Shape {
    /// A host with these units, which booted at that instant, seconds since 1970.
    pub fn new(units: &[String], booted: f64, mut chance: Chance) -> Self {
        let blocks = vec![
            block("cpu", moded("node_cpu_seconds_total"), &["cpu"], (0..4).map(|cpu| vec![cpu.to_string()])),
            block("memory", plain(&MEMORY), &[], std::iter::once(Vec::new())),
            block("filesystem", plain(&FILESYSTEM), &["device", "fstype", "mountpoint"], mounts().into_iter()),
            block(
                "disk",
                plain(&DISK),
                &["device"],
                ["sda", "sdb", "dm-0"].map(|device| vec![device.to_owned()]).into_iter(),
            ),
            block(
                "network",
                plain(&NETWORK),
                &["device"],
                ["eth0", "eth1", "lo"].map(|device| vec![device.to_owned()]).into_iter(),
            ),
            block(
                "systemd",
                stated(),
                &["name", "type"],
                units.iter().map(|unit| vec![unit.clone(), "simple".to_owned()]),
            ),
            system::block(),
        ];
        let mut values: Vec<Vec<f64>> = blocks.iter().map(|block| first_values(block, &mut chance)).collect();
        values[SYSTEM_BLOCK] = system::first_values(booted);
        Self { blocks, values, chance, containers: 0 }
    }

    /// How many units a host of so many series has.
    pub fn units_of(series: usize) -> usize {
        series.saturating_sub(WITHOUT_UNITS).div_ceil(STATES.len()).max(1)
    }

    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub fn series(&self) -> usize {
        self.values.iter().map(Vec::len).sum()
    }

    /// Time has passed: counters rose, gauges moved, each as its like does on a host that is at work and well.
    pub fn advance(&mut self, seconds: f64) {
        for (block, values) in self.blocks.iter().zip(&mut self.values).take(UNITS_BLOCK) {
            let metrics = block.template.metrics.iter().cycle();
            for (metric, value) in metrics.zip(values) {
                let drawn = self.chance.below(1_000) as f64 / 1_000.0;
                *value = moved(metric, *value, drawn, seconds);
            }
        }
        system::advance(&mut self.values[SYSTEM_BLOCK], seconds);
    }

    /// A container's interface comes, or the oldest goes.
    pub fn churn(&mut self) {
        let columns = NETWORK.len();
        let block = &mut self.blocks[NETWORK_BLOCK];
        let there = block.instances.len() - 3;
        if there >= CONTAINERS || (there > 0 && self.chance.below(2) == 0) {
            block.instances.remove(3);
            self.values[NETWORK_BLOCK].drain(3 * columns..4 * columns);
        } else {
            self.containers += 1;
            block.instances.push(Instance { values: vec![format!("veth{:x}", self.containers)] });
            self.values[NETWORK_BLOCK].extend(std::iter::repeat_n(0.0, columns));
        }
    }

    /// The unit with this number is in this state now.
    pub fn set_unit(&mut self, unit: usize, state: &str) {
        let columns = STATES.len();
        let of_unit = self.values[UNITS_BLOCK].iter_mut().skip(unit * columns).take(columns);
        of_unit.zip(STATES).for_each(|(value, word)| *value = f64::from(u8::from(word == state)));
    }

    pub fn rows(&self) -> Vec<Row> {
        let row = |(block, values): (usize, &Vec<f64>)| Row {
            block: u32::try_from(block).unwrap_or(0),
            values: values.clone(),
            flags: Vec::new(),
        };
        self.values.iter().enumerate().map(row).collect()
    }
}

/// A value `seconds` later; `drawn` is chance, in 0..1.
fn moved(metric: &Metric, value: f64, drawn: f64, seconds: f64) -> f64 {
    let name = metric.name.as_str();
    let rises = |a_second: f64, unit: f64| value + (drawn * 2.0 * a_second * seconds / unit).round() * unit;
    match metric.labels.get("mode").map(String::as_str) {
        Some("idle") => return value + ((0.9 + drawn / 20.0) * seconds * 100.0).round() / 100.0,
        Some("user" | "system" | "iowait") => return rises(0.02, 0.01),
        Some(_) => return value,
        None => {}
    }
    match name {
        _ if name.ends_with("_errs_total") || name.ends_with("_drop_total") => value,
        _ if name.ends_with("_bytes_total") => rises(20_000.0, if name.contains("_disk_") { 512.0 } else { 1.0 }),
        _ if name.ends_with("_time_seconds_total") => rises(0.01, 0.001),
        _ if name.ends_with("_total") => rises(40.0, 1.0),
        _ if name.ends_with("Total_bytes") || name.ends_with("_size_bytes") || name.ends_with("_files") => value,
        _ if value > 2.0 => (value * (0.999 + drawn * 0.002) / 4_096.0).round() * 4_096.0,
        _ => value,
    }
}

fn mounts() -> Vec<Vec<String>> {
    let mount = |device: &str, kind: &str, at: &str| vec![device.to_owned(), kind.to_owned(), at.to_owned()];
    vec![
        mount("/dev/sda1", "ext4", "/"),
        mount("/dev/sda2", "ext4", "/var"),
        mount("/dev/dm-0", "xfs", "/srv"),
        mount("tmpfs", "tmpfs", "/run"),
    ]
}

fn block(
    collector: &str,
    metrics: Vec<Metric>,
    labels: &[&str],
    instances: impl Iterator<Item = Vec<String>>,
) -> Block {
    let instance_labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let template = Template { collector: collector.to_owned(), metrics, instance_labels };
    Block { template, instances: instances.map(|values| Instance { values }).collect() }
}

fn plain(names: &[&str]) -> Vec<Metric> {
    names.iter().map(|name| metric(name, &[])).collect()
}

fn moded(name: &str) -> Vec<Metric> {
    MODES.iter().map(|mode| metric(name, &[("mode", mode)])).collect()
}

fn stated() -> Vec<Metric> {
    STATES.iter().map(|state| metric("node_systemd_unit_state", &[("state", state)])).collect()
}

fn metric(name: &str, labels: &[(&str, &str)]) -> Metric {
    let kind = if name.ends_with("_total") { MetricKind::Counter } else { MetricKind::Gauge };
    let labels: BTreeMap<_, _> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Metric { name: name.to_owned(), labels, kind: kind as i32, help: String::new() }
}

fn first_values(block: &Block, chance: &mut Chance) -> Vec<f64> {
    let of_instance = |_| {
        let of_metric = |metric: &Metric| match metric.name.as_str() {
            "node_systemd_unit_state" => f64::from(u8::from(metric.labels["state"] == "active")),
            "node_filesystem_readonly" => 0.0,
            name if name.ends_with("_errs_total") || name.ends_with("_drop_total") => 0.0,
            name if name.ends_with("_total") => chance.below(1_000_000) as f64,
            _ => (1_u64 << 33) as f64 + chance.below(1 << 32) as f64,
        };
        block.template.metrics.iter().map(of_metric).collect::<Vec<_>>()
    };
    block.instances.iter().flat_map(of_instance).collect()
}

#[cfg(test)]
mod tests {
    use watchkeep_protocol::{Check as _, Layout, Report};

    use super::*;

    fn shape() -> Shape {
        let units: Vec<String> = (0..Shape::units_of(300)).map(|unit| format!("unit-{unit}.service")).collect();
        Shape::new(&units, 1.78e9, Chance::of(7))
    }

    #[test]
    fn a_shape_is_a_layout_with_its_report_whatever_comes_and_goes() {
        let mut shape = shape();
        assert!((295..=305).contains(&shape.series()), "{} series", shape.series());
        for _ in 0..200 {
            shape.churn();
            shape.advance(15.0);
            let layout = Layout::whole(shape.blocks().to_vec());
            layout.check().expect("a layout");
            let (spool, layout_id) = (vec![7; 16], layout.id.clone());
            let report = Report { spool, at_ms: 1, layout: layout_id, rows: shape.rows(), ..Report::default() };
            report.check().expect("a report");
            report.check_against(&layout.blocks).expect("a report of this layout");
        }
    }

    #[test]
    fn counters_rise_and_a_unit_is_in_one_state() {
        let mut shape = shape();
        let before = shape.rows();
        let faults = |rows: &[Row]| {
            let columns = rows[NETWORK_BLOCK].values.iter().zip(NETWORK.iter().cycle());
            let faults = columns.filter(|(_, name)| name.contains("_errs_") || name.contains("_drop_"));
            faults.map(|(value, _)| *value).collect::<Vec<_>>()
        };
        shape.advance(15.0);
        shape.set_unit(2, "failed");
        let after = shape.rows();
        assert!(before[0].values.iter().zip(&after[0].values).all(|(before, after)| after >= before));
        assert!(before[4].values.iter().zip(&after[4].values).any(|(before, after)| after > before));
        assert_eq!((faults(&before), faults(&after)), (vec![0.0; 12], vec![0.0; 12]), "its network is well");
        assert_eq!(after[UNITS_BLOCK].values[10..15], [0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
