//! The load averages, from `/proc/loadavg`.

use watchkeep_protocol::MetricKind::Gauge;

use super::numbers::{Column, Numbers};
use crate::root::Root;

/// In the order of the file's words.
const FIELDS: [(&str, &str); 3] = [("1", "1m"), ("5", "5m"), ("15", "15m")];

pub fn collector(root: &Root) -> Numbers {
    let column = |(field, span): (&'static str, &str)| {
        let (metric, help) = (format!("node_load{field}"), format!("{span} load average."));
        Column { part: "", field, metric, kind: Gauge, help, unit: 1.0 }
    };
    Numbers::new("loadavg", root, &["proc/loadavg"], parse, FIELDS.map(column).into())
}

fn parse(_: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    for ((field, _), word) in FIELDS.iter().zip(text.split_ascii_whitespace()) {
        if let Ok(value) = word.parse() {
            found("", field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn there_are_three_averages() {
        let reading = Stage::of(collector(&fixture_root("debian12"))).read();
        let of = |name| reading.value(name, &[]);
        assert_eq!([of("node_load1"), of("node_load5"), of("node_load15")], [Some(0.42), Some(0.3), Some(1.25)]);
    }
}
