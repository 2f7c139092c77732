//! What became of packets on their way through connection tracking, from `/proc/net/stat/nf_conntrack`: a line a core.

use watchkeep_protocol::MetricKind::Gauge;

use super::numbers::{Column, Numbers};
use crate::root::Root;

/// Field of the heading, and help. node_exporter calls them gauges, so we do.
const FIELDS: [(&str, &str); 8] = [
    ("found", "Number of searched entries which were successful."),
    ("invalid", "Number of packets seen which can not be tracked."),
    ("ignore", "Number of packets seen which are already connected to a conntrack entry."),
    ("insert", "Number of entries inserted into the list."),
    ("insert_failed", "Number of entries for which list insertion was attempted but failed."),
    ("drop", "Number of packets dropped due to conntrack failure."),
    ("early_drop", "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached."),
    ("search_restart", "Number of conntrack table lookups which had to be restarted due to hashtable resizes."),
];

pub fn collector(root: &Root) -> Numbers {
    let column = |(field, help): (&'static str, &str)| {
        let (metric, help) = (format!("node_nf_conntrack_stat_{field}"), help.to_owned());
        Column { part: "", field, metric, kind: Gauge, help, unit: 1.0 }
    };
    Numbers::new("conntrack_stat", root, &["proc/net/stat/nf_conntrack"], parse, FIELDS.map(column).into())
}

/// Sums each field over the cores; numbers are hexadecimal of 32 bits, and wrap.
fn parse(_: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    let mut lines = text.lines();
    let Some(heading) = lines.next() else { return };
    for (field, _) in FIELDS {
        let Some(place) = heading.split_ascii_whitespace().position(|name| name == field) else { continue };
        let of_core = |line: &str| u32::from_str_radix(line.split_ascii_whitespace().nth(place)?, 16).ok();
        found("", field, lines.clone().filter_map(of_core).map(f64::from).sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    #[test]
    fn cores_are_summed_by_the_heading_s_names() {
        let files = TempFiles::new();
        files.write(
            "proc/net/stat/nf_conntrack",
            "entries  clashres found new invalid ignore insert insert_failed drop early_drop\n\
             0000000a  00000000 00000010 00000000 00000002 0000000f 00000001 00000000 ffffffff 00000000\n\
             0000000a  00000000 00000001 00000000 00000003 00000001 00000001 00000000 00000001 00000000\n\
             0000000a torn\n",
        );
        let reading = Stage::of(collector(&files.root())).read();
        let of = |field: &str| reading.value(&format!("node_nf_conntrack_stat_{field}"), &[]);
        assert_eq!([of("found"), of("invalid"), of("ignore")], [Some(17.0), Some(5.0), Some(16.0)]);
        assert_eq!(of("drop"), Some(4_294_967_296.0));
        assert_eq!(of("search_restart"), None, "this kernel does not count it");
    }
}
