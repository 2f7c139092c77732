//! Sockets by protocol, from `/proc/net/sockstat` and `sockstat6`: lines `TCP: inuse 4 orphan 0 …`.

use watchkeep_protocol::MetricKind::Gauge;

use super::numbers::{Column, Numbers};
use crate::root::Root;

/// Protocol and field. `mem` counts pages, and is given as bytes too.
const FIELDS: [(&str, &str); 19] = [
    ("sockets", "used"),
    ("TCP", "inuse"),
    ("TCP", "orphan"),
    ("TCP", "tw"),
    ("TCP", "alloc"),
    ("TCP", "mem"),
    ("UDP", "inuse"),
    ("UDP", "mem"),
    ("UDPLITE", "inuse"),
    ("RAW", "inuse"),
    ("FRAG", "inuse"),
    ("FRAG", "memory"),
    ("TCP6", "inuse"),
    ("UDP6", "inuse"),
    ("UDPLITE6", "inuse"),
    ("RAW6", "inuse"),
    ("FRAG6", "inuse"),
    ("FRAG6", "memory"),
    ("UDP6", "mem"),
];

pub fn collector(root: &Root) -> Numbers {
    let page_bytes = rustix::param::page_size() as f64;
    let column = |part: &'static str, field: &'static str, named: String, unit: f64| {
        let help = match part {
            "sockets" => "Number of IPv4 sockets in use.".to_owned(),
            _ => format!("Number of {part} sockets in state {named}."),
        };
        Column { part, field, metric: format!("node_sockstat_{part}_{named}"), kind: Gauge, help, unit }
    };
    let mut columns = Vec::new();
    for (part, field) in FIELDS {
        columns.push(column(part, field, field.to_owned(), 1.0));
        if field == "mem" {
            columns.push(column(part, field, "mem_bytes".to_owned(), page_bytes));
        }
    }
    Numbers::new("sockstat", root, &["proc/net/sockstat", "proc/net/sockstat6"], parse, columns)
}

fn parse(_: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    for line in text.lines() {
        let Some((part, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        while let (Some(field), Some(word)) = (words.next(), words.next()) {
            if let Ok(value) = word.parse() {
                found(part, field, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn sockets_are_counted_by_protocol_and_memory_is_bytes_too() {
        let reading = Stage::of(collector(&fixture_root("debian12"))).read();
        let of = |name: &str| reading.value(&format!("node_sockstat_{name}"), &[]);
        assert_eq!([of("sockets_used"), of("TCP_inuse"), of("TCP6_inuse")], [Some(291.0), Some(12.0), Some(5.0)]);
        assert_eq!(of("TCP_mem"), Some(3.0));
        assert_eq!(of("TCP_mem_bytes"), Some(3.0 * rustix::param::page_size() as f64));
    }
}
