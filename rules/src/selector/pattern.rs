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
    compile(&format!("^(?s:{})$", rewritten(pattern)?))
}

/// Compiles `pattern` to be found anywhere in a text, as templates use it.
pub fn unanchored(pattern: &str) -> Result<Regex, String> {
    compile(&rewritten(pattern)?)
}

fn rewritten(pattern: &str) -> Result<String, String> {
    rewrite(pattern).map_err(|reason| format!("the regular expression does not compile: {reason}"))
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

fn rewrite(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    let mut is_repeated = false;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = repetition(rest).filter(|_| !in_class) {
            if is_repeated {
                return Err(format!("a repetition cannot be repeated: {}", &rest[..length]));
            }
            counted(&rest[..length])?;
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            is_repeated = true;
            continue;
        }
        is_repeated = false;
        let taken = match c {
            '\\' => escape(rest, in_class, &mut out),
            '[' if !in_class => {
                in_class = true;
                class_opening(rest, &mut out)
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => posix_class(rest, &mut out),
            '[' | '&' | '~' if in_class => plain(c, &mut out),
            // A range that ends in a hyphen, not a difference of classes.
            '-' if in_class && rest.starts_with("--") => {
                out.push_str("-\\-");
                2
            }
            ']' if in_class => {
                in_class = false;
                literal(c, &mut out)
            }
            '{' if !in_class => plain(c, &mut out),
            '(' if !in_class => {
                known_flags(rest)?;
                literal(c, &mut out)
            }
            c => literal(c, &mut out),
        };
        rest = &rest[taken..];
    }
    Ok(out)
}

/// Bytes of a repetition that `rest` begins with, its `?` included: `*`, `+?`, `{2,3}`. Other braces are plain.
fn repetition(rest: &str) -> Option<usize> {
    let length = match rest.as_bytes().first()? {
        b'*' | b'+' | b'?' => 1,
        b'{' => {
            let end = rest.find('}')?;
            let (least, most) = rest[1..end].split_once(',').unwrap_or((&rest[1..end], ""));
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number(least) || !(most.is_empty() || is_number(most)) {
                return None;
            }
            end + 1
        }
        _ => return None,
    };
    Some(length + usize::from(rest[length..].starts_with('?')))
}

/// RE2 repeats a thousand times at most.
fn counted(repetition: &str) -> Result<(), String> {
    let numbers = repetition.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    for number in numbers {
        if number.parse::<u32>().map_or(true, |number| number > 1000) {
            return Err(format!("{number} repetitions are more than 1000"));
        }
    }
    Ok(())
}

/// `(?i)`, `(?s-m:…)`: RE2 knows i, m, s and U.
fn known_flags(rest: &str) -> Result<(), String> {
    let Some(flags) = rest.strip_prefix("(?") else { return Ok(()) };
    let unknown = flags.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '-').find(|c| !"imsU-".contains(*c));
    match unknown {
        Some(unknown) if unknown != 'P' => Err(format!("there is no flag '{unknown}'; there are i, m, s and U")),
        _ => Ok(()),
    }
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
        'x' | 'p' | 'P' if rest[2..].starts_with('{') => {
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            out.push_str(&rest[..end]);
            return end;
        }
        '0'..='7' => {
            let digits = rest[1..].bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            // A single digit from 1 on would refer back, which neither knows.
            if kind != '0' && digits == 1 {
                out.push('\\');
                out.push(kind);
                return 2;
            }
            let code = u32::from_str_radix(&rest[1..=digits], 8).unwrap_or_default();
            out.push_str(&format!("\\x{{{code:x}}}"));
            return 1 + digits;
        }
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
