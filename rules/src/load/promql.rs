//! What can be said of an expression before it is parsed as PromQL: it is not empty, brackets and quotes close, selectors
//! are selectors, and what is called is a function.

use crate::near::near;
use crate::selector::Selector;

pub(super) struct ExprFault {
    pub at: usize,
    pub length: usize,
    pub message: String,
    pub near: Option<String>,
}

fn fault(at: usize, length: usize, message: impl Into<String>) -> ExprFault {
    ExprFault { at, length, message: message.into(), near: None }
}

/// Functions, aggregations and words that may stand before a parenthesis.
const CALLED: &[&str] = &[
    "abs",
    "absent",
    "absent_over_time",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "avg",
    "avg_over_time",
    "bottomk",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "count",
    "count_over_time",
    "count_values",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "deg",
    "delta",
    "deriv",
    "double_exponential_smoothing",
    "exp",
    "first_over_time",
    "floor",
    "group",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_quantile",
    "histogram_quantiles",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "holt_winters",
    "hour",
    "idelta",
    "increase",
    "info",
    "irate",
    "label_join",
    "label_replace",
    "last_over_time",
    "limit_ratio",
    "limitk",
    "ln",
    "log10",
    "log2",
    "mad_over_time",
    "max",
    "max_over_time",
    "min",
    "min_over_time",
    "minute",
    "month",
    "pi",
    "predict_linear",
    "present_over_time",
    "quantile",
    "quantile_over_time",
    "rad",
    "range",
    "rate",
    "resets",
    "round",
    "scalar",
    "sgn",
    "sin",
    "sinh",
    "sort",
    "sort_by_label",
    "sort_by_label_desc",
    "sort_desc",
    "sqrt",
    "start",
    "stddev",
    "stddev_over_time",
    "stdvar",
    "stdvar_over_time",
    "step",
    "sum",
    "sum_over_time",
    "tan",
    "tanh",
    "time",
    "timestamp",
    "topk",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "vector",
    "year",
    "and",
    "bool",
    "by",
    "end",
    "group_left",
    "group_right",
    "ignoring",
    "offset",
    "on",
    "or",
    "unless",
    "without",
];

/// Every fault that shows without parsing, in the order of the text; an unclosed quote hides what follows.
pub(super) fn check(text: &str) -> Vec<ExprFault> {
    if without_comments(text).trim().is_empty() {
        return vec![fault(0, text.len(), "the expression is empty")];
    }
    let mut scan = Scan { text, at: 0, open: Vec::new(), faults: Vec::new() };
    while let Some(c) = text[scan.at..].chars().next() {
        if scan.step(c).is_none() {
            return scan.faults;
        }
    }
    for (at, bracket) in std::mem::take(&mut scan.open) {
        scan.faults.push(fault(at, 1, format!("'{bracket}' is not closed")));
    }
    scan.faults
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split('#').next().unwrap_or("")).collect()
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    open: Vec<(usize, char)>,
    faults: Vec<ExprFault>,
}

