//! Go's `fmt.Sprintf`. What does not fit is said within the text (`%!d(float64=0.5)`), as Go does, and fails nothing.

use super::value::Value;
use crate::number;
use crate::quote::{quoted, quoted_in_ascii};

/// Widths and precisions beyond this are refused.
const WIDTH_MAX: usize = 1000;

/// `%v %s %q %d %t %f %e %g %x %o %b %c %U %T %%` with `-`, `+`, `#`, `0`, space, width, precision, `*` and `[n]`.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut taken = Taken { values, next: 0, is_reordered: false, is_bad: false };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (verb, after) = Verb::read(&rest[at + 1..], &mut taken)?;
        rest = after;
        match verb.letter {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) if std::mem::take(&mut taken.is_bad) => out.push_str(&format!("%!{letter}(BADINDEX)")),
            Some(letter) => match taken.next() {
                Some(value) => out.push_str(&verb.written(letter, value)),
                None => out.push_str(&format!("%!{letter}(MISSING)")),
            },
        }
    }
    out.push_str(rest);
    let is_reordered = taken.is_reordered;
    let extra: Vec<String> = taken.map(typed).collect();
    if !extra.is_empty() && !is_reordered {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

/// The values one by one, or as `[n]` picks them.
struct Taken<'v> {
    values: &'v [Value],
    next: usize,
    /// After a `[n]`, values that are left over are no mistake.
    is_reordered: bool,
    /// A `[n]` named none.
    is_bad: bool,
}

impl<'v> Iterator for Taken<'v> {
    type Item = &'v Value;

    fn next(&mut self) -> Option<&'v Value> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        Some(value)
    }
}

impl Taken<'_> {
    /// Takes a `[n]` at the start of `rest`: the value that is next, counted from 1.
    fn pick(&mut self, rest: &mut &str) {
        let Some((inner, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return };
        let place = inner.parse::<usize>().ok().filter(|place| (1..=self.values.len()).contains(place));
        self.is_reordered = true;
        match place {
            Some(place) => self.next = place - 1,
            None => self.is_bad = true,
        }
        *rest = after;
    }
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
    fn read<'t>(text: &'t str, values: &mut Taken<'_>) -> Result<(Self, &'t str), String> {
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
        values.pick(&mut rest);
        let width = number(&mut rest, values)?;
        verb.left |= width < 0;
        verb.width = bounded(width)?;
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            values.pick(&mut rest);
            verb.precision = Some(bounded(number(&mut rest, values)?)?);
        }
        values.pick(&mut rest);
        verb.letter = rest.chars().next();
        let length = verb.letter.map_or(0, char::len_utf8);
        Ok((verb, &rest[length..]))
    }

    fn written(&self, letter: char, value: &Value) -> String {
        match (letter, value) {
            // With 'v' a plus asks for names of fields, which nothing here has, and a sharp for Go's own notation.
            ('v', Value::Float(value)) => Self { plus: false, sharp: false, ..*self }.float('g', *value),
            ('v', Value::Int(value)) => Self { plus: false, sharp: false, ..*self }.int('d', *value),
            ('v', Value::Text(text)) if self.sharp => self.padded(quoted(text)),
            ('v' | 's', Value::Time(_) | Value::Named(_)) => self.padded(self.cut(value.text())),
            (letter, Value::Named(named)) if letter != 'T' => self.written(letter, &Value::Int(named.number)),
            ('v', value) => self.padded(self.cut(value.text_or_nil())),
            ('T', value) => self.padded(value.kind().to_owned()),
            ('t', Value::Bool(value)) => self.padded(value.to_string()),
            ('s', Value::Text(text)) => self.padded(self.cut(text.clone())),
            ('q', Value::Text(text)) if self.sharp && !text.contains('`') => {
                self.padded(format!("`{}`", self.cut(text.clone())))
            }
            ('q', Value::Text(text)) if self.plus => self.padded(quoted_in_ascii(&self.cut(text.clone()))),
            ('q', Value::Text(text)) => self.padded(quoted(&self.cut(text.clone()))),
            ('x' | 'X', Value::Text(text)) => self.padded(hexadecimal(text, letter == 'X', self.space)),
            ('q', Value::Labels(labels)) => {
                let pairs = labels.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)));
                format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
            }
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
            'U' if self.sharp => return self.padded(format!("U+{magnitude:04X} '{character}'")),
            'U' => return self.padded(format!("U+{magnitude:04X}")),
            'b' => format!("{}{magnitude:b}", if self.sharp { "0b" } else { "" }),
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
fn number(rest: &mut &str, values: &mut Taken<'_>) -> Result<i64, String> {
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

fn hexadecimal(text: &str, upper: bool, spaced: bool) -> String {
    let byte = |byte: u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
    text.bytes().map(byte).collect::<Vec<_>>().join(if spaced { " " } else { "" })
}
