//! Random bits that the kernel has at hand, and has room for.

use watchkeep_protocol::MetricKind::Gauge;

use super::numbers::{Column, Numbers};
use crate::root::Root;

/// File, metric and help.
const FILES: [(&str, &str, &str); 2] = [
    ("proc/sys/kernel/random/entropy_avail", "node_entropy_available_bits", "Bits of available entropy."),
    ("proc/sys/kernel/random/poolsize", "node_entropy_pool_size_bits", "Bits of entropy pool."),
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
    Numbers::new("entropy", root, &FILES.map(|(path, ..)| path), parse, FILES.map(column).into())
}

fn parse(file: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    if let Ok(value) = text.trim().parse() {
        found("", FILES[file].0, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    #[test]
    fn what_is_there_and_what_there_is_room_for() {
        let files = TempFiles::new();
        files.write("proc/sys/kernel/random/entropy_avail", "200\n");
        files.write("proc/sys/kernel/random/poolsize", "256\n");
        let reading = Stage::of(collector(&files.root())).read();
        assert_eq!(reading.value("node_entropy_available_bits", &[]), Some(200.0));
        assert_eq!(reading.value("node_entropy_pool_size_bits", &[]), Some(256.0));
    }
}
