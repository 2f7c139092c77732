//! What each service and container uses, from its control group, of version 2 or 1.
//!
//! Sources: the kernel's `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/`. Names and meanings are cAdvisor's: `id` is
//! the group's path, the working set is what is used without file cache that nobody looked at lately.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use watchkeep_protocol::MetricKind::{Counter, Gauge};

use super::{Look, Said};
use crate::root::Root;

/// Groups that are told, and folders that are looked into for them.
const GROUPS: usize = 500;
const FOLDERS: usize = 5_000;
const DEPTH: usize = 8;
/// What version 1 says where there is no limit, and a little below.
const NO_LIMIT: f64 = 9e18;

pub struct Cgroups {
    folder: PathBuf,
}

/// What was read of one group: metric, value. What a group has no file for is not there.
type Values = BTreeMap<&'static str, f64>;

const METRICS: [(&str, watchkeep_protocol::MetricKind, &str); 14] = [
    ("container_cpu_usage_seconds_total", Counter, "CPU time used."),
    ("container_cpu_user_seconds_total", Counter, "CPU time used in user mode."),
    ("container_cpu_system_seconds_total", Counter, "CPU time used in kernel mode."),
    ("container_cpu_cfs_periods_total", Counter, "Periods in which the CPU quota was looked at."),
    ("container_cpu_cfs_throttled_periods_total", Counter, "Periods in which the CPU quota was used up."),
    ("container_cpu_cfs_throttled_seconds_total", Counter, "Time for which it was throttled."),
    ("container_memory_usage_bytes", Gauge, "Memory used, file cache included."),
    ("container_memory_working_set_bytes", Gauge, "Memory used without inactive file cache."),
    ("container_memory_rss", Gauge, "Anonymous memory."),
    ("container_spec_memory_limit_bytes", Gauge, "The limit of memory; 0 without one."),
    ("container_oom_events_total", Counter, "Kills in it for want of memory."),
    ("container_threads", Gauge, "Processes and threads in it."),
    ("container_fs_reads_bytes_total", Counter, "Bytes read from disks."),
    ("container_fs_writes_bytes_total", Counter, "Bytes written to disks."),
];

impl Cgroups {
    pub fn new(root: &Root) -> Self {
        Self { folder: root.join("sys/fs/cgroup") }
    }

    fn values(&self, id: &str) -> Values {
        let mut values = Values::new();
        if is_v2(&self.folder) {
            v2(&self.folder.join(&id[1..]), &mut values);
        } else {
            v1(&self.folder, &id[1..], &mut values);
        }
        values
    }
}

impl Look for Cgroups {
    fn look(&mut self) -> Result<Vec<Said>, String> {
        // Of version 1 any hierarchy has the groups; systemd's own has all of them.
        let candidates = ["", "systemd", "memory", "cpu,cpuacct"];
        let base = if is_v2(&self.folder) { &candidates[..1] } else { &candidates[1..] };
        let base = base.iter().map(|name| self.folder.join(name)).find(|folder| folder.is_dir());
        let base = base.ok_or_else(|| format!("there are no control groups at \"{}\"", self.folder.display()))?;
        let (mut groups, mut left) = (Vec::new(), FOLDERS);
        find(&base, String::new(), DEPTH, &mut left, &mut groups);
        groups.sort_unstable();
        groups.truncate(GROUPS);
        let mut found = Vec::new();
        for id in groups {
            let values = self.values(&id);
            let labels = vec![("id".to_owned(), id)];
            for (name, kind, help) in METRICS {
                let Some(value) = values.get(name).copied() else { continue };
                found.push(Said { name, labels: labels.clone(), kind, help, value });
            }
        }
        Ok(found)
    }
}

fn is_v2(folder: &Path) -> bool {
    folder.join("cgroup.controllers").exists()
}

/// The groups of services and containers: the first on each way down that is no slice.
fn find(folder: &Path, id: String, depth: usize, left: &mut usize, groups: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if *left == 0 || depth == 0 || groups.len() >= 2 * GROUPS {
            return;
        }
        *left -= 1;
        let name = entry.file_name().to_string_lossy().into_owned();
        let below = format!("{id}/{name}");
        let is_group = [".service", ".scope"].iter().any(|ending| name.ends_with(ending)) || id == "/docker";
        if is_group {
            groups.push(below);
        } else if name.ends_with(".slice") || below == "/docker" {
            find(&entry.path(), below, depth - 1, left, groups);
        }
    }
}

