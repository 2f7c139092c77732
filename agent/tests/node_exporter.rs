//! node_exporter on this machine and we: what it says, we say under the same name with the same labels.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchkeep_agent::collect::{Collectors, SpoolFigures, exposition};
use watchkeep_agent::config::CollectConfig;
use watchkeep_agent::root::Root;

/// Its collectors that are compared; each brings only families that we have too, but for what [`is_compared`] leaves out.
const COLLECTORS: [&str; 19] = [
    "loadavg",
    "stat",
    "vmstat",
    "pressure",
    "netdev",
    "netstat",
    "sockstat",
    "filefd",
    "uname",
    "os",
    "time",
    "meminfo",
    "diskstats",
    "netclass",
    "arp",
    "entropy",
    "schedstat",
    "softnet",
    "udp_queues",
];
/// What it says beyond, and no rule asks for.
const NOT_OURS: [&str; 7] = [
    "node_disk_info",
    "node_disk_filesystem_info",
    "node_network_receive_nohandler_total",
    "node_os_version",
    "node_time_clocksource_available_info",
    "node_time_clocksource_current_info",
    "node_time_zone_offset_seconds",
];
/// Of `netclass`, the basics.
const NETCLASS: [&str; 5] = [
    "node_network_up",
    "node_network_info",
    "node_network_mtu_bytes",
    "node_network_carrier",
    "node_network_carrier_changes_total",
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
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("is bound").port();
        drop(free);
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--collector.disable-defaults");
        command.args(COLLECTORS.map(|name| format!("--collector.{name}")));
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
                Ok(text) if text.contains("node_load1 ") => return text,
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
fn series(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| line.starts_with("node_"));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
}

fn is_compared(series: &str) -> bool {
    let name = series.split('{').next().unwrap_or_default();
    let is_memory = name.starts_with("node_memory_") && !OUR_MEMORY.contains(&name);
    let is_netclass = name.starts_with("node_network_") && !name.contains("_receive_") && !name.contains("_transmit_");
    let of_itself = name.starts_with("node_scrape_") || name.starts_with("node_exporter_");
    let beyond = NOT_OURS.contains(&name) || is_memory || of_itself;
    !beyond
        && (!is_netclass || NETCLASS.contains(&name))
        && name != "node_network_transmit_queue_length"
        // A link that is down has no carrier to read, and interfaces of other tests come and go.
        && !["ifb", "veth", "wk", "docker"].iter().any(|device| series.contains(&format!("device=\"{device}")))
}

/// The fields of memory that rules ask for.
const OUR_MEMORY: [&str; 6] = [
    "node_memory_MemTotal_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_SwapFree_bytes",
    "node_memory_Active_anon_bytes",
    "node_memory_HugePages_Total",
    "node_memory_Committed_AS_bytes",
];

#[test]
fn what_node_exporter_says_of_this_machine_we_say_too() {
    let theirs = series(&Exporter::begin().scrape());
    let mut collectors = Collectors::new(&Root::default(), &CollectConfig::default(), Arc::default());
    let ours = series(&exposition(collectors.read(SpoolFigures::default())));
    let compared: Vec<&String> = theirs.iter().filter(|series| is_compared(series)).collect();
    assert!(compared.len() > 60, "only {} series are compared", compared.len());
    let missing: Vec<&&String> = compared.iter().filter(|series| !ours.contains(**series)).collect();
    assert!(missing.is_empty(), "node_exporter has them and we do not: {missing:#?}");
}
