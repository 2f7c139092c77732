//! Text and the tokens of actions.

use super::TemplateError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text between actions, trimmed where `{{-` or `-}}` ask for it.
    Text(String),
    /// `{{` and `}}`
    Open,
    Close,
    /// `if`, `eq`, `humanize` …
    Word(String),
    /// `$labels`; `$` alone is the empty name.
    Variable(String),
    /// `.Labels`; `.` alone is the empty name. Follows a variable without a space where it is its field.
    Field(String),
    String(String),
    Int(i64),
    Float(f64),
    Pipe,
    Assign,
    Equals,
    OpenParen,
    CloseParen,
    Comma,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned {
    pub token: Token,
    pub at: usize,
    pub length: usize,
    /// Whether space stands before it.
    pub spaced: bool,
}

pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, TemplateError> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    while at < text.len() {
        let open = text[at..].find("{{").map(|place| at + place);
        push_text(&mut found, text, at, open, trim_next);
        let Some(open) = open else { break };
        (at, trim_next) = action(text, open, &mut found)?;
    }
    found.push(Spanned { token: Token::End, at: text.len(), length: 0, spaced: false });
    Ok(found)
}

fn push_text(found: &mut Vec<Spanned>, text: &str, at: usize, open: Option<usize>, trim_start: bool) {
    let mut piece = &text[at..open.unwrap_or(text.len())];
    if trim_start {
        piece = piece.trim_start();
    }
    if open.is_some_and(|open| trims_left(&text[open..])) {
        piece = piece.trim_end();
    }
    if !piece.is_empty() {
        found.push(Spanned { token: Token::Text(piece.to_owned()), at, length: piece.len(), spaced: false });
    }
}

fn trims_left(rest: &str) -> bool {
    rest.strip_prefix("{{-").is_some_and(|after| after.starts_with(|c: char| c.is_ascii_whitespace()))
}

/// Reads one action from its `{{`; returns the byte after its `}}` and whether that trims what follows.
fn action(text: &str, open: usize, found: &mut Vec<Spanned>) -> Result<(usize, bool), TemplateError> {
    let start = open + if trims_left(&text[open..]) { 3 } else { 2 };
    let unclosed = || TemplateError::new(open, 2, "this action has no closing '}}'");
    if text[start..].trim_start().starts_with("/*") {
        let end = text[start..].find("*/").ok_or_else(|| TemplateError::new(open, 2, "this comment has no '*/'"))?;
        let (after, trims) = close_at(text, start + end + 2).ok_or_else(unclosed)?;
        return Ok((after, trims));
    }
    found.push(Spanned { token: Token::Open, at: open, length: 2, spaced: false });
    let mut at = start;
    let mut spaced = false;
    loop {
        if let Some((after, trims)) = close_at(text, at) {
            found.push(Spanned { token: Token::Close, at: after - 2, length: 2, spaced });
            return Ok((after, trims));
        }
        let first = text[at..].chars().next().ok_or_else(unclosed)?;
        if first.is_ascii_whitespace() {
            at += 1;
            spaced = true;
            continue;
        }
        let (token, length) = token(text, at, first)?;
        found.push(Spanned { token, at, length, spaced });
        at += length;
        spaced = false;
    }
}

/// `}}` or ` -}}` here: the byte after it, and whether it trims.
fn close_at(text: &str, at: usize) -> Option<(usize, bool)> {
    let rest = &text[at..];
    let blank = rest.len() - rest.trim_start().len();
    if blank > 0 && rest[blank..].starts_with("-}}") {
        return Some((at + blank + 3, true));
    }
    rest[blank..].starts_with("}}").then_some((at + blank + 2, false))
}

fn token(text: &str, at: usize, first: char) -> Result<(Token, usize), TemplateError> {
    let rest = &text[at..];
    Ok(match first {
        '|' => (Token::Pipe, 1),
        '(' => (Token::OpenParen, 1),
        ')' => (Token::CloseParen, 1),
        ',' => (Token::Comma, 1),
        ':' if rest.starts_with(":=") => (Token::Assign, 2),
        '=' => (Token::Equals, 1),
        '$' => {
            let name = word(&rest[1..]);
            (Token::Variable(name.to_owned()), 1 + name.len())
        }
        '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let name = word(&rest[1..]);
            (Token::Field(name.to_owned()), 1 + name.len())
        }
        '"' | '`' => string(text, at, first)?,
        '\'' => character(text, at)?,
        '0'..='9' | '.' | '-' | '+' => number(rest, at)?,
        c if c.is_alphabetic() || c == '_' => {
            let name = word(rest);
            (Token::Word(name.to_owned()), name.len())
        }
        c => return Err(TemplateError::new(at, c.len_utf8(), format!("'{c}' is not expected in an action"))),
    })
}

