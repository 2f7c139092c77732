//! Paging, faults and kills for want of memory, from `/proc/vmstat`: the fields that node_exporter takes by default.

use watchkeep_protocol::MetricKind::Untyped;

use super::numbers::{Column, Numbers, lines};
use crate::root::Root;

const FIELDS: [&str; 7] = ["pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill"];

pub fn collector(root: &Root) -> Numbers {
    let column = |field: &'static str| {
        let (metric, help) = (format!("node_vmstat_{field}"), format!("/proc/vmstat information field {field}."));
        Column { part: "", field, metric, kind: Untyped, help, unit: 1.0 }
    };
    Numbers::new("vmstat", root, &["proc/vmstat"], lines, FIELDS.map(column).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn kills_and_faults_are_counted_and_other_fields_are_left_out() {
        let reading = Stage::of(collector(&fixture_root("debian12"))).read();
        assert_eq!(reading.value("node_vmstat_oom_kill", &[]), Some(2.0));
        assert_eq!(reading.value("node_vmstat_pgmajfault", &[]), Some(1_204.0));
        assert_eq!(reading.metrics().len(), FIELDS.len());
    }
}
