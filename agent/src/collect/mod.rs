//! Metrics under node_exporter's names, labels and units, read straight into the rows that travel.
//!
//! One collector a file, with its parser and its tests; [`list`] and [`sparse_list`] are the lists of them. A collector of
//! what every host has fills one block:
//! for each instance that it sees it asks its [`Table`] for a row and sets the columns that it could read. The table does
//! the rest: what was not set is flagged failed, an instance that was not seen again is flagged ended once and then
//! leaves the layout. What only some hosts have comes in [`families`], which are in the layout where they are on the host.
//! No sample costs an allocation: files stay open, buffers and rows are used again.
//!
//! Reading never waits for a filesystem that hangs (see [`filesystem`]); all else that is read lives in memory of the
//! kernel. The sysinfo crate is not used: for each of these metrics it offers fewer fields, hides which could not be
//! read, or calls `statvfs` on the caller's thread.

mod arp;
mod bonding;
mod btrfs;
mod clocksource;
mod conntrack;
mod conntrack_stat;
mod cpu;
mod cpufreq;
mod disk;
mod disk_info;
mod dmi;
mod edac;
mod entropy;
mod families;
mod filefd;
pub(crate) mod filesystem;
mod hwmon;
mod load;
mod mdadm;
mod memory;
mod netclass;
mod netdev;
mod netstat;
mod nfs;
mod nfs_procedures;
mod numbers;
mod nvme;
mod own;
mod power_supply;
mod pressure;
mod proc_text;
mod processes;
mod rapl;
mod schedstat;
mod selinux;
mod sockstat;
mod softnet;
mod stat;
mod success;
mod sysfs;
mod system;
mod systemd;
mod table;
#[cfg(test)]
mod testing;
mod text;
mod thermal;
mod timex;
mod udp_queues;
mod vmstat;
mod xfs;
mod zfs;
mod zone;
mod zone_rule;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use watchkeep_protocol::layout::{Block, Instance, Row, Template};
use watchkeep_protocol::{Layout, Metric, MetricKind};

use crate::config::CollectConfig;
use crate::observe::Units;
use crate::root::Root;
use families::{Families, Kept, Sparse};
use table::{Marks, Table};

pub use text::exposition;

/// What the agent's spool holds, as the runtime knows it; a part of what the agent reports of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolFigures {
    /// On disk, both streams.
    pub bytes: u64,
    /// Not yet acknowledged.
    pub matters: u64,
    /// Not yet sealed.
    pub reports: u64,
}

/// One reading of all collectors, in the shape that travels.
///
/// `rows[n]` belongs to `blocks[n]` and names it; its values are `instances × metrics`, its flags are empty where all was
/// read, else one [`watchkeep_protocol::layout::Flag`] a value. A row of a block without instances is empty.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub blocks: Vec<Block>,
    /// [`Layout::content_id`] of `blocks`.
    pub layout: [u8; 32],
    /// Whether `layout` is another than that of the reading before; true for the first.
    pub layout_changed: bool,
    pub rows: Vec<Row>,
}

/// Why a collector brought nothing. What it had brought before stays in the layout, flagged failed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error("read \"{}\"", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}:{line}: {found}", path.display())]
    Unexpected { path: PathBuf, line: usize, found: String },
    #[error("{0}")]
    Unavailable(String),
}

/// Readings for which a collector of what is not there is left alone: what is plugged in may be seen so much later.
const ABSENT_RESTS: u32 = 11;

/// What a collector is handed with each reading.
struct Given<'a> {
    units: &'a Mutex<Units>,
    spool: SpoolFigures,
    /// How the collectors before this one fared.
    outcomes: &'a [Outcome],
    /// Threads that hang in the kernel.
    stuck_threads: usize,
}

/// How a collector fared in one reading.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    collector: &'static str,
    read: bool,
    took: Duration,
}

/// Fills one block.
trait Collector: Send {
    /// Asked once, at the start.
    fn template(&self) -> Template;

