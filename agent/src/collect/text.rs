//! A reading as Prometheus's text exposition, for `watchkeep-agent metrics`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use watchkeep_protocol::layout::Flag;
use watchkeep_protocol::{Metric, MetricKind};

use super::Reading;

/// All samples that were read, families by name with HELP and TYPE, as a scrape of node_exporter would show them.
pub fn exposition(reading: &Reading) -> String {
    let mut families: BTreeMap<&str, (&Metric, Vec<String>)> = BTreeMap::new();
    for (metric, labels, value) in samples(reading) {
        let words: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let braces = if words.is_empty() { String::new() } else { format!("{{{}}}", words.join(",")) };
        let line = format!("{}{braces} {}", metric.name, number(value));
        families.entry(&metric.name).or_insert_with(|| (metric, Vec::new())).1.push(line);
    }
    let mut out = String::new();
    for (name, (metric, lines)) in families {
        let kind = match MetricKind::try_from(metric.kind) {
            Ok(MetricKind::Counter) => "counter",
            Ok(MetricKind::Gauge) => "gauge",
            _ => "untyped",
        };
        let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{}", lines.join("\n"));
    }
    out
}

/// Each sample that was read: its column, its labels sorted by name, its value.
pub(super) fn samples(reading: &Reading) -> Vec<(&Metric, BTreeMap<&str, &str>, f64)> {
    let mut all = Vec::new();
    for (block, row) in reading.blocks.iter().zip(&reading.rows) {
        let columns = &block.template.metrics;
        for (place, value) in row.values.iter().enumerate() {
            if row.flags.get(place).is_some_and(|flag| *flag != Flag::Read as u8) {
                continue;
            }
            let (metric, instance) = (&columns[place % columns.len()], &block.instances[place / columns.len()]);
            let fixed = metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let own = block.template.instance_labels.iter().zip(&instance.values);
            let labels = fixed.chain(own.map(|(name, value)| (name.as_str(), value.as_str()))).collect();
            all.push((metric, labels, *value));
        }
    }
    all
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_protocol::layout::{Block, Instance, Row};

    use super::super::{metric, template};
    use super::*;

    #[test]
    fn what_was_read_is_shown_by_family_and_gaps_are_not() {
        let columns = vec![
            metric("b_total", &[("mode", "x")], MetricKind::Counter, "B."),
            metric("a_bytes", &[], MetricKind::Gauge, "A\\B"),
        ];
        let instances = ["one", "t\"w\\o"].map(|name| Instance { values: vec![name.to_owned()] }).to_vec();
        let reading = Reading {
            blocks: vec![Block { template: template("t", &["device"], columns), instances }],
            rows: vec![Row { block: 0, values: vec![1.5, 4.0, 2.0, 0.0], flags: vec![0, 0, 0, 1] }],
            ..Reading::default()
        };
        let expected = "# HELP a_bytes A\\\\B\n# TYPE a_bytes gauge\na_bytes{device=\"one\"} 4\n\
                        # HELP b_total B.\n# TYPE b_total counter\nb_total{device=\"one\",mode=\"x\"} 1.5\n\
                        b_total{device=\"t\\\"w\\\\o\",mode=\"x\"} 2\n";
        assert_eq!(exposition(&reading), expected);
    }
}