fn word(rest: &str) -> &str {
    &rest[..rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())]
}

/// As Go's constants: with a point or an exponent a float, else an int.
fn number(rest: &str, at: usize) -> Result<(Token, usize), TemplateError> {
    let mut end = 1;
    for c in rest[1..].chars() {
        let is_exponent_sign = matches!(c, '+' | '-') && rest[..end].ends_with(['e', 'E']) && !is_hexadecimal(rest);
        if !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || is_exponent_sign) {
            break;
        }
        end += c.len_utf8();
    }
    let written = rest[..end].replace('_', "");
    let token = if let Some(value) = prefixed(&written) {
        value.map(Token::Int)
    } else if written.contains(['.', 'e', 'E']) {
        written.parse().ok().map(Token::Float)
    } else {
        written.parse().ok().map(Token::Int)
    };
    // Rust would read "inf" and "nan" as numbers; Go knows them as words only.
    let digits = written.trim_start_matches(['+', '-']);
    let token = token.filter(|_| digits.starts_with(|c: char| c.is_ascii_digit() || c == '.'));
    let wrong = || TemplateError::new(at, end, format!("\"{}\" is no number", &rest[..end]));
    token.map(|token| (token, end)).ok_or_else(wrong)
}

/// An int in base 16, 8 or 2, as its prefix says; none where it has no prefix.
fn prefixed(written: &str) -> Option<Option<i64>> {
    let digits = written.trim_start_matches(['+', '-']);
    let sign = if written.starts_with('-') { -1 } else { 1 };
    let (base, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        Some(_) if digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) => (8, &digits[1..]),
        _ => return None,
    };
    Some(i64::from_str_radix(digits, base).ok().map(|value| sign * value))
}

/// `'a'`: the character's number.
fn character(text: &str, at: usize) -> Result<(Token, usize), TemplateError> {
    let rest = &text[at + 1..];
    let (length, c) = match rest.chars().next() {
        Some('\\') if rest.starts_with("\\'") => (2, '\''),
        Some('\\') => escape(rest).map_err(|length| wrong_escape(at + 1, &rest[..length]))?,
        Some(c) if c != '\'' && c != '\n' => (c.len_utf8(), c),
        _ => return Err(TemplateError::new(at, 1, "a character is expected between the quotes")),
    };
    if !rest[length..].starts_with('\'') {
        return Err(TemplateError::new(at, 1, "single quotes hold one character; texts stand in double quotes"));
    }
    Ok((Token::Int(i64::from(u32::from(c))), length + 2))
}

fn is_hexadecimal(written: &str) -> bool {
    let digits = written.trim_start_matches(['+', '-']);
    digits.starts_with("0x") || digits.starts_with("0X")
}

fn string(text: &str, at: usize, quote: char) -> Result<(Token, usize), TemplateError> {
    let open = || TemplateError::new(at, 1, "the string that begins here is not closed");
    let body = &text[at + 1..];
    if quote == '`' {
        let end = body.find('`').ok_or_else(open)?;
        return Ok((Token::String(body[..end].to_owned()), end + 2));
    }
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::String(value), place + 2)),
            '\n' => return Err(open()),
            '\\' => {
                let (length, c) = escape(&body[place..])
                    .map_err(|length| wrong_escape(at + 1 + place, &body[place..place + length]))?;
                value.push(c);
                // Characters of the escape behind its backslash.
                for _ in 1..body[place..place + length].chars().count() {
                    chars.next();
                }
            }
            c => value.push(c),
        }
    }
    Err(open())
}

fn wrong_escape(at: usize, written: &str) -> TemplateError {
    let wrong = format!("{written} is no escape here; for a plain backslash write \\\\");
    TemplateError::new(at, written.len(), wrong)
}

/// One of Go's escapes at the start of `rest`: its length and what it stands for; the error is the length of what is none.
fn escape(rest: &str) -> Result<(usize, char), usize> {
    let kind = rest[1..].chars().next().ok_or(1_usize)?;
    let plain = match kind {
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        '\\' | '"' => Some(kind),
        _ => None,
    };
    if let Some(plain) = plain {
        return Ok((2, plain));
    }
    let (from, digits, radix) = match kind {
        'x' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        '0'..='7' => (1, 3, 8),
        other => return Err(1 + other.len_utf8()),
    };
    let code = rest.get(from..from + digits).and_then(|code| u32::from_str_radix(code, radix).ok());
    code.and_then(char::from_u32).map(|c| (from + digits, c)).ok_or(1 + kind.len_utf8())
}
