//! `usage`, as it stands in the agent's file.

use std::time::Duration;

use crate::config::{in_words, span};
use crate::scrape::config::yes_or_no;
use crate::yaml::{Faults, Node};

const INTERVAL: Duration = Duration::from_secs(60);
const PROCESSES: usize = 200;

/// What is looked through, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageConfig {
    pub interval: Duration,
    /// Services and containers, by their control groups.
    pub services: bool,
    /// So many names of processes, of those that use most; 0 is none.
    pub processes: usize,
}

impl Default for UsageConfig {
    fn default() -> Self {
        Self { interval: INTERVAL, services: false, processes: 0 }
    }
}

/// Reads the map; `every` is how often the agent reports.
pub fn read(node: &Node, every: Duration, faults: &mut Faults) -> UsageConfig {
    let mut config = UsageConfig { interval: INTERVAL.max(every), ..UsageConfig::default() };
    for (key, value) in node.entries("usage", faults) {
        match key.name.as_str() {
            "interval" => {
                let range = (every, Duration::from_secs(3600));
                config.interval = span(value, "usage.interval", range, faults).unwrap_or(config.interval);
            }
            "services" => config.services = yes_or_no(value, "usage.services", faults).unwrap_or_default(),
            "processes" => config.processes = top(value, faults).unwrap_or_default(),
            _ => faults.unknown(key, "usage", &["interval", "services", "processes"]),
        }
    }
    config
}

fn top(node: &Node, faults: &mut Faults) -> Option<usize> {
    let mut top = None;
    for (key, value) in node.entries("usage.processes", faults) {
        if key.name != "top" {
            faults.unknown(key, "usage.processes", &["top"]);
            continue;
        }
        let Some(text) = value.text("usage.processes.top", faults) else { continue };
        top = text.parse().ok().filter(|top| *top <= PROCESSES);
        if top.is_none() {
            faults.say(value.at, format!("\"usage.processes.top\" is \"{text}\", not a number from 0 to {PROCESSES}"));
        }
    }
    top
}

/// As it could be read again.
pub fn to_yaml(config: &UsageConfig) -> String {
    let (interval, services, top) = (in_words(config.interval), config.services, config.processes);
    format!("usage: {{interval: {interval}, services: {services}, processes: {{top: {top}}}}}\n")
}

#[cfg(test)]
mod tests {
    use crate::config::AgentConfig;

    #[test]
    fn usage_is_read_and_its_faults_are_named() {
        let config = AgentConfig::parse("a.yaml", "usage: {services: true, processes: {top: 10}, interval: 30s}\n");
        let config = config.expect("is fine");
        assert!(config.usage.services && config.usage.processes == 10 && config.usage.interval.as_secs() == 30);
        assert_eq!(AgentConfig::parse("b.yaml", &config.to_yaml()).expect("is fine"), config);
        let faults = AgentConfig::parse("a.yaml", "usage: {service: true, processes: {top: 900}, interval: 5s}\n");
        let expected = "a.yaml:1:9: unknown key \"service\" in \"usage\"; did you mean \"services\"?\n\
                        a.yaml:1:41: \"usage.processes.top\" is \"900\", not a number from 0 to 200\n\
                        a.yaml:1:57: usage.interval \"5s\" is not between 15s and 3600s";
        assert_eq!(faults.expect_err("is full of faults").to_string(), expected);
    }
}
