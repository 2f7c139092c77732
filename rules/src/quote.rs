//! Texts in double quotes, as Go's `strconv.Quote` writes them: Prometheus shows labels and strings so.

/// So that reading it gives the text again; what cannot be seen is escaped.
pub(crate) fn quoted(text: &str) -> String {
    escaped(text, is_printable)
}

/// As [`quoted`], in ASCII alone.
pub(crate) fn quoted_in_ascii(text: &str) -> String {
    escaped(text, |c| c.is_ascii() && is_printable(c))
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if stays(c) => out.push(c),
            c if c.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) > 0xffff => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Letters, marks, numbers, punctuation, symbols and the plain space. Behind another character marks are no exception to
/// what the standard library shows, which else knows the same ones.
fn is_printable(c: char) -> bool {
    let shown: String = ['.', c].iter().collect();
    c == '\'' || shown.escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        let table = [
            ("it's", r#""it's""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\t\r\u{7}\u{8}\u{b}\u{c}", r#""\n\t\r\a\b\v\f""#),
            ("\0\u{1b}\u{7f}", r#""\x00\x1b\x7f""#),
            ("ü ☺ e\u{301}", "\"ü ☺ e\u{301}\""),
            ("\u{a0}\u{200b}\u{2028}\u{feff}", r#""\u00a0\u200b\u2028\ufeff""#),
            ("\u{e0001}", r#""\U000e0001""#),
        ];
        for (text, expected) in table {
            assert_eq!(quoted(text), expected);
        }
        assert_eq!(quoted_in_ascii("ü☺\u{1f600}"), r#""\u00fc\u263a\U0001f600""#);
    }
}
