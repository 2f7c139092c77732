//! Alerts that no agent made: what they are about, as far as their labels tell.

use std::collections::BTreeMap;

use watchkeep_desk::input::{AlertChange, AlertState, FoundItem, Fragment};
use watchkeep_desk::{InputBody, Millis};

use crate::bench::{Bench, RULES, config, labels, unit_failed};

impl Bench {
    fn address(&mut self, host: &str, addresses: &str) {
        let attributes = labels(&[("addresses", addresses)]);
        let (class, key) = ("network_interface".to_owned(), "eth0".to_owned());
        let items = vec![FoundItem { class, key, attributes, relations: Vec::new() }];
        let (agent, section, happened_at) = (host.to_owned(), "interface".to_owned(), Millis(self.at));
        self.feed(InputBody::Inventory(Fragment { agent, section, whole: true, items, gone: Vec::new(), happened_at }));
    }

    /// The item that the incident of an alert with these labels is about, and why.
    fn about(&mut self, pairs: &[(&str, &str)]) -> (Option<String>, String) {
        let number = self.desk.incidents().count() as u64 + 1;
        let name = format!("Outside{number}");
        let mut all = labels(pairs);
        all.insert("alertname".to_owned(), name.clone());
        let alert = AlertChange {
            rule: name,
            labels: all,
            annotations: BTreeMap::new(),
            agent: None,
            evidence: vec![serde_json::json!({"generatorURL": "http://prometheus/graph"})],
            ..unit_failed("", "", AlertState::Firing)
        };
        self.feed(InputBody::Alerts { alerts: vec![alert] });
        let graph = self.desk.cmdb();
        let name = self.incident(number).ci.and_then(|ci| graph.get(ci)).map(|ci| ci.name.clone());
        let reasons = self.facts.iter().rev().flat_map(|(_, fact)| &fact.reasons);
        let why = reasons.clone().find(|reason| reason.stage == "ci").map(|reason| reason.sentence.clone());
        (name, why.expect("a reason says why"))
    }
}

#[test]
fn an_alert_from_outside_is_about_the_one_host_that_its_labels_name() {
    let rules = RULES.split("        runbook:").next().expect("the rules have a runbook");
    let mut bench = Bench::new(config(rules, &[]));
    ["web-1", "web-22"].iter().for_each(|host| bench.enrol(host));
    bench.address("web-1", "10.0.0.7 192.168.1.1");
    bench.address("web-22", "10.0.0.8 192.168.1.1");
    let (host, none) = (Some("web-1".to_owned()), None::<String>);
    let one = "and no other is called so";
    for (pairs, found, says) in [
        (&[("instance", "web-1:9100"), ("job", "node")][..], &host, format!("found by the label `instance`: web-1 {one}")),
        (&[("instance", "10.0.0.7:9100")], &host, format!("found by the label `instance`: web-1 {one}")),
        (&[("instance", "blackbox:9115"), ("host", "web-1")], &host, format!("found by the label `host`: web-1 {one}")),
        (
            &[("instance", "web-1"), ("unit", "nginx.service")],
            &Some("nginx.service".to_owned()),
            "found by the label `unit` on web-1, which the label `instance` names".to_owned(),
        ),
        (
            &[("instance", "192.168.1.1:80")],
            &none,
            "2 hosts are called \"192.168.1.1:80\" as the label `instance` says".to_owned(),
        ),
        (
            &[("instance", "web-9:9100"), ("job", "node")],
            &none,
            "no host is called \"web-9:9100\" as the label `instance` says, no service is called \"node\" as the label `job` says"
                .to_owned(),
        ),
        (&[("severity", "critical")], &none, "the CMDB knows nothing that it could be about".to_owned()),
    ] {
        assert_eq!(bench.about(pairs), (found.clone(), says), "{pairs:?}");
    }
    assert_eq!(bench.restored(), bench.desk);
}
