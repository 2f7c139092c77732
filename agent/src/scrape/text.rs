//! Prometheus's text exposition and OpenMetrics, line by line.
//!
//! Sources: Prometheus, "Exposition formats" (text format 0.0.4), and the OpenMetrics specification 1.0. As Prometheus
//! does, a line that fits neither ends the reading with its number. Timestamps are checked and not used: a value has the
//! time at which it was read. Exemplars are passed over.

use std::collections::BTreeMap;

use watchkeep_protocol::MetricKind;

use crate::gather::{Sample, shortened};

/// The longest line, bytes.
pub const LINE_BYTES: usize = 64 << 10;
/// Metrics whose type and help are remembered in one reading.
const DESCRIBED: usize = 10_000;
const HELP_BYTES: usize = 160;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// By the answer's `Content-Type`.
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// Reads one exposition.
pub struct Reader {
    format: Format,
    /// What was read of a line that is not whole yet.
    rest: Vec<u8>,
    line: usize,
    families: BTreeMap<String, Family>,
    /// Used again from line to line.
    labels: Vec<(String, String)>,
    has_ended: bool,
}

#[derive(Default)]
struct Family {
    kind: Type,
    help: String,
}

/// The types that decide what a sample's kind is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Type {
    #[default]
    Other,
    Counter,
    Gauge,
    Histogram,
    Summary,
}

impl Reader {
    pub fn new(format: Format) -> Self {
        let (rest, labels) = (Vec::new(), Vec::new());
        Self { format, rest, line: 0, families: BTreeMap::new(), labels, has_ended: false }
    }

    /// Reads what came; `take` gets each sample of each whole line.
    ///
    /// # Errors
    /// Names the line and what was found in it; or what `take` says.
    pub fn read(
        &mut self,
        mut part: &[u8],
        take: &mut dyn FnMut(Sample<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        while let Some(end) = part.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = (&part[..end], &part[end + 1..]);
            if self.rest.is_empty() {
                self.line(line, take)?;
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.line(&whole, take)?;
                whole.clear();
                self.rest = whole;
            }
            part = behind;
        }
        self.rest.extend_from_slice(part);
        if self.rest.len() > LINE_BYTES {
            return Err(format!("line {}: it is longer than {LINE_BYTES} bytes", self.line + 1));
        }
        Ok(())
    }

    /// Everything was read.
    ///
    /// # Errors
    /// The last line, or OpenMetrics without its `# EOF`: the answer was cut.
    pub fn end(mut self, take: &mut dyn FnMut(Sample<'_>) -> Result<(), String>) -> Result<(), String> {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.line(&rest, take)?;
        }
        if self.format == Format::OpenMetrics && !self.has_ended {
            return Err(format!("line {}: it ends without \"# EOF\"", self.line));
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], take: &mut dyn FnMut(Sample<'_>) -> Result<(), String>) -> Result<(), String> {
        self.line += 1;
        let number = self.line;
        let fault = |found: String| format!("line {number}: {found}");
        if line.len() > LINE_BYTES {
            return Err(fault(format!("it is longer than {LINE_BYTES} bytes")));
        }
        let text = std::str::from_utf8(line).map_err(|_| fault("it is not UTF-8".to_owned()))?;
        let text = text.strip_suffix('\r').filter(|_| self.format == Format::Prometheus).unwrap_or(text);
        if self.has_ended {
            return Err(fault("there is more behind \"# EOF\"".to_owned()));
        }
        let text = if self.format == Format::Prometheus { text.trim_matches([' ', '\t']) } else { text };
        if let Some(comment) = text.strip_prefix('#') {
            self.comment(comment);
            return Ok(());
        }
        if text.is_empty() && self.format == Format::Prometheus {
            return Ok(());
        }
        let (name, value) = self.sample(text).map_err(fault)?;
        let family = self.family_of(name);
        let (kind, help) =
            family.map_or((MetricKind::Untyped, ""), |family| (family.kind.of_sample(name), &family.help));
        take(Sample { name, labels: &self.labels, kind, help, value })
    }

    /// `# HELP name text`, `# TYPE name type`, `# EOF`; anything else is for people.
    fn comment(&mut self, text: &str) {
        let text = text.trim_start_matches([' ', '\t']);
        if self.format == Format::OpenMetrics && text == "EOF" {
            self.has_ended = true;
            return;
        }
        let mut words = text.splitn(3, [' ', '\t']);
        let (Some(what), Some(name)) = (words.next(), words.next()) else { return };
        let said = words.next().unwrap_or_default().trim();
        if !["HELP", "TYPE"].contains(&what) || self.families.len() >= DESCRIBED && !self.families.contains_key(name) {
            return;
        }
        let family = self.families.entry(name.to_owned()).or_default();
        match what {
            "HELP" => family.help = shortened(&unescaped(said), HELP_BYTES).to_owned(),
            _ => family.kind = Type::of(said),
        }
    }

    /// The family that a sample's name belongs to: its own, or that of the name without what its type adds.
    fn family_of(&self, name: &str) -> Option<&Family> {
        const ADDED: [&str; 7] = ["_total", "_bucket", "_count", "_sum", "_created", "_gcount", "_gsum"];
        let shorter = || ADDED.iter().find_map(|suffix| self.families.get(name.strip_suffix(suffix)?));
        self.families.get(name).or_else(shorter)
    }

    /// Reads `name{label="value",…} value [time] [# exemplar]`; labels are left in `self.labels`, sorted.
    fn sample<'a>(&mut self, text: &'a str) -> Result<(&'a str, f64), String> {
        let end = text.find(['{', ' ', '\t']).ok_or_else(|| format!("\"{}\" has no value", start_of(text)))?;
        let (name, rest) = text.split_at(end);
        if !is_name(name, true) {
            return Err(format!("\"{}\" is no name of a metric", start_of(name)));
        }
        let mut used = 0;
        let rest = match rest.trim_start_matches([' ', '\t']).strip_prefix('{') {
            Some(labels) => self.labels(labels, &mut used)?,
            None => rest,
        };
        self.labels.truncate(used);
        self.labels.retain(|(_, value)| !value.is_empty());
        self.labels.sort_unstable();
        if let Some(twice) = self.labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("label \"{}\" of \"{name}\" stands there twice", twice[0].0));
        }
        let rest = match self.format {
            Format::OpenMetrics => rest.split_once(" # ").map_or(rest, |(rest, _)| rest),
            Format::Prometheus => rest,
        };
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        let value = words.next().ok_or_else(|| format!("\"{name}\" has no value"))?;
        let value = number(value).ok_or_else(|| format!("value \"{}\" of \"{name}\" is no number", start_of(value)))?;
        if let Some(time) = words.next() {
            let is_time = match self.format {
                Format::Prometheus => time.parse::<i64>().is_ok(),
                Format::OpenMetrics => number(time).is_some_and(f64::is_finite),
            };
            if !is_time {
                return Err(format!("time \"{}\" of \"{name}\" is none", start_of(time)));
            }
        }
        match words.next() {
            Some(more) => Err(format!("\"{}\" behind the value of \"{name}\"", start_of(more))),
            None => Ok((name, value)),
        }
    }

    /// Reads labels up to the closing brace into `self.labels`; what is behind it.
    fn labels<'a>(&mut self, text: &'a str, used: &mut usize) -> Result<&'a str, String> {
        let blank = [' ', '\t'];
        let mut rest = text.trim_start_matches(blank);
        loop {
            if let Some(behind) = rest.strip_prefix('}') {
                return Ok(behind);
            }
            let end = rest.find('=').ok_or_else(|| format!("\"{}\" is no label", start_of(rest)))?;
            let name = rest[..end].trim_end_matches(blank);
            if !is_name(name, false) {
                return Err(format!("\"{}\" is no name of a label", start_of(name)));
            }
            let quoted = rest[end + 1..].trim_start_matches(blank);
            let quoted = quoted.strip_prefix('"').ok_or_else(|| format!("label \"{name}\" has no value in quotes"))?;
            if self.labels.len() <= *used {
                self.labels.push(Default::default());
            }
            let (label, value) = &mut self.labels[*used];
            *used += 1;
            label.clear();
            label.push_str(name);
            rest = value_of(quoted, value).ok_or_else(|| format!("the value of label \"{name}\" does not end"))?;
            rest = rest.trim_start_matches(blank);
            rest = match rest.strip_prefix(',') {
                Some(behind) => behind.trim_start_matches(blank),
                None if rest.starts_with('}') => rest,
                None => return Err(format!("\"{}\" behind label \"{name}\"", start_of(rest))),
            };
        }
    }
}

