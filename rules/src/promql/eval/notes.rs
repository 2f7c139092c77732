//! Warnings and infos, each once and not without end.

use super::Note;
use crate::promql::ast::Span;

/// Notes of one kind that are kept; more say nothing new.
const NOTES_MAX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    pub fn add(&mut self, span: Span, message: impl Into<String>) {
        let note = Note { span, message: message.into() };
        if self.0.len() < NOTES_MAX && !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    pub fn into_vec(self) -> Vec<Note> {
        self.0
    }
}
