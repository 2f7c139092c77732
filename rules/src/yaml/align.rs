//! From a place in a scalar's value to the place in the file.

use super::{Kind, Node, Source, Style};

impl Source {
    /// The byte of the file at which byte `at` of the scalar's value stands. Value and file are walked side by side, since
    /// quoting, escapes, folding and indentation keep the order of characters.
    pub fn within(&self, node: &Node, at: usize) -> usize {
        let Kind::Scalar(value, style) = &node.kind else { return node.start };
        let raw = &self.text[node.start.min(self.text.len())..node.end.min(self.text.len())];
        let mut place = opening(raw, *style);
        for (byte, c) in value.char_indices() {
            place = seek(raw, place, c, *style);
            if byte >= at {
                return node.start + place;
            }
            place += width(&raw[place..], *style);
        }
        // Behind the last character: before the closing quote, or right after the text.
        node.start + place.min(raw.trim_end().len())
    }
}

/// Bytes before the value's first character: a quote, or a block's header line.
fn opening(raw: &str, style: Style) -> usize {
    match style {
        Style::Plain => 0,
        Style::SingleQuoted | Style::DoubleQuoted => usize::from(raw.starts_with(['\'', '"'])),
        Style::Block if raw.starts_with(['|', '>']) => raw.find('\n').map_or(raw.len(), |end| end + 1),
        Style::Block => 0,
    }
}

/// Skips the space that folding and indentation put before `wanted`.
fn seek(raw: &str, from: usize, wanted: char, style: Style) -> usize {
    let mut place = from;
    while let Some(c) = raw[place..].chars().next() {
        let line_break = style == Style::DoubleQuoted && raw[place..].starts_with("\\\n");
        if line_break {
            place += 2;
        } else if c != wanted && c.is_whitespace() {
            place += c.len_utf8();
        } else {
            break;
        }
    }
    place
}

/// Bytes of the file that the character here takes, its escape included.
fn width(rest: &str, style: Style) -> usize {
    let Some(first) = rest.chars().next() else { return 0 };
    let escaped = rest.chars().nth(1).map_or(0, char::len_utf8);
    match (style, first) {
        (Style::SingleQuoted, '\'') if rest.starts_with("''") => 2,
        (Style::DoubleQuoted, '\\') => match rest.as_bytes().get(1) {
            Some(b'x') => rest.len().min(4),
            Some(b'u') => rest.len().min(6),
            Some(b'U') => rest.len().min(10),
            _ => 1 + escaped,
        },
        _ => first.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_word_in_a_value_is_found_in_the_file() {
        // The value of each holds the word `here`; so does the file, once.
        let table = [
            "a: plain here\n",
            "a: folded\n   plain here and\n   on\n",
            "a: 'it''s here'\n",
            "a: \"tab\\t\\\"\\u00e9\\x41 here\"\n",
            "a: \"broken \\\n   line here\"\n",
            "a: |\n  first\n    second here\n",
            "a: >-\n  first\n  second here\n\n  third\n",
            "a: é here\n",
            "a: {b: 1, c: [x, 'y here']}\n",
        ];
        for text in table {
            let source = Source::new("test.yaml", text);
            let root = parse(&source).expect(text);
            let node = holder(&root).expect(text);
            let at = node.scalar().and_then(|value| value.find("here")).expect(text);
            assert_eq!(source.within(node, at), text.find("here").expect(text), "{text:?}");
        }
    }

    fn holder(node: &Node) -> Option<&Node> {
        match &node.kind {
            Kind::Scalar(value, _) => value.contains("here").then_some(node),
            Kind::Null => None,
            Kind::List(nodes) => nodes.iter().find_map(holder),
            Kind::Map(entries) => entries.iter().find_map(|(_, value)| holder(value)),
        }
    }
}
