//! Open files of the whole host, from `/proc/sys/fs/file-nr`: in use, unused (always 0), and at most.

use watchkeep_protocol::MetricKind::Gauge;

use super::numbers::{Column, Numbers};
use crate::root::Root;

pub fn collector(root: &Root) -> Numbers {
    let column = |field: &'static str| {
        let (metric, help) = (format!("node_filefd_{field}"), format!("File descriptor statistics: {field}."));
        Column { part: "", field, metric, kind: Gauge, help, unit: 1.0 }
    };
    Numbers::new("filefd", root, &["proc/sys/fs/file-nr"], parse, ["allocated", "maximum"].map(column).into())
}

fn parse(_: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    let words: Vec<f64> = text.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    if let [allocated, _, maximum] = words[..] {
        found("", "allocated", allocated);
        found("", "maximum", maximum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn what_is_open_and_what_may_be() {
        let reading = Stage::of(collector(&fixture_root("debian12"))).read();
        assert_eq!(reading.value("node_filefd_allocated", &[]), Some(1_056.0));
        assert_eq!(reading.value("node_filefd_maximum", &[]), Some(9_223_372_036_854_775_807.0));
    }
}