impl Scan<'_> {
    /// Takes what begins here; none where nothing more can be said.
    fn step(&mut self, c: char) -> Option<()> {
        let rest = &self.text[self.at..];
        match c {
            '#' => self.at += rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' | '`' => self.at += self.quoted(rest, c)?,
            '{' => self.selector(rest)?,
            '(' | '[' => {
                self.open.push((self.at, c));
                self.at += 1;
            }
            ')' | ']' | '}' => self.close(c),
            c if c.is_ascii_alphanumeric() || c == '_' || c == ':' => self.word(rest),
            c => self.at += c.len_utf8(),
        }
        Some(())
    }

    fn quoted(&mut self, rest: &str, quote: char) -> Option<usize> {
        let length = quoted_length(rest, quote);
        if length.is_none() {
            self.faults.push(fault(self.at, 1, format!("the string that begins here has no closing {quote}")));
        }
        length
    }

    /// A selector's braces hold nothing but strings and matchers.
    fn selector(&mut self, rest: &str) -> Option<()> {
        let mut end = 1;
        loop {
            let Some(c) = rest[end..].chars().next() else {
                self.faults.push(fault(self.at, 1, "'{' is not closed"));
                return None;
            };
            match c {
                '}' => break,
                '"' | '\'' | '`' => match quoted_length(&rest[end..], c) {
                    Some(length) => end += length,
                    None => {
                        let wrong = format!("the string that begins here has no closing {c}");
                        self.faults.push(fault(self.at + end, 1, wrong));
                        return None;
                    }
                },
                c => end += c.len_utf8(),
            }
        }
        if let Err(error) = Selector::parse(&rest[..=end]) {
            self.faults.push(fault(self.at + error.at, error.length, error.message));
        }
        self.at += end + 1;
        Some(())
    }

    fn close(&mut self, found: char) {
        let wanted = match self.open.last() {
            Some((_, '(')) => Some(')'),
            Some((_, '[')) => Some(']'),
            _ => None,
        };
        match wanted {
            Some(wanted) if wanted == found => {
                self.open.pop();
            }
            Some(wanted) => {
                self.open.pop();
                self.faults.push(fault(self.at, 1, format!("'{found}' where '{wanted}' is expected")));
            }
            None => self.faults.push(fault(self.at, 1, format!("'{found}' closes nothing"))),
        }
        self.at += 1;
    }

    fn word(&mut self, rest: &str) {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let word = &rest[..end];
        let is_called = rest[end..].trim_start().starts_with('(');
        let is_name = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if is_called && is_name && !CALLED.contains(&word.to_ascii_lowercase().as_str()) {
            let mut unknown = fault(self.at, word.len(), format!("unknown function '{word}'"));
            unknown.near = near(word, CALLED.iter().copied());
            self.faults.push(unknown);
        }
        self.at += end;
    }
}

/// Bytes of the quoted string at the start of `rest`, quotes included.
fn quoted_length(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_takes_is_taken() {
        let table = [
            "up == 0",
            "sum by (instance) (rate(node_cpu_seconds_total{mode!~\"idle|iowait\"}[5m])) > 0.9",
            "1 - avg without(cpu, mode) (rate(x[1m])) # how busy ((\n",
            "a / on (instance) group_left (nodename) b{c='}'}",
            "max_over_time((sum(x))[1h:5m] offset 1d) > 1e3 and on() vector(1)",
            "{__name__=~\"job:.*\"} @ end()",
            "{\"http.requests\", code=\"500\"} > 0",
            "SUM(up) BY (job)",
            "foo AND (bar)",
            "histogram_quantile(0.9, rate(x_bucket[5m:])) > Inf",
        ];
        for text in table {
            let found: Vec<String> = check(text).into_iter().map(|fault| fault.message).collect();
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_shows_without_parsing_is_found() {
        let table: [(&str, &[(usize, &str)]); 9] = [
            ("", &[(0, "empty")]),
            (" # nothing", &[(0, "empty")]),
            ("rat(x[5m])", &[(0, "unknown function 'rat'")]),
            ("sum(rate(x[5m])", &[(3, "'(' is not closed")]),
            ("sum(x]) > 1", &[(5, "']' where ')' is expected"), (6, "')' closes nothing")]),
            ("x{a=b}", &[(4, "must be quoted")]),
            ("x{a=\"b\"", &[(1, "'{' is not closed")]),
            ("x == \"a", &[(5, "no closing")]),
            ("x{a=~\"(\"} > foo(y)", &[(5, "does not compile"), (12, "unknown function 'foo'")]),
        ];
        for (text, expected) in table {
            let found = check(text);
            let shown: Vec<(usize, &str)> = found.iter().map(|fault| (fault.at, fault.message.as_str())).collect();
            assert_eq!(shown.len(), expected.len(), "{text}: {shown:?}");
            for ((at, message), (expected_at, part)) in shown.iter().zip(expected) {
                assert!(at == expected_at && message.contains(part), "{text}: {at} {message}");
            }
        }
    }
}
