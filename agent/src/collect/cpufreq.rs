//! How fast each core runs and may run, and how often it was slowed down for heat, from `/sys/devices/system/cpu`.
//! [Source: kernel, Documentation/admin-guide/pm/cpufreq.rst; arch/x86/kernel/cpu/mce/therm_throt.c]

use std::path::{Path, PathBuf};

use watchkeep_protocol::MetricKind::{Counter, Gauge};

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

const KILO: f64 = 1_000.0;

const fn gauge(name: &'static str, help: &'static str) -> Family<'static> {
    Family { name, kind: Gauge, help }
}

/// File of `cpufreq` (in kHz) and its family.
const FREQUENCIES: [(&str, Family<'_>); 6] = [
    ("cpuinfo_cur_freq", gauge("node_cpu_frequency_hertz", "Current cpu thread frequency in hertz.")),
    ("cpuinfo_min_freq", gauge("node_cpu_frequency_min_hertz", "Minimum cpu thread frequency in hertz.")),
    ("cpuinfo_max_freq", gauge("node_cpu_frequency_max_hertz", "Maximum cpu thread frequency in hertz.")),
    ("scaling_cur_freq", gauge("node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz.")),
    (
        "scaling_min_freq",
        gauge("node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."),
    ),
    (
        "scaling_max_freq",
        gauge("node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."),
    ),
];
const CORE_THROTTLES: Family<'_> = Family {
    name: "node_cpu_core_throttles_total",
    kind: Counter,
    help: "Number of times this CPU core has been throttled.",
};
const PACKAGE_THROTTLES: Family<'_> = Family {
    name: "node_cpu_package_throttles_total",
    kind: Counter,
    help: "Number of times this CPU package has been throttled.",
};

/// `node_cpu_frequency_*` and `node_cpu_scaling_*`.
pub struct Frequency {
    cores: Folder<Core>,
}

struct Core {
    folder: PathBuf,
    number: String,
    files: [Attribute; FREQUENCIES.len()],
}

/// `node_cpu_core_throttles_total` and `node_cpu_package_throttles_total`.
pub struct Throttle {
    threads: Folder<Thread>,
}

struct Thread {
    folder: PathBuf,
    core: String,
    package: String,
    counts: [Attribute; 2],
}

impl Frequency {
    pub fn new(root: &Root) -> Self {
        Self { cores: Folder::seldom(root.join("sys/devices/system/cpu")) }
    }
}

impl Throttle {
    pub fn new(root: &Root) -> Self {
        Self { threads: Folder::seldom(root.join("sys/devices/system/cpu")) }
    }
}

/// `cpu12` is core 12; `cpufreq` and `cpuidle` are none.
fn number_of(name: &str) -> Option<&str> {
    name.strip_prefix("cpu").filter(|number| number.parse::<u32>().is_ok())
}

impl Sparse for Frequency {
    fn name(&self) -> &'static str {
        "cpufreq"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let cores = self.cores.look(|folder, name| {
            let number = number_of(name)?.to_owned();
            let folder = folder.join("cpufreq");
            folder.is_dir().then(|| Core { folder, number, files: Default::default() })
        })?;
        for (place, (file, family)) in FREQUENCIES.into_iter().enumerate() {
            for (_, Core { folder, number, files }) in cores.iter_mut() {
                if let Some(kilohertz) = files[place].number(folder, file) {
                    families.set(family, &[("cpu", number)], kilohertz * KILO);
                }
            }
        }
        Ok(())
    }
}

impl Thread {
    fn open(folder: &Path) -> Option<Self> {
        let says = |file: &str| Some(Attribute::once(folder, file)?.text().to_owned());
        let (core, package) = (says("topology/core_id")?, says("topology/physical_package_id")?);
        let folder = folder.join("thermal_throttle");
        folder.is_dir().then(|| Self { folder, core, package, counts: Default::default() })
    }
}

impl Sparse for Throttle {
    fn name(&self) -> &'static str {
        "cpu_throttle"
    }

    /// Threads of a core, and cores of a package, share one counter; the last one says it.
    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let threads = self.threads.look(|folder, name| number_of(name).and_then(|_| Thread::open(folder)))?;
        for (_, Thread { folder, core, package, counts: [count, _] }) in threads.iter_mut() {
            if let Some(times) = count.number(folder, "core_throttle_count") {
                families.set(CORE_THROTTLES, &[("core", core), ("package", package)], times);
            }
        }
        for (_, Thread { folder, package, counts: [_, count], .. }) in threads {
            if let Some(times) = count.number(folder, "package_throttle_count") {
                families.set(PACKAGE_THROTTLES, &[("package", package)], times);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn a_core_has_its_speeds_and_threads_share_their_core_s_count() {
        let files = TempFiles::new();
        for (path, text) in [
            ("cpu0/cpufreq/scaling_cur_freq", "1800000\n"),
            ("cpu0/cpufreq/cpuinfo_cur_freq", "<unknown>\n"),
            ("cpu1/topology/core_id", "0\n"),
            ("cpu1/topology/physical_package_id", "0\n"),
            ("cpu1/thermal_throttle/core_throttle_count", "4\n"),
            ("cpu1/thermal_throttle/package_throttle_count", "9\n"),
            ("cpu9/topology/core_id", "0\n"),
            ("cpu9/topology/physical_package_id", "0\n"),
            ("cpu9/thermal_throttle/core_throttle_count", "4\n"),
            ("cpufreq/cpufreq/scaling_cur_freq", "1\n"),
        ] {
            files.write(&format!("sys/devices/system/cpu/{path}"), text);
        }
        let frequency = SparseStage::of(Frequency::new(&files.root())).read().lines();
        assert_eq!(frequency, ["node_cpu_scaling_frequency_hertz{cpu=\"0\"} 1800000000"]);
        let throttle = SparseStage::of(Throttle::new(&files.root())).read().lines();
        assert_eq!(
            throttle,
            [
                "node_cpu_core_throttles_total{core=\"0\",package=\"0\"} 4",
                "node_cpu_package_throttles_total{package=\"0\"} 9"
            ]
        );
    }
}
