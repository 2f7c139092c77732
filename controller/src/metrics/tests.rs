use std::io::Write as _;
use std::process::{Command, Stdio};

use prometheus::{Encoder, HistogramOpts, TextEncoder};

use super::list::Kind;
use super::*;

fn metrics() -> Metrics {
    let lag = Histogram::with_opts(HistogramOpts::new("watchkeep_samples_lag_seconds", "How late samples are."));
    Metrics::new([lag.expect("a metric name")], Counts::default)
}

fn text(metrics: &Metrics) -> String {
    let mut text = Vec::new();
    TextEncoder::new().encode(&metrics.registry.gather(), &mut text).expect("it can be written");
    String::from_utf8(text).expect("it is text")
}

#[test]
fn what_only_grows_is_a_counter_and_named_so() {
    for entry in &LIST {
        assert_eq!(entry.name.ends_with("_total"), entry.kind == Kind::Counter, "{}", entry.name);
        assert_eq!(entry.name.ends_with("_seconds"), entry.kind == Kind::Seconds, "{}", entry.name);
    }
}

#[test]
fn counters_say_what_was_read_last_and_never_less() {
    let metrics = metrics();
    let mut readings = Readings { ledger_facts: 7, ..Readings::default() };
    for (taken, shown) in [(5, 5), (12, 12), (3, 12)] {
        readings.counts.samples.tally.taken = taken;
        readings.counts.samples.handing_over_us = 250_000;
        metrics.tell(&readings);
        let told = text(&metrics);
        assert!(told.contains("# TYPE watchkeep_samples_taken_total counter\n"), "{told}");
        assert!(told.contains(&format!("\nwatchkeep_samples_taken_total {shown}\n")), "{told}");
        assert!(told.contains("\nwatchkeep_samples_seal_pause_max_seconds 0.25\n"), "{told}");
        assert!(told.contains("# TYPE watchkeep_ledger_facts gauge\n"), "{told}");
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_what_is_exposed() {
    let metrics = metrics();
    metrics.tell(&Readings::default());
    metrics.rule_failures.with_label_values(&["disk.yaml;disk"]).inc();
    let check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut check = check.expect("promtool is there: tests/debian-packages");
    let exposed = text(&metrics);
    check.stdin.take().expect("it is piped").write_all(exposed.as_bytes()).expect("promtool reads");
    let said = check.wait_with_output().expect("promtool ends");
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && told.is_empty(), "{told}\n{exposed}");
}
