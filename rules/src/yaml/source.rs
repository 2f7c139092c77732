//! A file's text and the places in it.

/// One file as it was handed in.
#[derive(Clone, Debug)]
pub struct Source {
    /// As shown to people.
    pub name: String,
    pub text: String,
    line_starts: Vec<usize>,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts =
            std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1));
        Self { name: name.into(), line_starts: line_starts.collect(), text }
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub fn place(&self, at: usize) -> (usize, usize) {
        let at = self.floor(at);
        let line = self.line_starts.partition_point(|start| *start <= at).max(1);
        let start = self.line_starts[line - 1];
        (line, self.text[start..at].chars().count() + 1)
    }

    /// The text of a line, without its break.
    pub fn line(&self, line: usize) -> &str {
        let Some(start) = line.checked_sub(1).and_then(|place| self.line_starts.get(place)) else { return "" };
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(['\n', '\r'])
    }

    /// Characters from `from` to `to`, at most to the end of `from`'s line, at least 1.
    pub fn length_on_line(&self, from: usize, to: usize) -> usize {
        let from = self.floor(from);
        let rest = &self.text[from..self.floor(to).max(from)];
        rest.lines().next().unwrap_or("").trim_end().chars().count().max(1)
    }

    /// The nearest character boundary at or before `at`.
    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}
