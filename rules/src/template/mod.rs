//! Prometheus's template language, as far as rule files use it: Go's text/template over `$labels` and `$value`.
//!
//! Taken: `{{ $labels.NAME }}`, `{{ .Labels.NAME }}`, `{{ $value }}`, `{{ .Value }}`, pipes, parentheses, `if`, `else if`,
//! `else`, `with`, `end`, `$name := …`, comments, `{{-` and `-}}`, and the functions of [`functions::NAMES`]. Not taken:
//! `range`, `define`, `template` and what queries a store (`query`, `first`, `value` …); a sentence says so. A missing
//! label is the empty string, as in Prometheus.

mod functions;
mod lex;
mod number;
mod parse;
mod render;

use std::collections::BTreeMap;

/// A template that was read and checked: functions, variables and fields are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pieces: Vec<parse::Piece>,
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
}

impl TemplateError {
    fn new(at: usize, length: usize, message: impl Into<String>) -> Self {
        Self { at, length: length.max(1), message: message.into(), near: None }
    }
}

/// Bytes that a rendered template may have; beyond it rendering fails rather than fill memory.
pub const RENDERED_BYTES_MAX: usize = 64 * 1024;

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::template(text)
    }

    /// Renders with the alert's labels and value.
    pub fn render(&self, labels: &BTreeMap<String, String>, value: f64) -> Result<String, TemplateError> {
        render::render(&self.pieces, labels, value)
    }

    /// Every label named by `$labels.NAME`, `.Labels.NAME` or `index $labels "NAME"`, with its byte in the text.
    pub fn labels(&self) -> Vec<(&str, usize)> {
        parse::labels(&self.pieces)
    }

    /// Whether it has no actions at all.
    pub fn is_literal(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, parse::Piece::Text(_)))
    }
}

/// Reads and renders `text` with the alert's labels and value.
pub fn render(text: &str, labels: &BTreeMap<String, String>, value: f64) -> Result<String, TemplateError> {
    Template::parse(text)?.render(labels, value)
}

#[cfg(test)]
mod tests;
