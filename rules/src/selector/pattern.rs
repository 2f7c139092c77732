//! Prometheus's regular expressions (RE2) by the `regex` crate.
//!
//! Both are of one family; where they differ, the pattern is rewritten before it is compiled: RE2's `\d \w \s \b` are
//! ASCII, `\Q…\E` quotes, `[` `&` `~` within a class are plain, and `\<` is a plain `<`.

use regex::Regex;

/// Compiled size that one pattern may have, bytes; beyond it the pattern is refused.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiles `pattern` as `^(?s:pattern)$`. The error is one line for the pattern's author.
pub fn anchored(pattern: &str) -> Result<Regex, String> {
    // First alone, so that `a)(b` cannot borrow our parentheses and the error speaks of the author's text.
    unanchored(pattern)?;
    compile(&format!("^(?s:{})$", rewrite(pattern)))
}

/// Compiles `pattern` to be found anywhere in a text, as templates use it.
pub fn unanchored(pattern: &str) -> Result<Regex, String> {
    compile(&rewrite(pattern))
}

fn compile(rewritten: &str) -> Result<Regex, String> {
    let built = regex::RegexBuilder::new(rewritten).size_limit(COMPILED_BYTES_MAX).build();
    built.map_err(|error| format!("the regular expression does not compile: {}", reason(&error)))
}

fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::Syntax(text) => {
            text.lines().last().unwrap_or(text).trim_start_matches("error: ").trim().to_owned()
        }
        regex::Error::CompiledTooBig(limit) => format!("it is larger than {limit} bytes when compiled"),
        other => other.to_string(),
    }
}

fn rewrite(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '\\' => escape(rest, in_class, &mut out),
            '[' if !in_class => {
                in_class = true;
                class_opening(rest, &mut out)
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => posix_class(rest, &mut out),
            '[' | '&' | '~' if in_class => plain(c, &mut out),
            ']' if in_class => {
                in_class = false;
                literal(c, &mut out)
            }
            c => literal(c, &mut out),
        };
        rest = &rest[taken..];
    }
    out
}

fn literal(c: char, out: &mut String) -> usize {
    out.push(c);
    c.len_utf8()
}

fn plain(c: char, out: &mut String) -> usize {
    out.push('\\');
    literal(c, out)
}

/// `[`, `[^`, and a `]` right after them, which is plain.
fn class_opening(rest: &str, out: &mut String) -> usize {
    let opening = if rest.starts_with("[^") { "[^" } else { "[" };
    out.push_str(opening);
    if rest[opening.len()..].starts_with(']') {
        out.push_str("\\]");
        return opening.len() + 1;
    }
    opening.len()
}

fn posix_class(rest: &str, out: &mut String) -> usize {
    let end = rest.find(":]").map_or(1, |at| at + 2);
    out.push_str(&rest[..end]);
    end
}

fn escape(rest: &str, in_class: bool, out: &mut String) -> usize {
    let Some(kind) = rest[1..].chars().next() else {
        return literal('\\', out);
    };
    match kind {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\f\\r ]"),
        'S' => out.push_str("[^\\t\\n\\f\\r ]"),
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        'B' if !in_class => out.push_str("(?-u:\\B)"),
        '<' | '>' => out.push(kind),
        'Q' => {
            let quoted = &rest[2..];
            let end = quoted.find("\\E").unwrap_or(quoted.len());
            out.push_str(&regex::escape(&quoted[..end]));
            return (2 + end + 2).min(rest.len());
        }
        other => {
            out.push('\\');
            out.push(other);
        }
    }
    1 + kind.len_utf8()
}