    fn read(&mut self, given: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError>;

    /// Threads of this collector that hang in the kernel.
    fn stuck_threads(&self) -> usize {
        0
    }
}

/// What is looked for on every host and brings series where it is there.
fn sparse_list(root: &Root) -> Vec<Box<dyn Sparse>> {
    vec![
        Box::new(bonding::Bonding::new(root)),
        Box::new(btrfs::Btrfs::new(root)),
        Box::new(clocksource::Clocksource::new(root)),
        Box::new(cpufreq::Frequency::new(root)),
        Box::new(cpufreq::Throttle::new(root)),
        Box::new(disk_info::DiskInfo::new(root)),
        Box::new(dmi::Dmi::new(root)),
        Box::new(edac::Edac::new(root)),
        Box::new(hwmon::Hwmon::new(root)),
        Box::new(mdadm::Mdadm::new(root)),
        Box::new(nfs::Nfs::client(root)),
        Box::new(nfs::Nfs::server(root)),
        Box::new(nvme::Nvme::new(root)),
        Box::new(power_supply::PowerSupply::new(root)),
        Box::new(processes::Processes::new(root)),
        Box::new(rapl::Rapl::new(root)),
        Box::new(selinux::Selinux::new(root)),
        Box::new(thermal::Thermal::new(root)),
        Box::new(xfs::Xfs::new(root)),
        Box::new(zfs::Zfs::new(root)),
        Box::new(zone::Zone::new(root)),
    ]
}

/// What every host has. `success` and `own` tell of the others and come last.
fn list(root: &Root, config: &CollectConfig) -> Vec<Box<dyn Collector>> {
    vec![
        Box::new(cpu::Cpu::new(root)),
        Box::new(memory::Memory::new(root)),
        Box::new(disk::Disk::new(root)),
        Box::new(filesystem::Filesystem::new(root, &config.filesystem)),
        Box::new(load::collector(root)),
        Box::new(stat::collector(root)),
        Box::new(vmstat::collector(root)),
        Box::new(pressure::collector(root)),
        Box::new(netdev::NetDev::new(root)),
        Box::new(netclass::NetClass::new(root)),
        Box::new(netclass::NetInfo::new(root)),
        Box::new(netstat::collector(root)),
        Box::new(sockstat::collector(root)),
        Box::new(filefd::collector(root)),
        Box::new(conntrack::collector(root)),
        Box::new(conntrack_stat::collector(root)),
        Box::new(arp::Arp::new(root)),
        Box::new(entropy::collector(root)),
        Box::new(schedstat::Schedstat::new(root)),
        Box::new(softnet::Softnet::new(root)),
        Box::new(udp_queues::UdpQueues::new(root)),
        Box::new(system::Uname),
        Box::new(system::Os::new(root)),
        Box::new(system::OsVersion::new(root)),
        Box::new(system::Time),
        Box::new(timex::TimexOfKernel),
        Box::new(systemd::UnitState),
        Box::new(systemd::SystemRunning),
        Box::new(success::Success),
        Box::new(own::Own::new(root)),
    ]
}

/// All collectors with what they keep between readings. Reading blocks for as long as a few small files of the kernel take.
pub struct Collectors {
    list: Vec<Member>,
    sparse: Vec<Scout>,
    kept: Kept,
    reading: Reading,
    units: Arc<Mutex<Units>>,
    outcomes: Vec<Outcome>,
}

/// A collector of what this host may not have.
struct Scout {
    collector: Box<dyn Sparse>,
    telling: Telling,
    /// Readings in which it is not asked again, as there was nothing of it.
    rests: u32,
}

struct Member {
    collector: Box<dyn Collector>,
    marks: Marks,
    telling: Telling,
}

/// What the log is told of a collector.
struct Telling {
    name: &'static str,
    /// Whether the last reading failed, so that the log says it once.
    failing: bool,
    /// Whether the host has nothing of it.
    is_absent: bool,
}

impl Collectors {
    /// Opens nothing yet; `units` is what [`crate::observe`] keeps true.
    pub fn new(root: &Root, config: &CollectConfig, units: Arc<Mutex<Units>>) -> Self {
        let (mut members, mut reading) = (Vec::new(), Reading::default());
        for (place, collector) in (0..).zip(list(root, config)) {
            let template = collector.template();
            let name = NAMES.iter().find(|name| **name == template.collector).copied().unwrap_or_default();
            reading.blocks.push(Block { template, instances: Vec::new() });
            reading.rows.push(Row { block: place, values: Vec::new(), flags: Vec::new() });
            members.push(Member { collector, marks: Marks::default(), telling: Telling::of(name) });
        }
        let sparse = sparse_list(root).into_iter().map(|collector| {
            let telling = Telling::of(collector.name());
            Scout { collector, telling, rests: 0 }
        });
        Self { list: members, sparse: sparse.collect(), kept: Kept::default(), reading, units, outcomes: Vec::new() }
    }

