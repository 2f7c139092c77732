//! `duplicate-rule`: two rules of a file that write the same series, or alerts with the same labels, as promtool's lint
//! `duplicate-rules` finds them.

use std::collections::BTreeMap;

use super::RuleNode;
use crate::fault::Fault;
use crate::load::Checker;
use crate::yaml::{Kind, Node, Source};

/// The second and every further rule of a kind with the same name and the same labels, with the rule's place.
pub(super) fn duplicates(source: &Source, rules: &[RuleNode<'_>]) -> Vec<(usize, Fault)> {
    let mut first: BTreeMap<(&str, BTreeMap<&str, &str>), usize> = BTreeMap::new();
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| rule.kind != "event") {
        // Alerts and what is recorded count together: both are names of series to whoever reads them.
        let mut labels = rule.group_labels.map(texts).unwrap_or_default();
        labels.extend(rule.node.get("labels").map(texts).unwrap_or_default());
        let Some(node) = rule.node.get(rule.kind) else { continue };
        let (line, _) = source.place(node.start);
        let at = *first.entry((rule.name, labels)).or_insert(line);
        if at != line {
            let mut check = Checker::new(source);
            check.within_rule("rule", rule.name, |check| {
                let message = format!("a rule '{}' with the same labels stands in line {at} already", rule.name);
                check.fault(node, message).hint("give one of them another name, or a label of its own");
            });
            found.extend(check.faults.into_iter().map(|fault| (rule.place, fault)));
        }
    }
    found
}

fn texts(node: &Node) -> BTreeMap<&str, &str> {
    match &node.kind {
        Kind::Map(entries) => {
            entries.iter().filter_map(|(key, value)| Some((key.scalar()?, value.scalar()?))).collect()
        }
        _ => BTreeMap::new(),
    }
}
