//! The table of tracked connections, where the kernel tracks any.

use watchkeep_protocol::MetricKind::Gauge;

use super::numbers::{Column, Numbers};
use crate::root::Root;

/// File, metric and help.
const FILES: [(&str, &str, &str); 2] = [
    (
        "proc/sys/net/netfilter/nf_conntrack_count",
        "node_nf_conntrack_entries",
        "Number of currently allocated flow entries for connection tracking.",
    ),
    (
        "proc/sys/net/netfilter/nf_conntrack_max",
        "node_nf_conntrack_entries_limit",
        "Maximum size of connection tracking table.",
    ),
];

pub fn collector(root: &Root) -> Numbers {
    let column = |(field, metric, help): (&'static str, &str, &str)| Column {
        part: "",
        field,
        metric: metric.to_owned(),
        kind: Gauge,
        help: help.to_owned(),
        unit: 1.0,
    };
    Numbers::new("conntrack", root, &FILES.map(|(path, ..)| path), parse, FILES.map(column).into())
}

fn parse(file: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    if let Ok(value) = text.trim().parse() {
        found("", FILES[file].0, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn the_table_s_size_and_bound() {
        let reading = Stage::of(collector(&fixture_root("debian12"))).read();
        assert_eq!(reading.value("node_nf_conntrack_entries", &[]), Some(123.0));
        assert_eq!(reading.value("node_nf_conntrack_entries_limit", &[]), Some(65_536.0));
    }
}
