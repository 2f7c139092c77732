//! node_exporter on this machine and we: what its default collectors say, we say under the same name, labels and type.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchkeep_agent::collect::{Collectors, SpoolFigures, exposition};
use watchkeep_agent::config::CollectConfig;
use watchkeep_agent::root::Root;

/// What it says and we do not, by the beginning of the series, and why.
const NOT_OURS: [(&str, &str); 4] = [
    ("node_exporter_", "about itself"),
    ("node_scrape_collector_", "our collectors are cut otherwise, and `systemd` and `schedstat` are not everywhere"),
    ("node_network_speed_bytes", "it gives -125000 for a speed of -1, which is none"),
    ("node_textfile_", "no folder of text files is looked at unless one is named"),
];

/// What we say and it does not, by the beginning of the series, and why.
const NOT_THEIRS: [(&str, &str); 4] = [
    ("node_network_", "Debian's leaves out `lo`"),
    ("node_filesystem_", "Debian's leaves out what is mounted below /mnt, /media and /run"),
    ("node_scrape_collector_", "as above"),
    ("node_processes_", "optional there"),
];

/// Ends with the test.
struct Exporter(Child, u16);

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Exporter {
    fn begin() -> Self {
        Self::begin_with(&[])
    }

    /// With further arguments.
    fn begin_with(arguments: &[String]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("is bound").port();
        drop(free);
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args(arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap_or_else(|fault| {
            panic!(
                "node_exporter cannot be run ({fault}); install prometheus-node-exporter, as tests/debian-packages says"
            )
        });
        Self(child, port)
    }

    /// Its text exposition, once it answers.
    fn scrape(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.try_scrape() {
                Ok(text) if text.contains("node_scrape_collector_success") => return text,
                other => assert!(Instant::now() < deadline, "node_exporter does not answer: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn try_scrape(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.1))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Each series of a text exposition without its value: name, and labels in order.
fn series(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| line.starts_with("node_"));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series).collect()
}

/// Each family's type.
fn types(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE node_")?.split_once(' ')).collect()
}

fn is_listed(list: &[(&str, &str)], series: &str) -> bool {
    list.iter().any(|(beginning, _)| series.starts_with(beginning))
}

/// What each says that the other does not, but for what is listed. Hosts of other tests come and go with their links and
/// mounts, so only what is there before and after counts.
fn differences(exporter: &Exporter, collectors: &mut Collectors) -> (Vec<String>, Vec<String>) {
    let mut ours = || exposition(collectors.read(SpoolFigures::default()));
    let (our_first, their_first, our_last, their_last) = (ours(), exporter.scrape(), ours(), exporter.scrape());
    let both = |first, last| &series(first) & &series(last);
    let any = |first, last| &series(first) | &series(last);
    let missing = &both(&their_first, &their_last) - &any(&our_first, &our_last);
    let extra = &both(&our_first, &our_last) - &any(&their_first, &their_last);
    let but = |list: &[(&str, &str)], all: BTreeSet<&str>| {
        all.into_iter().filter(|series| !is_listed(list, series)).map(str::to_owned).collect()
    };
    (but(&NOT_OURS, missing), but(&NOT_THEIRS, extra))
}

#[test]
fn what_node_exporter_says_of_this_machine_we_say_too_and_nothing_else_in_its_names() {
    let exporter = Exporter::begin();
    let mut collectors = Collectors::new(&Root::default(), &CollectConfig::default(), Arc::default());
    let compared = series(&exporter.scrape()).len();
    assert!(compared > 250, "only {compared} series are compared");
    let mut left = differences(&exporter, &mut collectors);
    for _ in 0..5 {
        if left == Default::default() {
            return;
        }
        left = differences(&exporter, &mut collectors);
    }
    panic!("node_exporter has them and we do not: {:#?}\nwe have them and it does not: {:#?}", left.0, left.1);
}

#[test]
fn a_family_has_the_type_that_node_exporter_gives_it() {
    let theirs = Exporter::begin().scrape();
    let mut collectors = Collectors::new(&Root::default(), &CollectConfig::default(), Arc::default());
    let ours = exposition(collectors.read(SpoolFigures::default()));
    let (theirs, ours) = (types(&theirs), types(&ours));
    let shared = theirs.iter().filter(|(name, _)| ours.contains_key(*name)).count();
    assert!(shared > 200, "only {shared} families are compared");
    let other = |(name, kind): &(&&str, &&str)| ours.get(**name).is_some_and(|ours| ours != *kind);
    let differing: Vec<_> = theirs.iter().filter(other).collect();
    assert!(differing.is_empty(), "node_exporter gives them these types and we do not: {differing:#?}");
}

/// Its collectors of hardware that this machine may not have; each reads the files of `fixtures/hardware.files`.
const OF_HARDWARE: [&str; 16] = [
    "bonding",
    "btrfs",
    "cpu",
    "cpufreq",
    "dmi",
    "edac",
    "hwmon",
    "mdadm",
    "nfs",
    "nfsd",
    "nvme",
    "powersupplyclass",
    "rapl",
    "thermal_zone",
    "xfs",
    "zfs",
];

/// Series of [`OF_HARDWARE`] that we do not say alike, by their beginning, and why.
const OTHERWISE: [(&str, &str); 6] = [
    (
        "node_nfsd_requests_total{method=\"Verify\"",
        "it counts the operations from 35 on two too low; RFC 7530, 16 numbers them",
    ),
    ("node_nfsd_requests_total{method=\"Write\",proto=\"4\"", "as above"),
    ("node_nfsd_requests_total{method=\"RelLockOwner\"", "as above"),
    ("node_nfsd_requests_total{method=\"SetClientID", "as above"),
    ("node_nfsd_requests_total{method=\"PutPubFH\"", "it leaves it out"),
    ("node_nfsd_requests_total{method=\"PutRootFH\"", "it leaves it out"),
];

/// The files of a host, from one text: `== path`, then what is in it, or `== path -> target` for a link.
fn unpack(text: &str, folder: &Path) {
    for file in text.split("\n== ").skip(1) {
        let (heading, content) = file.split_once('\n').unwrap_or((file, ""));
        let (path, target) = heading.split_once(" -> ").map_or((heading, None), |(path, target)| (path, Some(target)));
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("is made");
        match target {
            Some(target) => std::os::unix::fs::symlink(target, &path).expect("is linked"),
            None => std::fs::write(&path, content).expect("is written"),
        }
    }
}

/// Each series with its value, the folder that the files lie below taken out of labels.
fn values(text: &str, folder: &str) -> BTreeMap<String, f64> {
    let lines = text
        .lines()
        .filter(|line| line.starts_with("node_") && !is_listed(&NOT_OURS, line) && !is_listed(&OTHERWISE, line));
    let series = lines.filter_map(|line| line.rsplit_once(' '));
    series.map(|(series, value)| (series.replace(folder, ""), value.parse().expect("is a number"))).collect()
}

#[test]
fn hardware_that_this_machine_lacks_is_told_as_node_exporter_tells_it_to_the_value() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    unpack(include_str!("fixtures/hardware.files"), folder.path());
    let at = folder.path().display().to_string();
    let mut arguments = vec!["--collector.disable-defaults".to_owned()];
    arguments.extend(OF_HARDWARE.map(|name| format!("--collector.{name}")));
    arguments.extend(
        ["procfs=/proc", "sysfs=/sys", "rootfs="]
            .map(|path| format!("--path.{}", path.replace('=', &format!("={at}")))),
    );
    let theirs = Exporter::begin_with(&arguments).scrape();
    for name in OF_HARDWARE {
        let success = format!("node_scrape_collector_success{{collector=\"{name}\"}} 1");
        assert!(theirs.contains(&success), "node_exporter cannot read the files of {name}");
    }
    let mut collectors = Collectors::new(&Root::at(folder.path()), &CollectConfig::default(), Arc::default());
    let ours = exposition(collectors.read(SpoolFigures::default()));
    let (kinds, our_kinds) = (types(&theirs), types(&ours));
    let (theirs, ours) = (values(&theirs, &at), values(&ours, &at));
    assert!(theirs.len() > 100, "only {} series are compared", theirs.len());
    let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
    let differs = |(series, value): &(&String, &f64)| !ours.get(*series).is_some_and(|ours| is_near(*ours, **value));
    let differing: Vec<_> =
        theirs.iter().filter(differs).map(|(series, value)| (series, value, ours.get(series))).collect();
    assert!(differing.is_empty(), "series, node_exporter's value, ours: {differing:#?}");
    let name = |series: &str| {
        series.split('{').next().unwrap_or_default().strip_prefix("node_").unwrap_or_default().to_owned()
    };
    let families: BTreeSet<String> = theirs.keys().map(|series| name(series)).collect();
    let extra: Vec<_> =
        ours.keys().filter(|series| families.contains(&name(series)) && !theirs.contains_key(*series)).collect();
    assert!(extra.is_empty(), "we have them and node_exporter does not: {extra:#?}");
    for family in &families {
        assert_eq!(our_kinds.get(family.as_str()), kinds.get(family.as_str()), "type of {family}");
    }
}
