//! Calls of the host's NFS client and server, from `/proc/net/rpc/nfs` and `nfsd`.
//!
//! A line `proc4 61 1 2 …` counts each of so many procedures, in the order of their numbers.
//! [Source: kernel, net/sunrpc/stats.c, fs/nfsd/stats.c; RFC 1094, 1813, 7530 and 7862 for the procedures]

use watchkeep_protocol::MetricKind::{self, Counter, Gauge};

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::nfs_procedures::{CLIENT, SERVER};
use super::proc_text::ProcText;
use crate::root::Root;

/// A line's name, the place of a number in it, its metric, kind, label, and help.
type Single = (&'static str, usize, &'static str, MetricKind, Option<(&'static str, &'static str)>, &'static str);

const OF_CLIENT: [Single; 6] = [
    ("net", 1, "packets_total", Counter, Some(("protocol", "udp")), PACKETS),
    ("net", 2, "packets_total", Counter, Some(("protocol", "tcp")), PACKETS),
    ("net", 3, "connections_total", Counter, None, "Total number of NFSd TCP connections."),
    ("rpc", 0, "rpcs_total", Counter, None, "Total number of RPCs performed."),
    ("rpc", 1, "rpc_retransmissions_total", Counter, None, "Number of RPC transmissions performed."),
    (
        "rpc",
        2,
        "rpc_authentication_refreshes_total",
        Counter,
        None,
        "Number of RPC authentication refreshes performed.",
    ),
];

const OF_SERVER: [Single; 16] = [
    ("rc", 0, "reply_cache_hits_total", Counter, None, "Total number of NFSd Reply Cache hits."),
    ("rc", 1, "reply_cache_misses_total", Counter, None, "Total number of NFSd Reply Cache misses."),
    ("rc", 2, "reply_cache_nocache_total", Counter, None, "Total number of NFSd operations that need no Reply Cache."),
    ("fh", 0, "file_handles_stale_total", Counter, None, "Total number of NFSd stale file handles"),
    ("io", 0, "disk_bytes_read_total", Counter, None, "Total NFSd bytes read."),
    ("io", 1, "disk_bytes_written_total", Counter, None, "Total NFSd bytes written."),
    ("th", 0, "server_threads", Gauge, None, "Total number of NFSd kernel threads that are running."),
    ("ra", 0, "read_ahead_cache_size_blocks", Gauge, None, "How large the read ahead cache is in blocks."),
    ("ra", 11, "read_ahead_cache_not_found_total", Counter, None, "Total number of NFSd read ahead cache not found."),
    ("net", 1, "packets_total", Counter, Some(("proto", "udp")), PACKETS),
    ("net", 2, "packets_total", Counter, Some(("proto", "tcp")), PACKETS),
    ("net", 3, "connections_total", Counter, None, "Total number of NFSd TCP connections."),
    ("rpc", 2, "rpc_errors_total", Counter, Some(("error", "fmt")), ERRORS),
    ("rpc", 3, "rpc_errors_total", Counter, Some(("error", "auth")), ERRORS),
    ("rpc", 4, "rpc_errors_total", Counter, Some(("error", "cInt")), ERRORS),
    ("rpc", 0, "server_rpcs_total", Counter, None, "Total number of NFSd RPCs."),
];
const PACKETS: &str = "Total NFSd network packets (sent+received) by protocol type.";
const ERRORS: &str = "Total number of NFSd RPC errors by error type.";

/// The client, or the server.
pub struct Nfs {
    name: &'static str,
    file: ProcText,
    singles: &'static [Single],
    procedures: &'static [(&'static str, &'static str, &'static [&'static str])],
    help: &'static str,
}

impl Nfs {
    pub fn client(root: &Root) -> Self {
        let (file, help) = (ProcText::new(root.join("proc/net/rpc/nfs")), "Number of NFS procedures invoked.");
        Self { name: "nfs", file, singles: &OF_CLIENT, procedures: &CLIENT, help }
    }

    pub fn server(root: &Root) -> Self {
        let (file, help) =
            (ProcText::new(root.join("proc/net/rpc/nfsd")), "Total number NFSd Requests by method and protocol.");
        Self { name: "nfsd", file, singles: &OF_SERVER, procedures: &SERVER, help }
    }
}

impl Sparse for Nfs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let text = self.file.read_if_there()?;
        let mut metric = String::new();
        let mut named = |name: &str| {
            metric.clear();
            metric.extend(["node_", self.name, "_", name]);
            metric.clone()
        };
        for (line, place, name, kind, label, help) in self.singles {
            let Some(value) = numbers(&text, line).and_then(|mut numbers| numbers.nth(*place)?) else { continue };
            families.set(Family { name: &named(name), kind: *kind, help }, label.as_slice(), value);
        }
        let name = named("requests_total");
        let family = Family { name: &name, kind: Counter, help: self.help };
        for (line, version, procedures) in self.procedures {
            // The first number says how many there are.
            let Some(counts) = numbers(&text, line).map(|numbers| numbers.skip(1)) else { continue };
            for (procedure, count) in procedures.iter().zip(counts).filter(|(name, _)| !name.is_empty()) {
                if let Some(count) = count {
                    families.set(family, &[("method", procedure), ("proto", version)], count);
                }
            }
        }
        Ok(())
    }
}

/// The numbers of the line that begins with this word.
fn numbers<'a>(text: &'a str, line: &str) -> Option<impl Iterator<Item = Option<f64>> + use<'a>> {
    let rest = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '))?;
    Some(rest.split_ascii_whitespace().map(|word| word.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn procedures_are_counted_by_their_place_and_an_older_kernel_has_fewer() {
        let files = TempFiles::new();
        files.write("proc/net/rpc/nfs", "net 7 1 5 2\nrpc 70 3 torn\nproc3 3 10 11 12\nproc4 2 20 21\nproc44 1 9\n");
        assert_eq!(
            SparseStage::of(Nfs::client(&files.root())).read().lines(),
            [
                "node_nfs_connections_total 2",
                "node_nfs_packets_total{protocol=\"udp\"} 1",
                "node_nfs_packets_total{protocol=\"tcp\"} 5",
                "node_nfs_requests_total{method=\"Null\",proto=\"3\"} 10",
                "node_nfs_requests_total{method=\"GetAttr\",proto=\"3\"} 11",
                "node_nfs_requests_total{method=\"SetAttr\",proto=\"3\"} 12",
                "node_nfs_requests_total{method=\"Null\",proto=\"4\"} 20",
                "node_nfs_requests_total{method=\"Read\",proto=\"4\"} 21",
                "node_nfs_rpc_retransmissions_total 3",
                "node_nfs_rpcs_total 70",
            ]
        );
        assert!(SparseStage::of(Nfs::server(&files.root())).fault().starts_with("this kernel has no"));
    }

    /// RFC 7530, 16: ACCESS is operation 3, RELEASE_LOCKOWNER 39.
    #[test]
    fn operations_of_version_4_have_the_numbers_of_their_standard() {
        let (_, _, operations) = SERVER.iter().find(|(line, ..)| *line == "proc4ops").expect("is there");
        for (number, name) in
            [(3, "Access"), (18, "Open"), (25, "Read"), (35, "SetClientID"), (38, "Write"), (39, "RelLockOwner")]
        {
            assert_eq!(operations[number], name, "{number}");
        }
    }
}