fn number(folder: &Path, file: &str) -> Option<f64> {
    std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// `key value` lines.
fn keyed(folder: &Path, file: &str) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

fn put(values: &mut Values, name: &'static str, value: Option<f64>) {
    if let Some(value) = value {
        values.insert(name, value);
    }
}

fn v2(folder: &Path, values: &mut Values) {
    let cpu = keyed(folder, "cpu.stat");
    let seconds = |key: &str| cpu.get(key).map(|usec| usec / 1e6);
    put(values, "container_cpu_usage_seconds_total", seconds("usage_usec"));
    put(values, "container_cpu_user_seconds_total", seconds("user_usec"));
    put(values, "container_cpu_system_seconds_total", seconds("system_usec"));
    put(values, "container_cpu_cfs_periods_total", cpu.get("nr_periods").copied());
    put(values, "container_cpu_cfs_throttled_periods_total", cpu.get("nr_throttled").copied());
    put(values, "container_cpu_cfs_throttled_seconds_total", seconds("throttled_usec"));
    let usage = number(folder, "memory.current");
    let memory = keyed(folder, "memory.stat");
    put(values, "container_memory_usage_bytes", usage);
    let inactive = memory.get("inactive_file").copied().unwrap_or_default();
    put(values, "container_memory_working_set_bytes", usage.map(|usage| (usage - inactive).max(0.0)));
    put(values, "container_memory_rss", memory.get("anon").copied());
    // `max` is no number: no limit.
    let limit = usage.map(|_| number(folder, "memory.max").unwrap_or(0.0));
    put(values, "container_spec_memory_limit_bytes", limit);
    put(values, "container_oom_events_total", keyed(folder, "memory.events").get("oom_kill").copied());
    put(values, "container_threads", number(folder, "pids.current"));
    let io = std::fs::read_to_string(folder.join("io.stat")).ok();
    let sum = |key: &str| {
        let words = io.as_ref()?.split_ascii_whitespace();
        Some(words.filter_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse::<f64>().ok()).sum::<f64>())
    };
    put(values, "container_fs_reads_bytes_total", sum("rbytes"));
    put(values, "container_fs_writes_bytes_total", sum("wbytes"));
}