impl Type {
    fn of(word: &str) -> Self {
        match word {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            _ => Self::Other,
        }
    }

    /// What a sample of this name is, as far as agents tell kinds apart.
    fn of_sample(self, name: &str) -> MetricKind {
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        match self {
            _ if name.ends_with("_created") => MetricKind::Gauge,
            Self::Counter => MetricKind::Counter,
            Self::Gauge => MetricKind::Gauge,
            Self::Histogram | Self::Summary if ends(&["_bucket", "_count", "_sum"]) => MetricKind::Counter,
            Self::Summary => MetricKind::Gauge,
            Self::Histogram | Self::Other => MetricKind::Untyped,
        }
    }
}

/// Reads a label's value up to the closing quote; what is behind it, `None` where there is none.
fn value_of<'a>(text: &'a str, value: &mut String) -> Option<&'a str> {
    value.clear();
    let mut rest = text;
    loop {
        let end = rest.find(['"', '\\'])?;
        value.push_str(&rest[..end]);
        if rest.as_bytes()[end] == b'"' {
            return Some(&rest[end + 1..]);
        }
        let escaped = rest[end + 1..].chars().next()?;
        match escaped {
            'n' => value.push('\n'),
            '"' | '\\' => value.push(escaped),
            // As Prometheus reads it: the sign stands for itself.
            other => value.extend(['\\', other]),
        }
        rest = &rest[end + 1 + escaped.len_utf8()..];
    }
}

fn unescaped(help: &str) -> String {
    let mut out = String::new();
    let mut rest = help;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let (sign, length) = match behind.chars().next() {
            Some('n') => ("\n", 1),
            Some('\\') => ("\\", 1),
            Some('"') => ("\"", 1),
            _ => ("\\", 0),
        };
        out.push_str(sign);
        rest = &behind[length..];
    }
    out + rest
}

/// A value as Go writes it: decimal, `NaN`, `+Inf`.
fn number(text: &str) -> Option<f64> {
    let plain = text.trim_start_matches(['+', '-']);
    let is_word = ["nan", "inf", "infinity"].iter().any(|word| plain.eq_ignore_ascii_case(word));
    let is_number = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if is_word || is_number { text.parse().ok() } else { None }
}

/// Whether it is the name of a label, or with colons of a metric; how long it may be is for others to say.
fn is_name(name: &str, with_colons: bool) -> bool {
    name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || with_colons && byte == b':')
}

/// As much of what was found as an error should show.
fn start_of(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