    /// Reads everything once. The reading is valid until the next; rows may be taken out with `mem::take` at the price of
    /// allocating them anew.
    pub fn read(&mut self, spool: SpoolFigures) -> &Reading {
        self.outcomes.clear();
        let is_first = self.reading.layout == [0; 32];
        let mut changed = is_first;
        changed |= self.read_sparse();
        changed |= self.read_list(spool);
        self.reading.layout_changed = changed;
        if changed {
            self.reading.layout = Layout::content_id(&self.reading.blocks);
        }
        if is_first {
            self.tell_absent();
        }
        &self.reading
    }

    fn read_sparse(&mut self) -> bool {
        let mut changed = false;
        for Scout { collector, telling, rests } in &mut self.sparse {
            if *rests > 0 {
                *rests -= 1;
                self.outcomes.push(Outcome { collector: telling.name, read: false, took: Duration::ZERO });
                continue;
            }
            let begun = Instant::now();
            let mut families = Families::begin(telling.name, &mut self.reading, &mut self.kept);
            let read = collector.read(&mut families);
            changed |= families.end(read.is_err());
            self.outcomes.push(Outcome { collector: telling.name, read: read.is_ok(), took: begun.elapsed() });
            telling.tell(read);
            // What it brought before is flagged with each reading.
            if telling.is_absent && !self.kept.has(telling.name) {
                *rests = ABSENT_RESTS;
            }
        }
        changed
    }

    /// One line for all that this host has nothing of.
    fn tell_absent(&self) {
        let all = self.sparse.iter().map(|scout| &scout.telling).chain(self.list.iter().map(|member| &member.telling));
        let absent: Vec<&str> = all.filter(|telling| telling.is_absent).map(|telling| telling.name).collect();
        if !absent.is_empty() {
            tracing::info!("this host has nothing for these collectors: {}", absent.join(", "));
        }
    }

    fn read_list(&mut self, spool: SpoolFigures) -> bool {
        let mut changed = false;
        let stuck_threads = self.list.iter().map(|member| member.collector.stuck_threads()).sum();
        for (place, Member { collector, marks, telling }) in self.list.iter_mut().enumerate() {
            let given = Given { units: &self.units, spool, outcomes: &self.outcomes, stuck_threads };
            let (block, row) = (&mut self.reading.blocks[place], &mut self.reading.rows[place]);
            changed |= Table::of(block, row, marks).begin();
            let mut table = Table::of(block, row, marks);
            let begun = Instant::now();
            let read = collector.read(&given, &mut table);
            if read.is_err() {
                table.fail();
            }
            changed |= table.changed();
            table.end();
            self.outcomes.push(Outcome { collector: telling.name, read: read.is_ok(), took: begun.elapsed() });
            telling.tell(read);
        }
        changed
    }
}

impl Telling {
    fn of(name: &'static str) -> Self {
        Self { name, failing: false, is_absent: false }
    }

    /// Says once that a collector fails, and once that it reads again.
    fn tell(&mut self, read: Result<(), CollectError>) {
        let failed_before = std::mem::replace(&mut self.failing, read.is_err());
        self.is_absent = matches!(read, Err(CollectError::Unavailable(_)));
        match read {
            Err(CollectError::Unavailable(why)) if !failed_before => {
                tracing::debug!(collector = self.name, "nothing to collect: {why}");
            }
            Err(fault) if !failed_before => {
                tracing::warn!(collector = self.name, fault = &fault as &dyn std::error::Error, "collector failed");
            }
            Ok(()) if failed_before => tracing::info!(collector = self.name, "collector reads again"),
            _ => {}
        }
    }
}

/// The collectors' names, as they stand in templates and in `node_scrape_collector_success`.
const NAMES: [&str; 30] = [
    "cpu",
    "meminfo",
    "diskstats",
    "filesystem",
    "loadavg",
    "stat",
    "vmstat",
    "pressure",
    "netdev",
    "netclass",
    "netinfo",
    "netstat",
    "sockstat",
    "filefd",
    "conntrack",
    "conntrack_stat",
    "arp",
    "entropy",
    "schedstat",
    "softnet",
    "udp_queues",
    "uname",
    "os",
    "os_version",
    "time",
    "timex",
    "systemd",
    "systemd_system",
    "success",
    "agent",
];

/// A template; `columns` are (name, label that is the same for every instance, kind, help).
fn template(collector: &str, instance_labels: &[&str], columns: Vec<Metric>) -> Template {
    Template {
        collector: collector.to_owned(),
        metrics: columns,
        instance_labels: instance_labels.iter().map(|label| (*label).to_owned()).collect(),
    }
}

/// One column.
fn metric(name: &str, labels: &[(&str, &str)], kind: MetricKind, help: &str) -> Metric {
    Metric {
        name: name.to_owned(),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        kind: kind as i32,
        help: help.to_owned(),
    }
}

/// Whether an instance has exactly these label values.
fn is_instance(instance: &Instance, labels: &[&str]) -> bool {
    instance.values.len() == labels.len() && instance.values.iter().zip(labels).all(|(have, want)| have == want)
}

#[cfg(test)]
mod tests {
    use super::testing::{TempFiles, fixture_root};
    use super::*;

