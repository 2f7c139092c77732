//! Prometheus's template language: Go's text/template over `$labels`, `$value` and queries.
//!
//! All of it is taken: pipes, parentheses, variables, `if`, `with`, `range`, `break`, `continue`, `define`, `template`,
//! `block`, comments, `{{-` and `-}}`, Go's functions and Prometheus's ([`functions::names`]). Values have Go's types:
//! `gt $value 100` compares a float with an int, which is an error when rendered, as it is in Prometheus. A missing label
//! is the empty string.

mod functions;
mod layout;
mod lex;
mod operand;
mod parse;
mod printf;
mod render;
mod syntax;
mod time;
mod value;

use std::collections::BTreeMap;

use crate::promql::eval::Sample;
use syntax::{Definitions, Piece};

/// A template that was read and checked: functions, variables and fields are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// What was read, for error texts that quote it.
    text: String,
    pieces: Vec<Piece>,
    definitions: Definitions,
}

/// Why a template cannot be read or rendered, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Bytes from the start of the text.
    pub at: usize,
    /// Bytes that the fault covers, at least 1.
    pub length: usize,
    pub message: String,
    /// A near word that exists.
    pub near: Option<String>,
    /// The byte that Go names as the place: of a value with fields that is its first field.
    pointed: usize,
    /// The defined template in which it happened, if not in the text itself.
    within: Option<String>,
}

impl TemplateError {
    fn new(at: usize, length: usize, message: impl Into<String>) -> Self {
        Self { at, length: length.max(1), message: message.into(), near: None, pointed: at, within: None }
    }

    fn pointing(mut self, at: usize) -> Self {
        self.pointed = at;
        self
    }
}

/// Bytes that a rendered template may have; beyond it rendering fails rather than fill memory.
pub const RENDERED_BYTES_MAX: usize = 64 * 1024;

/// Evaluates an expression at the rule's instant. A scalar is one sample without labels; the error is a sentence.
pub type Query<'a> = &'a dyn Fn(&str) -> Result<Vec<Sample>, String>;

/// What a template sees.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub labels: &'a BTreeMap<String, String>,
    pub value: f64,
    /// Labels of this installation, `$externalLabels`.
    pub external_labels: &'a BTreeMap<String, String>,
    /// Where people reach this installation, `$externalURL`.
    pub external_url: &'a str,
    /// The rule's instant, UTC milliseconds: `now`.
    pub at: i64,
    /// None where there are no samples to ask, as in rules over events.
    pub query: Option<Query<'a>>,
}

/// Length of `{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}`.
const DECLARATIONS_BYTES: usize = 112;

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

impl<'a> Context<'a> {
    /// The alert alone: no installation, no time, no samples.
    pub fn new(labels: &'a BTreeMap<String, String>, value: f64) -> Self {
        Self { labels, value, external_labels: &NO_LABELS, external_url: "", at: 0, query: None }
    }
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::template(text)
    }

    /// Renders with the alert's labels and value alone.
    pub fn render(&self, labels: &BTreeMap<String, String>, value: f64) -> Result<String, TemplateError> {
        self.render_with(&Context::new(labels, value))
    }

    /// The text that takes the place of what the alert `alert` would have had here, in Prometheus's words: rule tests
    /// compare it. Prometheus puts declarations before the template, which count in columns of its first line.
    pub fn failed(&self, alert: &str, error: &TemplateError) -> String {
        let name = format!("__alert_{alert}");
        let before = self.text.get(..error.pointed).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = match before.rsplit_once('\n') {
            Some((_, last)) => last.len(),
            None => before.len() + DECLARATIONS_BYTES,
        };
        let node = syntax::in_one_line(self.text.get(error.at..error.at + error.length).unwrap_or_default());
        let within = error.within.as_deref().unwrap_or(&name);
        format!(
            "<error expanding template: error executing template {name}: template: {name}:{line}:{column}: executing \
             {within:?} at <{node}>: {}>",
            error.message
        )
    }

    /// Renders with all that a rule over metrics can see.
    pub fn render_with(&self, context: &Context<'_>) -> Result<String, TemplateError> {
        render::render(self, context)
    }

    /// Every label named by `$labels.NAME`, `.Labels.NAME` or `index $labels "NAME"`, with its byte in the text.
    pub fn labels(&self) -> Vec<(&str, usize)> {
        let mut found = Vec::new();
        self.walk(&mut |command| command.labels(&mut found));
        found
    }

    /// Where it first asks for samples (`query`), if it does.
    pub fn asks(&self) -> Option<usize> {
        let mut first = None;
        self.walk(&mut |command| first = first.or(command.calls("query")));
        first
    }

    /// Where it first shows the alert's value, if it does: byte and length.
    pub fn shows_value(&self) -> Option<(usize, usize)> {
        let mut first = None;
        self.walk(&mut |command| {
            let value = command.operands().iter().find(|operand| operand.is_value());
            first = first.or(value.map(|operand| (operand.at, operand.length)));
        });
        first
    }

    /// Whether it has no actions at all.
    pub fn is_literal(&self) -> bool {
        self.definitions.is_empty() && self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    fn walk<'t>(&'t self, visit: &mut dyn FnMut(&'t syntax::Command)) {
        let bodies = self.definitions.values().chain([&self.pieces]);
        bodies.flatten().for_each(|piece| piece.walk(visit));
    }
}

/// Reads and renders `text` with the alert's labels and value.
pub fn render(text: &str, labels: &BTreeMap<String, String>, value: f64) -> Result<String, TemplateError> {
    Template::parse(text)?.render(labels, value)
}

#[cfg(test)]
mod tests;
