//! Single values: how each is quoted, and over which lines it goes.

use super::tree::Style;

/// What a value that is written without quotes must not begin with.
const INDICATORS: &str = "-?:,[]{}#&*!|>'\"%@`";
/// Columns of folded text at least, however deep it stands.
const FOLDED_MIN: usize = 40;

/// The value as lines, of which the first stands behind its key. `long`: it was on several lines; `fits`: columns behind the
/// key, `width`: columns of the lines below it.
pub fn lines(text: &str, style: Style, long: bool, fits: usize, width: usize) -> Vec<String> {
    let set_out = match style {
        Style::Expression if text.contains('\n') => literal(&format!("{text}\n")),
        Style::Expression => None,
        Style::Literal => literal(text),
        Style::Folded => folded(text, width).or_else(|| literal(text)),
        Style::Plain | Style::Single | Style::Double if !long || text.chars().count() <= fits => None,
        Style::Plain | Style::Single | Style::Double => folded(text, width),
    };
    set_out.or_else(|| Some(vec![on_one_line(text, style, false)?])).unwrap_or_else(|| vec![double(text)])
}

/// The value on one line, if it can be: an expression over several lines cannot.
pub fn on_one_line(text: &str, style: Style, in_flow: bool) -> Option<String> {
    match style {
        Style::Expression if text.contains('\n') => None,
        Style::Expression if is_plain(text, in_flow) => Some(text.to_owned()),
        Style::Expression if !has_control(text) => Some(single(text)),
        Style::Plain if !text.contains('\n') => Some(text.to_owned()),
        _ => Some(quoted(text)),
    }
}

/// In double quotes, in single ones where that spares escapes.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) && !has_control(text) { single(text) } else { double(text) }
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn double(text: &str) -> String {
    serde_json::Value::from(text).to_string() // JSON's strings are YAML's
}

fn has_control(text: &str) -> bool {
    text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

/// Whether it reads back as itself without quotes.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let begins = text.chars().next().is_some_and(|c| !INDICATORS.contains(c) && !c.is_whitespace());
    begins
        && !has_control(text)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !matches!(text, "~" | "null" | "Null" | "NULL" | "---" | "...")
        && !(in_flow && text.contains([',', '[', ']', '{', '}', ':']))
}

/// `|`, with every line as it is.
fn literal(text: &str) -> Option<Vec<String>> {
    let (mark, body) = chomped(text)?;
    let indent = if body.starts_with([' ', '\n']) { "2" } else { "" };
    let mut lines = vec![format!("|{indent}{mark}")];
    lines.extend(body.split('\n').map(str::to_owned));
    Some(lines)
}

/// `>`, with words put on lines anew; none where a line of the value is indented or ends in a space.
fn folded(text: &str, room: usize) -> Option<Vec<String>> {
    let (mark, body) = chomped(text)?;
    let mut lines = vec![format!(">{mark}")];
    for (place, paragraph) in body.split('\n').enumerate() {
        if paragraph.starts_with([' ', '\t']) || paragraph.ends_with([' ', '\t']) || place == 0 && paragraph.is_empty()
        {
            return None;
        }
        if place > 0 {
            lines.push(String::new());
        }
        if !paragraph.is_empty() {
            lines.extend(wrapped(paragraph, room.max(FOLDED_MIN)));
        }
    }
    Some(lines)
}

/// How the breaks at the end are kept, and the text before them; none where a block cannot hold it.
fn chomped(text: &str) -> Option<(&'static str, &str)> {
    let body = text.trim_end_matches('\n');
    let mark = match text.len() - body.len() {
        0 => "-",
        1 => "",
        _ => return None,
    };
    let holds = !body.is_empty() && !has_control(&body.replace(['\n', '\t'], ""));
    holds.then_some((mark, body))
}

/// Words on as few lines as they fit; two spaces together are never broken.
fn wrapped(paragraph: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for word in paragraph.split(' ') {
        match words.last_mut() {
            // An empty word is where two spaces met: what is around them stays together.
            Some(last) if word.is_empty() || last.ends_with(' ') => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}
