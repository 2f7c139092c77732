//! Reading values out of a tree while collecting every fault.

use std::collections::BTreeMap;

use crate::fault::Fault;
use crate::near::near;
use crate::promql::SyntaxFault;
use crate::selector::{Selector, SelectorError};
use crate::template::{Template, TemplateError};
use crate::yaml::{Kind, Node, Source, Style};
use crate::{duration, jinja};

/// The faults of one file, and where in it we are.
pub(crate) struct Checker<'a> {
    pub source: &'a Source,
    pub faults: Vec<Fault>,
    within: Vec<String>,
    rule: Option<String>,
}

impl<'a> Checker<'a> {
    pub fn new(source: &'a Source) -> Self {
        Self { source, faults: Vec::new(), within: Vec::new(), rule: None }
    }

    /// A fault of a whole node.
    pub fn fault(&mut self, node: &Node, message: impl Into<String>) -> &mut Fault {
        self.push(Fault::at(self.source, node.start, node.end, message))
    }

    /// A fault of `length` bytes from byte `at` of a scalar's value.
    pub fn fault_in(&mut self, node: &Node, at: usize, length: usize, message: impl Into<String>) -> &mut Fault {
        let from = self.source.within(node, at);
        let to = self.source.within(node, at + length).max(from + 1);
        self.push(Fault::at(self.source, from, to, message))
    }

    fn push(&mut self, mut fault: Fault) -> &mut Fault {
        fault.rule = self.rule.clone();
        fault.within = (!self.within.is_empty()).then(|| self.within.join(", "));
        self.faults.push(fault);
        self.faults.last_mut().expect("a fault was just pushed")
    }

    /// Runs `body` with `place` added to where we are.
    pub fn within<R>(&mut self, place: impl Into<String>, body: impl FnOnce(&mut Self) -> R) -> R {
        self.within.push(place.into());
        let result = body(self);
        self.within.pop();
        result
    }

    /// As [`Checker::within`], for a rule or runbook of this name.
    pub fn within_rule<R>(&mut self, kind: &str, name: &str, body: impl FnOnce(&mut Self) -> R) -> R {
        self.rule = Some(name.to_owned());
        let result = self.within(format!("{kind} '{name}'"), body);
        self.rule = None;
        result
    }

