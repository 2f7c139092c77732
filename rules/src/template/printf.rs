//! Go's `fmt.Sprintf`. What does not fit is said within the text (`%!d(float64=0.5)`), as Go does, and fails nothing.

use super::value::Value;
use crate::number;

/// Widths and precisions beyond this are refused.
const WIDTH_MAX: usize = 1000;

/// `%v %s %q %d %t %f %e %g %x %o %b %c %U %%` with `-`, `+`, `#`, `0`, space, width, precision and `*`.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (verb, after) = Verb::read(&rest[at + 1..], &mut values)?;
        rest = after;
        match verb.letter {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match values.next() {
                Some(value) => out.push_str(&verb.written(letter, value)),
                None => out.push_str(&format!("%!{letter}(MISSING)")),
            },
        }
    }
    out.push_str(rest);
    let extra: Vec<String> = values.map(typed).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

fn typed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        value => format!("{}={}", value.kind(), value.text()),
    }
}

#[derive(Debug, Default)]
struct Verb {
    left: bool,
    plus: bool,
    space: bool,
    sharp: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    letter: Option<char>,
}

impl Verb {
    /// Reads what stands behind a `%`.
    fn read<'t, 'v>(text: &'t str, values: &mut impl Iterator<Item = &'v Value>) -> Result<(Self, &'t str), String> {
        let mut rest = text.trim_start_matches(['-', '0', '+', ' ', '#']);
        let flags = &text[..text.len() - rest.len()];
        let mut verb = Self {
            left: flags.contains('-'),
            plus: flags.contains('+'),
            space: flags.contains(' '),
            sharp: flags.contains('#'),
            zeros: flags.contains('0') && !flags.contains('-'),
            ..Self::default()
        };
        let width = number(&mut rest, values)?;
        verb.left |= width < 0;
        verb.width = bounded(width)?;
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            verb.precision = Some(bounded(number(&mut rest, values)?)?);
        }
        verb.letter = rest.chars().next();
        let length = verb.letter.map_or(0, char::len_utf8);
        Ok((verb, &rest[length..]))
    }

    fn written(&self, letter: char, value: &Value) -> String {
        match (letter, value) {
            ('v', Value::Float(value)) => self.float('g', *value),
            ('v', Value::Int(value)) => self.int('d', *value),
            ('v', value) => self.padded(self.cut(value.text())),
            ('t', Value::Bool(value)) => self.padded(value.to_string()),
            ('s', Value::Text(text)) => self.padded(self.cut(text.clone())),
            ('q', Value::Text(text)) => self.padded(quoted(&self.cut(text.clone()))),
            ('x' | 'X', Value::Text(text)) => self.padded(hexadecimal(text, letter == 'X')),
            ('d' | 'b' | 'o' | 'x' | 'X' | 'c' | 'U' | 'q', Value::Int(value)) => self.int(letter, *value),
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(value)) => self.float(letter, *value),
            // Go goes into maps and structures and applies the verb to each part; the whole is shown instead.
            ('s' | 'q', Value::Labels(_) | Value::Map(_) | Value::Sample(_) | Value::Samples(_)) => {
                self.padded(value.text())
            }
            (letter, Value::Nil) => format!("%!{letter}(<nil>)"),
            (letter, value) => format!("%!{letter}({})", typed(value)),
        }
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        }
    }

    fn float(&self, letter: char, value: f64) -> String {
        let written = match (letter, self.precision) {
            _ if !value.is_finite() => number::special(value).unwrap_or_default(),
            ('f' | 'F', precision) => format!("{value:.*}", precision.unwrap_or(6)),
            ('e' | 'E', precision) => number::scientific(value, precision.unwrap_or(6)),
            (_, Some(precision)) => number::general(value, precision),
            (_, None) => number::shortest(value),
        };
        let written = if letter.is_ascii_uppercase() && letter != 'F' { written.to_uppercase() } else { written };
        let zeros = self.zeros && value.is_finite();
        // Infinity always shows its sign.
        self.signed(written.trim_start_matches('+'), zeros, value == f64::INFINITY)
    }

    fn int(&self, letter: char, value: i64) -> String {
        let magnitude = value.unsigned_abs();
        let character = u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        let digits = match letter {
            'c' => return self.padded(character.to_string()),
            'q' => return self.padded(format!("'{}'", character.escape_default())),
            'U' => return self.padded(format!("U+{magnitude:04X}")),
            'b' => format!("{magnitude:b}"),
            'o' => format!("{}{magnitude:o}", if self.sharp { "0" } else { "" }),
            'x' => format!("{}{magnitude:x}", if self.sharp { "0x" } else { "" }),
            'X' => format!("{}{magnitude:X}", if self.sharp { "0X" } else { "" }),
            _ => magnitude.to_string(),
        };
        let least = self.precision.unwrap_or(0);
        let digits = format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
        let written = if value < 0 { format!("-{digits}") } else { digits };
        self.signed(&written, self.zeros && self.precision.is_none(), false)
    }

    /// With the sign that the flags ask for, then padded: zeros stand behind the sign.
    fn signed(&self, written: &str, zeros: bool, always: bool) -> String {
        let (sign, digits) = match written.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None if written == "NaN" && !self.plus => ("", written),
            None if self.plus || always => ("+", written),
            None if self.space => (" ", written),
            None => ("", written),
        };
        let length = sign.len() + digits.chars().count();
        if zeros {
            return format!("{sign}{}{digits}", "0".repeat(self.width.saturating_sub(length)));
        }
        self.padded(format!("{sign}{digits}"))
    }

    fn padded(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        match (missing, self.left) {
            (0, _) => text,
            (missing, true) => text + &" ".repeat(missing),
            (missing, false) => " ".repeat(missing) + &text,
        }
    }
}

/// Digits, or `*` for the next value; 0 for none.
fn number<'v>(rest: &mut &str, values: &mut impl Iterator<Item = &'v Value>) -> Result<i64, String> {
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        return match values.next() {
            Some(Value::Int(value)) => Ok(*value),
            _ => Err("the '*' of a printf takes an int".to_owned()),
        };
    }
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    if digits.is_empty() { Ok(0) } else { digits.parse().map_err(|_| format!("%{digits} is too wide")) }
}

fn bounded(width: i64) -> Result<usize, String> {
    let width = width.unsigned_abs();
    let fits = usize::try_from(width).ok().filter(|width| *width <= WIDTH_MAX);
    fits.ok_or_else(|| format!("%{width} is too wide; at most {WIDTH_MAX} are taken"))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn hexadecimal(text: &str, upper: bool) -> String {
    let byte = |byte: u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
    text.bytes().map(byte).collect()
}
