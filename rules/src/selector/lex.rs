//! The tokens of selectors and conditions.

use super::SelectorError;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A metric or label name; `:` may stand in it.
    Name(String),
    /// A quoted string, escapes resolved.
    Text(String),
    /// `$name`
    Binding(String),
    /// A number as written, sign included.
    Number(f64),
    /// What begins as a number and is none: `5m`.
    NoNumber(String),
    /// `{ } ( ) [ ] , = != =~ !~ == < <= > >= + - * / % ^`
    Sign(&'static str),
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spanned {
    pub token: Token,
    pub at: usize,
    pub length: usize,
}

/// Longer signs before their prefixes.
const SIGNS: [&str; 24] = [
    "=~", "!~", "!=", "==", "<=", ">=", "{", "}", "(", ")", "[", "]", ",", "=", "<", ">", "+", "-", "*", "/", "%", "^",
    "@", ":",
];

/// All tokens of `text`, `End` last.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, SelectorError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if first == '#' {
            // A comment, to the end of its line.
            at += text[at..].find(['\n', '\r']).unwrap_or(text.len() - at);
            continue;
        }
        let (token, length) = token(text, at, first)?;
        found.push(Spanned { token, at, length });
        at += length;
    }
    found.push(Spanned { token: Token::End, at: text.len(), length: 0 });
    Ok(found)
}

fn token(text: &str, at: usize, first: char) -> Result<(Token, usize), SelectorError> {
    let rest = &text[at..];
    match first {
        '"' | '\'' | '`' => string(text, at, first),
        '$' => {
            let name = name_at(&rest[1..]);
            if name.is_empty() {
                return Err(SelectorError::new(at, 1, "'$' needs a name after it, for example $host"));
            }
            Ok((Token::Binding(name.to_owned()), name.len() + 1))
        }
        'a'..='z' | 'A'..='Z' | '_' => {
            let name = name_at(rest);
            Ok((Token::Name(name.to_owned()), name.len()))
        }
        '0'..='9' | '.' => Ok(number(rest)),
        _ => SIGNS
            .iter()
            .find(|sign| rest.starts_with(**sign))
            .map(|sign| (Token::Sign(sign), sign.len()))
            .ok_or_else(|| SelectorError::new(at, first.len_utf8(), format!("'{first}' is not expected here"))),
    }
}

fn name_at(rest: &str) -> &str {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
    &rest[..end]
}

fn number(rest: &str) -> (Token, usize) {
    let mut end = 0;
    let bytes = rest.as_bytes();
    while end < bytes.len() {
        let exponent_sign = matches!(bytes[end], b'+' | b'-')
            && end > 0
            && matches!(bytes[end - 1], b'e' | b'E')
            && !rest.starts_with("0x");
        if !(bytes[end].is_ascii_alphanumeric() || matches!(bytes[end], b'.' | b'_') || exponent_sign) {
            break;
        }
        end += 1;
    }
    let written = &rest[..end];
    let token = number_written(written).map_or_else(|| Token::NoNumber(written.to_owned()), Token::Number);
    (token, end)
}

/// As Go reads a number: `0x` is hexadecimal, a whole number that begins with 0 is octal where it can be, and `_` stands
/// between digits only. Hexadecimal numbers have 63 bits; what no float can hold is none.
fn number_written(written: &str) -> Option<f64> {
    let is_separated = |place: usize| {
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit() || matches!(c, 'x' | 'X'));
        is_digit(written[..place].chars().next_back()) && is_digit(written[place + 1..].chars().next())
    };
    if !written.match_indices('_').all(|(place, _)| is_separated(place)) {
        return None;
    }
    let plain = written.replace('_', "");
    if let Some(digits) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return i64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')).map(|whole| whole as f64);
    }
    if plain.len() > 1
        && plain.starts_with('0')
        && plain.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
        && let Ok(whole) = i64::from_str_radix(&plain, 8)
    {
        return Some(whole as f64);
    }
    plain.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A quoted string at `at`; the length returned covers its quotes.
fn string(text: &str, at: usize, quote: char) -> Result<(Token, usize), SelectorError> {
    let open = || SelectorError::new(at, 1, format!("the string that begins here has no closing {quote}"));
    let body = &text[at + 1..];
    if quote == '`' {
        let end = body.find('`').ok_or_else(open)?;
        return Ok((Token::Text(body[..end].to_owned()), end + 2));
    }
    let mut bytes = Vec::new();
    let mut place = 0;
    loop {
        let c = body[place..].chars().next().ok_or_else(open)?;
        match c {
            c if c == quote => break,
            '\n' => return Err(open()),
            '\\' => {
                place += escape(body, place, quote, &mut bytes).map_err(|message| {
                    let length = 1 + body[place + 1..].chars().next().map_or(0, char::len_utf8);
                    SelectorError::new(at + 1 + place, length, message)
                })?
            }
            c => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                place += c.len_utf8();
            }
        }
    }
    // Go's strings may hold any bytes; ours show those that are no UTF-8 as U+FFFD, as Go does where it writes them.
    Ok((Token::Text(String::from_utf8_lossy(&bytes).into_owned()), place + 2))
}

/// Resolves one of Go's escapes at `place` (a backslash) and returns how long it is.
fn escape(body: &str, place: usize, quote: char, into: &mut Vec<u8>) -> Result<usize, String> {
    let kind = body[place + 1..].chars().next().ok_or("a string cannot end in a backslash")?;
    let simple = match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' | '\'' if kind == quote => kind as u8,
        'x' => return numeric_escape(body, place + 2, 2, 16, into).map(|()| 4),
        'u' => return numeric_escape(body, place + 2, 4, 16, into).map(|()| 6),
        'U' => return numeric_escape(body, place + 2, 8, 16, into).map(|()| 10),
        '0'..='7' => return numeric_escape(body, place + 1, 3, 8, into).map(|()| 4),
        other => return Err(format!("\\{other} is no escape; for a plain backslash write \\\\")),
    };
    into.push(simple);
    Ok(2)
}

/// `\xHH` and `\nnn` are bytes, `\u` and `\U` are characters.
fn numeric_escape(body: &str, from: usize, digits: usize, base: u32, into: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || format!("this escape needs {digits} digits of base {base}");
    let written = body.get(from..from + digits).ok_or_else(wrong)?;
    if !written.chars().all(|c| c.is_digit(base)) {
        return Err(wrong());
    }
    let value = u32::from_str_radix(written, base).map_err(|_| wrong())?;
    if digits <= 3 {
        into.push(u8::try_from(value).map_err(|_| format!("\\{written} is more than a byte"))?);
    } else {
        let c = char::from_u32(value).ok_or_else(|| format!("{written} is no Unicode character"))?;
        into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(())
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
pub(crate) fn is_label_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