    fn collectors(root: &Root) -> Collectors {
        Collectors::new(root, &CollectConfig::default(), Arc::default())
    }

    #[test]
    fn every_collector_has_its_name_and_its_own_block() {
        let collectors = collectors(&fixture_root("debian12"));
        let names: Vec<&str> = collectors.list.iter().map(|member| member.telling.name).collect();
        assert_eq!(names, NAMES);
        let of_templates: Vec<&str> =
            collectors.reading.blocks.iter().map(|block| block.template.collector.as_str()).collect();
        assert_eq!(of_templates, NAMES);
    }

    #[test]
    fn a_reading_is_what_travels() {
        let mut collectors = collectors(&fixture_root("debian12"));
        let first = collectors.read(SpoolFigures::default()).clone();
        assert!(first.layout_changed);
        assert_eq!(first.layout, Layout::content_id(&first.blocks));
        for (place, (block, row)) in first.blocks.iter().zip(&first.rows).enumerate() {
            assert_eq!(row.block as usize, place);
            assert_eq!(row.values.len(), block.instances.len() * block.template.metrics.len());
            assert!(row.flags.is_empty() || row.flags.len() == row.values.len());
        }
        let second = collectors.read(SpoolFigures::default());
        assert!(!second.layout_changed);
        assert_eq!(second.layout, first.layout);
    }

    #[test]
    fn a_collector_that_fails_is_told_and_holds_up_no_other() {
        let files = TempFiles::new();
        files.write("proc/meminfo", "MemTotal: 10 kB\n");
        let mut collectors = collectors(&files.root());
        let reading = collectors.read(SpoolFigures::default());
        let success = |name: &str| {
            let mut samples = text::samples(reading).into_iter();
            let found = samples.find(|(metric, labels, _)| {
                metric.name == "node_scrape_collector_success" && labels.get("collector") == Some(&name)
            });
            found.map(|(.., value)| value)
        };
        assert_eq!((success("cpu"), success("meminfo"), success("systemd")), (Some(0.0), Some(1.0), Some(0.0)));
    }

    #[test]
    fn what_is_not_there_is_looked_for_now_and_then_and_what_is_there_each_time() {
        let files = TempFiles::new();
        let mut collectors = collectors(&files.root());
        let mut value = |name: &str| {
            let reading = collectors.read(SpoolFigures::default());
            let mut samples = text::samples(reading).into_iter();
            samples.find(|(metric, ..)| metric.name == name).map(|(.., value)| value)
        };
        assert_eq!(value("node_md_disks_required"), None);
        files.write("proc/mdstat", "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n      248896 blocks [2/2] [UU]\n\nunused devices: <none>\n");
        let came_with = (1..=20).find(|_| value("node_md_disks_required").is_some());
        assert_eq!(came_with, Some(ABSENT_RESTS + 1));
        files.write("proc/mdstat", "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n      500000 blocks [2/2] [UU]\n\nunused devices: <none>\n");
        assert_eq!(value("node_md_blocks"), Some(500_000.0), "it is read with the next");
    }

    #[test]
    fn how_long_a_collector_took_is_told() {
        let mut collectors = collectors(&fixture_root("debian12"));
        let reading = collectors.read(SpoolFigures::default());
        let took = |name: &str| {
            let mut samples = text::samples(reading).into_iter();
            let found = samples.find(|(metric, labels, _)| {
                metric.name == "node_scrape_collector_duration_seconds" && labels.get("collector") == Some(&name)
            });
            found.map(|(.., value)| value).expect("is told")
        };
        assert!(took("meminfo") > 0.0 && took("meminfo") < 5.0, "{}", took("meminfo"));
        assert!(took("cpu") > 0.0);
    }
}
