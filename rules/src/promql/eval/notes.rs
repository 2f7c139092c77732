//! Warnings and infos, each once and not without end.

use super::{Evaluated, Note};
use crate::promql::ast::Span;

/// Notes of one kind that are kept; more say nothing new.
const NOTES_MAX: usize = 1_000;

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

/// Notes of one kind that an answer shows, as in Prometheus's API.
const SHOWN_MAX: usize = 10;

impl Evaluated {
    /// The warnings and the infos as Prometheus's API gives them: with their kind, and the line and character of `text`,
    /// which was evaluated, where the part begins that they are about.
    pub fn annotations(&self, text: &str) -> (Vec<String>, Vec<String>) {
        (shown("warning", &self.warnings, text), shown("info", &self.infos, text))
    }
}

fn shown(kind: &str, notes: &[Note], text: &str) -> Vec<String> {
    let place = |note: &Note| {
        let before = text.get(..note.span.from).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let character = before.rsplit('\n').next().unwrap_or_default().len() + 1;
        format!("PromQL {kind}: {} ({line}:{character})", note.message)
    };
    let mut shown: Vec<String> = notes.iter().take(SHOWN_MAX).map(place).collect();
    if notes.len() > SHOWN_MAX {
        shown.push(format!("{} more {kind} annotations omitted", notes.len() - SHOWN_MAX));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::eval::Value;

    #[test]
    fn notes_are_shown_with_kind_and_place_and_not_all_of_them() {
        let text = "a +\n rate(b[5m])";
        let mut notes = Notes::default();
        for place in 0..12 {
            notes.add(Span { from: 10, to: 15 }, format!("note {place}"));
            notes.add(Span { from: 10, to: 15 }, "note 0");
        }
        let evaluated = Evaluated { value: Value::Scalar(0.0), warnings: Vec::new(), infos: notes.into_vec() };
        let (warnings, infos) = evaluated.annotations(text);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(infos.len(), 11);
        assert_eq!(infos[0], "PromQL info: note 0 (2:7)");
        assert_eq!(infos[10], "2 more info annotations omitted");
    }
}
