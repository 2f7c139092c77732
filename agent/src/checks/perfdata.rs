//! Performance data: `'label'=value[unit];[warning];[critical];[minimum];[maximum]`, blanks between.

/// Data of one reading at most.
const DATA: usize = 200;

/// One datum, in its base unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Perfdatum {
    pub label: String,
    /// `seconds`, `bytes`, `percent`, or nothing.
    pub unit: &'static str,
    pub is_counter: bool,
    /// `None` where the plugin could not tell (`U`).
    pub value: Option<f64>,
    /// The good values; outside of them is a warning.
    pub warning: Option<(f64, f64)>,
    pub critical: Option<(f64, f64)>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
}

/// Reads what can be read; a word that is none is passed over.
pub fn perfdata(text: &str) -> Vec<Perfdatum> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() && found.len() < DATA {
        let (label, behind) = label_of(rest);
        let end = behind.find(char::is_whitespace).unwrap_or(behind.len());
        if let Some(values) = behind[..end].strip_prefix('=') {
            found.extend(datum(label, values));
        }
        rest = behind[end..].trim_start();
    }
    found
}

/// The label, its quotes off, and what is behind it.
fn label_of(text: &str) -> (String, &str) {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(['=', ' ', '\t', '\n']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut label = String::new();
    loop {
        let Some(end) = rest.find('\'') else { return (label + rest, "") };
        label.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        // Two quotes are one of the label.
        match rest.strip_prefix('\'') {
            Some(behind) => {
                label.push('\'');
                rest = behind;
            }
            None => return (label, rest),
        }
    }
}

fn datum(label: String, text: &str) -> Option<Perfdatum> {
    let mut fields = text.split(';');
    let value = fields.next()?;
    let digits = value.find(|c: char| !c.is_ascii_digit() && !"+-.,eE".contains(c)).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    // `1e` of `1eggs` is no number, but none has such a unit.
    let (value, unit) = if value == "U" { (None, "") } else { (Some(parsed(number)?), unit) };
    let (unit, factor, is_counter) = base(unit);
    let scaled = |field: Option<&str>| field.and_then(parsed).map(|value| value * factor);
    let scaled_range = |field: Option<&str>| {
        let (lower, upper) = range(field?)?;
        Some((lower * factor, upper * factor))
    };
    let (warning, critical) = (scaled_range(fields.next()), scaled_range(fields.next()));
    let (minimum, maximum) = (scaled(fields.next()), scaled(fields.next()));
    let value = value.map(|value| value * factor);
    Some(Perfdatum { label, unit, is_counter, value, warning, critical, minimum, maximum })
}

/// Some plugins write a comma, as their locale says.
fn parsed(text: &str) -> Option<f64> {
    let value: f64 = text.trim().replace(',', ".").parse().ok()?;
    value.is_finite().then_some(value)
}

/// Base unit, factor, and whether it is a counter.
fn base(unit: &str) -> (&'static str, f64, bool) {
    match unit {
        "s" => ("seconds", 1.0, false),
        "ms" => ("seconds", 1e-3, false),
        "us" => ("seconds", 1e-6, false),
        "ns" => ("seconds", 1e-9, false),
        "%" => ("percent", 1.0, false),
        "B" => ("bytes", 1.0, false),
        "KB" | "kB" | "KiB" => ("bytes", 1024.0, false),
        "MB" | "MiB" => ("bytes", 1_048_576.0, false),
        "GB" | "GiB" => ("bytes", 1_073_741_824.0, false),
        "TB" | "TiB" => ("bytes", 1_099_511_627_776.0, false),
        "c" => ("", 1.0, true),
        _ => ("", 1.0, false),
    }
}

/// `10` (0 to 10), `10:`, `~:10`, `10:20`; `@10:20` is good outside, which has no two ends.
fn range(text: &str) -> Option<(f64, f64)> {
    let end = |text: &str, none: f64| if text.is_empty() { Some(none) } else { parsed(text) };
    match text.split_once(':') {
        _ if text.is_empty() || text.starts_with('@') => None,
        Some(("~", upper)) => Some((f64::NEG_INFINITY, end(upper, f64::INFINITY)?)),
        Some((lower, upper)) => Some((end(lower, 0.0)?, end(upper, f64::INFINITY)?)),
        None => Some((0.0, parsed(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data as `label unit value warning critical min max`.
    fn read(text: &str) -> Vec<String> {
        let range = |range: Option<(f64, f64)>| range.map_or("-".to_owned(), |(a, b)| format!("{a}..{b}"));
        let number = |number: Option<f64>| number.map_or("-".to_owned(), |number| number.to_string());
        let shown = |datum: Perfdatum| {
            let counter = if datum.is_counter { "c" } else { "" };
            let (warning, critical) = (range(datum.warning), range(datum.critical));
            let (least, most) = (number(datum.minimum), number(datum.maximum));
            format!(
                "{} {}{counter} {} {warning} {critical} {least} {most}",
                datum.label,
                datum.unit,
                number(datum.value)
            )
        };
        perfdata(text).into_iter().map(shown).collect()
    }

    #[test]
    fn labels_units_and_ranges_are_read_as_the_guidelines_say() {
        for (text, expected) in [
            ("time=0.5s;1;2;0;10", "time seconds 0.5 0..1 0..2 0 10"),
            ("rta=20ms;30.5;~:40;;", "rta seconds 0.02 0..0.0305 -inf..0.04 - -"),
            ("'free space'=1KB", "free space bytes 1024 - - - -"),
            ("'it''s'=1;10:;10:20", "it's  1 10..inf 10..20 - -"),
            ("hits=5c;@1:2", "hits c 5 - - - -"),
            ("load=0,25%", "load percent 0.25 - - - -"),
            ("gone=U;1;2", "gone  - 0..1 0..2 - -"),
            ("t=-1.5e3B", "t bytes -1500 - - - -"),
        ] {
            assert_eq!(read(text), [expected], "{text}");
        }
        assert_eq!(read("a=1 b=2\tc=3\n 'd e'=4").len(), 4);
    }

    #[test]
    fn what_is_no_datum_is_passed_over() {
        for text in ["", "words", "a=", "a=b", "=", "'open=1", "a =1", "a=nan", "a=1e999", ";;;"] {
            assert!(read(text).len() <= usize::from(text == "a =1"), "{text}: {:?}", read(text));
        }
        assert_eq!(read("junk a=1"), ["a  1 - - - -"]);
        assert_eq!(perfdata(&"a=1 ".repeat(10_000)).len(), DATA);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "[a'=;:@~U0-9.,%sMBc \\n-]{0,60}") {
            for datum in perfdata(&text) {
                proptest::prop_assert!(datum.value.is_none_or(f64::is_finite));
            }
        }
    }
}