fn v1(base: &Path, id: &str, values: &mut Values) {
    let of = |controllers: &[&str]| {
        let folders = controllers.iter().map(|controller| base.join(controller).join(id));
        folders.into_iter().find(|folder| folder.is_dir()).unwrap_or_default()
    };
    let cpu = of(&["cpuacct", "cpu,cpuacct"]);
    put(values, "container_cpu_usage_seconds_total", number(&cpu, "cpuacct.usage").map(|ns| ns / 1e9));
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let modes = keyed(&cpu, "cpuacct.stat");
    put(values, "container_cpu_user_seconds_total", modes.get("user").map(|count| count / ticks));
    put(values, "container_cpu_system_seconds_total", modes.get("system").map(|count| count / ticks));
    let quota = keyed(&of(&["cpu", "cpu,cpuacct"]), "cpu.stat");
    put(values, "container_cpu_cfs_periods_total", quota.get("nr_periods").copied());
    put(values, "container_cpu_cfs_throttled_periods_total", quota.get("nr_throttled").copied());
    put(values, "container_cpu_cfs_throttled_seconds_total", quota.get("throttled_time").map(|ns| ns / 1e9));
    let folder = of(&["memory"]);
    let (usage, memory) = (number(&folder, "memory.usage_in_bytes"), keyed(&folder, "memory.stat"));
    put(values, "container_memory_usage_bytes", usage);
    let inactive = memory.get("total_inactive_file").copied().unwrap_or_default();
    put(values, "container_memory_working_set_bytes", usage.map(|usage| (usage - inactive).max(0.0)));
    put(values, "container_memory_rss", memory.get("total_rss").copied());
    let limit = number(&folder, "memory.limit_in_bytes").map(|limit| if limit >= NO_LIMIT { 0.0 } else { limit });
    put(values, "container_spec_memory_limit_bytes", limit);
    put(values, "container_oom_events_total", keyed(&folder, "memory.oom_control").get("oom_kill").copied());
    put(values, "container_threads", number(&of(&["pids"]), "pids.current"));
    let text = std::fs::read_to_string(of(&["blkio"]).join("blkio.throttle.io_service_bytes")).ok();
    let sum = |word: &str| {
        let lines = text.as_ref()?.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        let of_word = lines.filter(|words| words.len() == 3 && words[1] == word);
        Some(of_word.filter_map(|words| words[2].parse::<f64>().ok()).sum::<f64>())
    };
    put(values, "container_fs_reads_bytes_total", sum("Read"));
    put(values, "container_fs_writes_bytes_total", sum("Write"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    /// What is said of a group, without the metrics' common beginning.
    fn read(files: &TempFiles, id: &str) -> BTreeMap<String, f64> {
        let all = Cgroups::new(&files.root()).look().expect("there are groups");
        let of_group = all.into_iter().filter(|said| said.labels == [("id".to_owned(), id.to_owned())]);
        of_group.map(|said| (said.name.trim_start_matches("container_").to_owned(), said.value)).collect()
    }

    fn expected(values: &[(&str, f64)]) -> BTreeMap<String, f64> {
        values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn a_service_s_usage_is_read_from_version_2() {
        let files = TempFiles::new();
        let at = "sys/fs/cgroup/system.slice/nginx.service";
        files.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
        for (file, text) in [
            (
                "cpu.stat",
                "usage_usec 2500000\nuser_usec 1500000\nsystem_usec 1000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 500000\n",
            ),
            ("memory.current", "10000\n"),
            ("memory.stat", "anon 6000\nfile 4000\ninactive_file 3000\n"),
            ("memory.max", "max\n"),
            ("memory.events", "low 0\noom 2\noom_kill 1\n"),
            ("pids.current", "5\n"),
            ("io.stat", "254:0 rbytes=100 wbytes=20 rios=1 wios=2\n8:0 rbytes=1 wbytes=2 rios=1 wios=1\n"),
        ] {
            files.write(&format!("{at}/{file}"), text);
        }
        files.write("sys/fs/cgroup/user.slice/user-1.slice/session-2.scope/pids.current", "2\n");
        files.write("sys/fs/cgroup/init.scope/pids.current", "1\n");
        files.write("sys/fs/cgroup/dev-mqueue.mount/pids.current", "1\n");
        let values = expected(&[
            ("cpu_usage_seconds_total", 2.5),
            ("cpu_user_seconds_total", 1.5),
            ("cpu_system_seconds_total", 1.0),
            ("cpu_cfs_periods_total", 10.0),
            ("cpu_cfs_throttled_periods_total", 4.0),
            ("cpu_cfs_throttled_seconds_total", 0.5),
            ("memory_usage_bytes", 10_000.0),
            ("memory_working_set_bytes", 7_000.0),
            ("memory_rss", 6_000.0),
            ("spec_memory_limit_bytes", 0.0),
            ("oom_events_total", 1.0),
            ("threads", 5.0),
            ("fs_reads_bytes_total", 101.0),
            ("fs_writes_bytes_total", 22.0),
        ]);
        assert_eq!(read(&files, "/system.slice/nginx.service"), values);
        let session = "/user.slice/user-1.slice/session-2.scope";
        assert_eq!(read(&files, session), expected(&[("threads", 2.0)]), "what has no file is no zero");
        assert_eq!(read(&files, "/init.scope").len(), 1);
        files.write(&format!("{at}/memory.max"), "20000\n");
        assert_eq!(read(&files, "/system.slice/nginx.service")["spec_memory_limit_bytes"], 20_000.0);
    }

    #[test]
    fn a_service_s_usage_is_read_from_version_1() {
        let files = TempFiles::new();
        let unit = "system.slice/nginx.service";
        for (controller, file, text) in [
            ("systemd", "tasks", "1\n"),
            ("cpu,cpuacct", "cpuacct.usage", "2500000000\n"),
            ("cpu,cpuacct", "cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 500000000\n"),
            ("memory", "memory.usage_in_bytes", "10000\n"),
            ("memory", "memory.stat", "total_rss 6000\ntotal_inactive_file 3000\n"),
            ("memory", "memory.limit_in_bytes", "9223372036854771712\n"),
            ("pids", "pids.current", "5\n"),
            ("blkio", "blkio.throttle.io_service_bytes", "8:0 Read 100\n8:0 Write 20\n254:0 Read 1\nTotal 121\n"),
        ] {
            files.write(&format!("sys/fs/cgroup/{controller}/{unit}/{file}"), text);
        }
        let found = read(&files, "/system.slice/nginx.service");
        for (name, value) in [
            ("cpu_usage_seconds_total", 2.5),
            ("cpu_cfs_throttled_seconds_total", 0.5),
            ("memory_working_set_bytes", 7_000.0),
            ("memory_rss", 6_000.0),
            ("spec_memory_limit_bytes", 0.0),
            ("threads", 5.0),
            ("fs_reads_bytes_total", 101.0),
            ("fs_writes_bytes_total", 20.0),
        ] {
            assert_eq!(found.get(name), Some(&value), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_host_without_control_groups_is_a_fault_with_its_place() {
        let fault = Cgroups::new(&TempFiles::new().root()).look().expect_err("there are none");
        assert!(fault.starts_with("there are no control groups at "), "{fault}");
    }
}
