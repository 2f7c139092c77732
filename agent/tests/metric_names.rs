//! The list of our metrics' names by which rule files are checked without a controller holds what the agent reports.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use watchkeep_agent::collect::{Collectors, SpoolFigures, exposition};
use watchkeep_agent::config::CollectConfig;
use watchkeep_agent::root::Root;

/// What this kernel may lack is in the list and need not be in the report.
#[test]
fn the_rule_checker_knows_every_metric_that_this_host_reports() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/src/lint/agent-metrics.txt");
    let listed = std::fs::read_to_string(&path).expect("the list is there");
    let listed: BTreeSet<&str> = listed.lines().filter(|line| !line.starts_with('#')).collect();
    let mut collectors = Collectors::new(&Root::default(), &CollectConfig::default(), Arc::default());
    let text = exposition(collectors.read(SpoolFigures::default()));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let reported: BTreeSet<&str> = lines.filter_map(|line| line.split(['{', ' ']).next()).collect();
    assert!(reported.len() > 60, "only {} names are reported", reported.len());
    let missing: Vec<&&str> = reported.difference(&listed).collect();
    assert!(missing.is_empty(), "not in {}: {missing:#?}", path.display());
}

#[test]
fn the_page_of_collectors_names_every_one() {
    let page = include_str!("../COLLECTORS.md");
    let mut collectors = Collectors::new(&Root::default(), &CollectConfig::default(), Arc::default());
    let text = exposition(collectors.read(SpoolFigures::default()));
    let success = text.lines().filter_map(|line| line.strip_prefix("node_scrape_collector_success{collector=\""));
    let names: Vec<&str> = success.filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 40, "only {} collectors tell of themselves", names.len());
    let missing: Vec<&&str> = names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in agent/COLLECTORS.md: {missing:?}");
}