    pub fn text(&mut self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Scalar(text, _) => Some(text.clone()),
            _ => {
                self.fault(node, format!("a text is expected here, not {}", node.what()));
                None
            }
        }
    }

    /// A text that is not empty.
    pub fn name(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if text.trim().is_empty() {
            self.fault(node, "this is empty");
            return None;
        }
        Some(text)
    }

    pub fn duration(&mut self, node: &Node) -> Option<i64> {
        let text = self.text(node)?;
        match duration::parse(&text) {
            Ok(ms) => Some(ms),
            Err(message) => {
                self.fault(node, message);
                None
            }
        }
    }

    /// A duration longer than nothing.
    pub fn positive_duration(&mut self, node: &Node) -> Option<i64> {
        let ms = self.duration(node)?;
        if ms == 0 {
            self.fault(node, "this must be longer than 0");
            return None;
        }
        Some(ms)
    }

    pub fn whole(&mut self, node: &Node, least: u32, most: u32) -> Option<u32> {
        let text = self.text(node)?;
        match text.parse::<u32>() {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.fault(node, format!("a whole number from {least} to {most} is expected here, not \"{text}\""));
                None
            }
        }
    }

    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        match (&node.kind, node.scalar()) {
            (Kind::Scalar(_, Style::Plain), Some("true" | "True" | "TRUE")) => Some(true),
            (Kind::Scalar(_, Style::Plain), Some("false" | "False" | "FALSE")) => Some(false),
            _ => {
                self.fault(node, "true or false is expected here");
                None
            }
        }
    }

    /// One of a few words.
    pub fn word(&mut self, node: &Node, what: &str, known: &[&str]) -> Option<String> {
        let text = self.text(node)?;
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        let near = near(&text, known.iter().copied());
        let fault = self.fault(node, format!("unknown {what} '{text}'"));
        match near {
            Some(_) => fault.near(near),
            None => fault.hint(format!("known: {}", known.join(", "))),
        };
        None
    }

    pub fn list<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.kind {
            Kind::List(nodes) => nodes,
            Kind::Scalar(text, _) => {
                self.fault(node, "a list is expected here, not a single value").hint(format!("write [{text}]"));
                &[]
            }
            _ => {
                self.fault(node, format!("a list is expected here, not {}", node.what()));
                &[]
            }
        }
    }

    pub fn texts(&mut self, node: &Node) -> Vec<String> {
        self.list(node).iter().filter_map(|item| self.text(item)).collect()
    }

    /// A mapping of texts; null is the empty text, as in Prometheus.
    pub fn text_map<'n>(&mut self, node: &'n Node) -> Vec<(&'n Node, String, &'n Node, String)> {
        let mut found = Vec::new();
        for (key, value) in self.entries(node) {
            let Some(name) = self.text(key) else { continue };
            let text = if value.is_null() { Some(String::new()) } else { self.text(value) };
            found.extend(text.map(|text| (key, name, value, text)));
        }
        found
    }

    /// The entries of a mapping; a key that stands twice is a fault and counts once.
    pub fn entries<'n>(&mut self, node: &'n Node) -> Vec<(&'n Node, &'n Node)> {
        let Kind::Map(entries) = &node.kind else {
            self.fault(node, format!("a mapping is expected here, not {}", node.what()));
            return Vec::new();
        };
        let mut first_at = BTreeMap::new();
        let mut found = Vec::new();
        for (key, value) in entries {
            let name = key.scalar().unwrap_or_default();
            if let Some(first) = first_at.get(name) {
                let (line, _) = self.source.place(*first);
                self.fault(key, format!("'{name}' stands here a second time; the first is in line {line}"));
                continue;
            }
            first_at.insert(name, key.start);
            found.push((key, value));
        }
        found
    }

    pub fn selector(&mut self, node: &Node) -> Option<Selector> {
        let text = self.text(node)?;
        match Selector::parse(&text) {
            Ok(selector) => Some(selector),
            Err(error) => {
                self.selector_fault(node, &error);
                None
            }
        }
    }

    pub fn selector_fault(&mut self, node: &Node, error: &SelectorError) {
        self.fault_in(node, error.at, error.length, error.message.clone());
    }

    /// What is wrong with an expression, each at its place in the file.
    pub fn syntax_faults(&mut self, node: &Node, found: Vec<SyntaxFault>) {
        for fault in found {
            let length = fault.span.to.saturating_sub(fault.span.from);
            self.fault_in(node, fault.span.from, length, fault.message).near(fault.near);
        }
    }

    /// A template of Prometheus's language; the text itself is returned even where it is at fault.
    pub fn template(&mut self, node: &Node, text: &str) -> Option<Template> {
        match Template::parse(text) {
            Ok(template) => Some(template),
            Err(TemplateError { at, length, message, near, .. }) => {
                self.fault_in(node, at, length, message).near(near);
                None
            }
        }
    }

    pub fn jinja_expression(&mut self, node: &Node, names: &jinja::Names) -> Option<String> {
        let text = self.name(node)?;
        self.jinja_faults(node, jinja::check_expression(&text, names));
        Some(text)
    }

    pub fn jinja_template(&mut self, node: &Node, names: &jinja::Names) -> Option<String> {
        let text = self.text(node)?;
        self.jinja_faults(node, jinja::check_template(&text, names));
        Some(text)
    }

    fn jinja_faults(&mut self, node: &Node, found: Vec<jinja::JinjaFault>) {
        for fault in found {
            self.fault_in(node, fault.at, fault.length, fault.message).near(fault.near);
        }
    }

    /// Reads a mapping whose keys are known; others are faults with the nearest key.
    pub fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Fields<'n> {
        self.fields_among(node, what, known, &[])
    }

    /// As [`Checker::fields`]; a key that is known elsewhere is told of with the sentence that goes with it.
    pub fn fields_among<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
        elsewhere: &[(&str, &str)],
    ) -> Fields<'n> {
        let mut values = BTreeMap::new();
        let mut meant = Vec::new();
        let is_map = matches!(node.kind, Kind::Map(_));
        for (key, value) in self.entries(node) {
            let Some(name) = key.scalar() else {
                self.fault(key, "a key must be a single word");
                continue;
            };
            if known.contains(&name) {
                values.insert(name, (key, value));
            } else if let Some((_, sentence)) = elsewhere.iter().find(|(word, _)| *word == name) {
                self.fault(key, format!("{what} has no key '{name}': {sentence}"));
            } else {
                let near = near(name, known.iter().copied());
                meant.extend(near.clone());
                let fault = self.fault(key, format!("{what} has no key '{name}'"));
                match near {
                    Some(_) => fault.near(near),
                    None => fault.hint(format!("known: {}", known.join(", "))),
                };
            }
        }
        Fields { node, values, meant, is_map }
    }
}

/// The known keys of one mapping.
pub(crate) struct Fields<'n> {
    pub node: &'n Node,
    values: BTreeMap<&'n str, (&'n Node, &'n Node)>,
    /// Keys that misspelt ones probably meant: they are not missed a second time.
    meant: Vec<String>,
    is_map: bool,
}

impl<'n> Fields<'n> {
    /// The value of a key; null counts as absent.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.values.get(key).map(|(_, value)| *value).filter(|value| !value.is_null())
    }

    /// The node of the key itself.
    pub fn key(&self, key: &str) -> Option<&'n Node> {
        self.values.get(key).map(|(key, _)| *key)
    }

    /// The value of a key that must be there.
    pub fn required(&self, check: &mut Checker<'_>, key: &str, what: &str) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() && self.is_map && !self.meant.iter().any(|meant| meant == key) {
            match self.key(key) {
                Some(key_node) => check.fault(key_node, format!("'{key}' has no value")),
                None => {
                    let first = self.first_key();
                    check.fault(first, format!("{what} needs '{key}'"))
                }
            };
        }
        found
    }

    /// Where to point when something is missing: the first key rather than the whole mapping.
    fn first_key(&self) -> &'n Node {
        match &self.node.kind {
            Kind::Map(entries) => entries.first().map_or(self.node, |(key, _)| key),
            _ => self.node,
        }
    }
}
