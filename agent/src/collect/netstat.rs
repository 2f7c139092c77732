//! The network protocols' own counters, from `/proc/net/netstat`, `snmp` and `snmp6`: the fields that node_exporter takes by
//! default.

use watchkeep_protocol::MetricKind::Untyped;

use super::numbers::{Column, Numbers};
use crate::root::Root;

const FILES: [&str; 3] = ["proc/net/netstat", "proc/net/snmp", "proc/net/snmp6"];
/// The file of lines `Ip6InReceives  12`; the others have a line of names and a line of numbers by protocol.
const SNMP6: usize = 2;
const PROTOCOLS_OF_SNMP6: [&str; 4] = ["UdpLite6", "Icmp6", "Udp6", "Ip6"];

const FIELDS: [(&str, &[&str]); 11] = [
    ("Ip", &["Forwarding"]),
    ("IpExt", &["InOctets", "OutOctets"]),
    ("Icmp", &["InMsgs", "InErrors", "OutMsgs"]),
    ("Tcp", &["ActiveOpens", "PassiveOpens", "CurrEstab", "InSegs", "OutSegs", "RetransSegs", "InErrs", "OutRsts"]),
    (
        "TcpExt",
        &[
            "SyncookiesSent",
            "SyncookiesRecv",
            "SyncookiesFailed",
            "ListenOverflows",
            "ListenDrops",
            "TCPTimeouts",
            "TCPSynRetrans",
        ],
    ),
    ("Udp", &["InDatagrams", "NoPorts", "InErrors", "OutDatagrams", "RcvbufErrors", "SndbufErrors"]),
    ("UdpLite", &["InErrors"]),
    ("Ip6", &["InOctets", "OutOctets"]),
    ("Icmp6", &["InMsgs", "InErrors", "OutMsgs"]),
    ("Udp6", &["InDatagrams", "NoPorts", "InErrors", "OutDatagrams", "RcvbufErrors", "SndbufErrors"]),
    ("UdpLite6", &["InErrors"]),
];

pub fn collector(root: &Root) -> Numbers {
    let column = |part: &'static str, field: &'static str| Column {
        part,
        field,
        metric: format!("node_netstat_{part}_{field}"),
        kind: Untyped,
        help: format!("Statistic {part}{field}."),
        unit: 1.0,
    };
    let columns = FIELDS.iter().flat_map(|(part, fields)| fields.iter().map(move |field| column(part, field)));
    Numbers::new("netstat", root, &FILES, parse, columns.collect())
}

fn parse(file: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    if file == SNMP6 { parse_snmp6(text, found) } else { parse_pairs(text, found) }
}

/// `Tcp: RtoAlgorithm …` and then `Tcp: 1 …`.
fn parse_pairs(text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    let mut lines = text.lines();
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let Some(((part, names), (_, numbers))) = names.split_once(':').zip(numbers.split_once(':')) else { continue };
        for (name, number) in names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace()) {
            if let Ok(value) = number.parse() {
                found(part, name, value);
            }
        }
    }
}

fn parse_snmp6(text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next().and_then(|word| word.parse().ok())) else {
            continue;
        };
        let named = PROTOCOLS_OF_SNMP6.iter().find_map(|part| Some((*part, name.strip_prefix(part)?)));
        if let Some((part, field)) = named {
            found(part, field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn counters_of_both_forms_of_file_are_read() {
        let reading = Stage::of(collector(&fixture_root("debian12"))).read();
        let of = |name: &str| reading.value(&format!("node_netstat_{name}"), &[]);
        assert_eq!([of("Tcp_CurrEstab"), of("Tcp_RetransSegs"), of("Udp_NoPorts")], [Some(7.0), Some(19.0), Some(3.0)]);
        assert_eq!([of("TcpExt_ListenDrops"), of("IpExt_OutOctets")], [Some(4.0), Some(62_278.0)]);
        assert_eq!([of("Ip6_InOctets"), of("Udp6_InErrors")], [Some(16_096.0), Some(1.0)]);
        assert_eq!(of("Tcp_RtoAlgorithm"), None, "nobody asks for it");
    }
}
