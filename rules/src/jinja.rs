//! Jinja, the language of runbooks: one environment, and checks of names before anything runs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use regex::Regex;

use crate::near::near;

/// The environment in which runbook texts are rendered and expressions judged: an unknown name is an error, never empty.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(true);
    environment.set_recursion_limit(64);
    environment
}

/// Renders a template with `context` (usually a map or a JSON value). The error is one line for the runbook's author.
pub fn render(template: &str, context: &impl serde::Serialize) -> Result<String, String> {
    let rendered = environment().render_str(template, Value::from(Serde(context)));
    rendered.map_err(|error| format!("\"{template}\": {}", reason(&error)))
}

/// The value of an expression.
pub fn value(expression: &str, context: &impl serde::Serialize) -> Result<serde_json::Value, String> {
    let wrong = |error: minijinja::Error| format!("\"{expression}\": {}", reason(&error));
    let environment = environment();
    let compiled = environment.compile_expression(expression).map_err(wrong)?;
    let value = compiled.eval(Value::from(Serde(context))).map_err(wrong)?;
    serde_json::to_value(&value).map_err(|error| format!("\"{expression}\": {error}"))
}

/// Whether an expression is true, as Jinja counts truth.
pub fn truth(expression: &str, context: &impl serde::Serialize) -> Result<bool, String> {
    let wrong = |error: minijinja::Error| format!("\"{expression}\": {}", reason(&error));
    let environment = environment();
    let compiled = environment.compile_expression(expression).map_err(wrong)?;
    Ok(compiled.eval(Value::from(Serde(context))).map_err(wrong)?.is_true())
}

/// What a registered result has.
pub const RESULT_FIELDS: [&str; 6] = ["stdout", "stderr", "exit", "changed", "outcome", "reason"];

/// Whether an expression speaks of any of these names.
pub(crate) fn speaks_of(expression: &str, names: &[&str]) -> bool {
    let environment = environment();
    let Ok(compiled) = environment.compile_expression(expression) else { return false };
    let spoken = compiled.undeclared_variables(false);
    names.iter().any(|name| spoken.contains(*name))
}

fn reason(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// The names that an expression may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub known: BTreeSet<String>,
    /// What stands in `params`, where that is known.
    pub params: Option<BTreeSet<String>>,
    /// Results that only later steps bring.
    pub later: BTreeSet<String>,
    /// Results of steps before, whose fields are known.
    pub results: BTreeSet<String>,
}

impl Names {
    pub fn new<'a>(known: impl IntoIterator<Item = &'a str>) -> Self {
        Self { known: known.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    pub fn with(&self, more: impl IntoIterator<Item = String>) -> Self {
        let mut names = self.clone();
        names.known.extend(more);
        names
    }
}

/// One fault of an expression or template, by bytes of its text.
pub(crate) struct JinjaFault {
    pub at: usize,
    pub length: usize,
    pub message: String,
    pub near: Option<String>,
}

pub(crate) fn check_expression(text: &str, names: &Names) -> Vec<JinjaFault> {
    let environment = environment();
    match environment.compile_expression(text) {
        Ok(expression) => {
            let mut faults = unknown_names(text, &expression.undeclared_variables(true), names, &environment);
            faults.extend(unknown_words(text, text, &environment));
            faults
        }
        Err(error) => vec![syntax_fault(text, &error)],
    }
}

pub(crate) fn check_template(text: &str, names: &Names) -> Vec<JinjaFault> {
    let environment = environment();
    match environment.template_from_str(text) {
        Ok(template) => {
            let mut faults = unknown_names(text, &template.undeclared_variables(true), names, &environment);
            faults.extend(unknown_words(text, &code_of(text), &environment));
            faults
        }
        Err(error) => vec![syntax_fault(text, &error)],
    }
}

fn syntax_fault(text: &str, error: &minijinja::Error) -> JinjaFault {
    let range = error.range().unwrap_or(0..text.len());
    let at = range.start.min(text.len());
    JinjaFault { at, length: range.end.saturating_sub(at).max(1), message: reason(error), near: None }
}

fn unknown_names(
    text: &str,
    used: &std::collections::HashSet<String>,
    names: &Names,
    environment: &Environment<'_>,
) -> Vec<JinjaFault> {
    let used: BTreeSet<&String> = used.iter().collect();
    let mut faults = Vec::new();
    for path in used {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        if !names.known.contains(first) && !environment.globals().any(|(name, _)| name == first) {
            if names.later.contains(first) {
                let message = format!("'{first}' is the result of a later step, which has not run by then");
                faults.push(unknown(text, first, message, None));
                continue;
            }
            let known = names.known.iter().map(String::as_str);
            faults.push(unknown(text, first, format!("unknown name '{first}'"), near(first, known)));
            continue;
        }
        let parameter = rest.split('.').next().unwrap_or("");
        if names.results.contains(first) && !parameter.is_empty() && !RESULT_FIELDS.contains(&parameter) {
            let message = format!("a result has no '{parameter}'; it has {}", RESULT_FIELDS.join(", "));
            faults.push(unknown(text, parameter, message, near(parameter, RESULT_FIELDS)));
            continue;
        }
        if let (true, Some(params)) = (first == "params" && !parameter.is_empty(), &names.params)
            && !params.contains(parameter)
        {
            let near = near(parameter, params.iter().map(String::as_str));
            faults.push(unknown(text, parameter, format!("there is no parameter '{parameter}'"), near));
        }
    }
    faults
}

fn unknown(text: &str, name: &str, message: String, near: Option<String>) -> JinjaFault {
    JinjaFault { at: find_word(text, name), length: name.len(), message, near }
}

/// The first place where `name` stands as a word of its own.
fn find_word(text: &str, name: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let found = text
        .match_indices(name)
        .find(|(at, _)| !text[..*at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part));
    found.map_or(0, |(at, _)| at)
}

/// Filters and tests, which the compiler takes by any name: each is tried on nothing.
fn unknown_words(text: &str, code: &str, environment: &Environment<'_>) -> Vec<JinjaFault> {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(\||\bis(?:\s+not)?)\s*\b([A-Za-z_]\w*)"#)
            .expect("our own pattern compiles")
    });
    let mut faults = Vec::new();
    for found in WORDS.captures_iter(code) {
        let (Some(sign), Some(word)) = (found.get(1), found.get(2)) else { continue };
        let is_filter = sign.as_str() == "|";
        if matches!(word.as_str(), "not" | "in") || exists(word.as_str(), is_filter, environment) {
            continue;
        }
        let kind = if is_filter { "filter" } else { "test" };
        let message = format!("unknown {kind} '{}'", word.as_str());
        let known = if is_filter { FILTERS } else { TESTS };
        let near = near(word.as_str(), known.iter().copied());
        debug_assert!(text.is_char_boundary(word.start()), "code and text have the same bytes");
        faults.push(JinjaFault { at: word.start(), length: word.len(), message, near });
    }
    faults
}

fn exists(word: &str, is_filter: bool, environment: &Environment<'_>) -> bool {
    let (tried, missing) = match is_filter {
        true => (format!("none|{word}"), ErrorKind::UnknownFilter),
        false => (format!("none is {word}"), ErrorKind::UnknownTest),
    };
    let outcome = environment.compile_expression(&tried).and_then(|compiled| compiled.eval(()));
    outcome.err().is_none_or(|error| error.kind() != missing)
}

/// The template with everything outside `{{ }}` and `{% %}` blanked, byte for byte.
fn code_of(text: &str) -> String {
    static CODE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?s)\{\{.*?\}\}|\{%.*?%\}").expect("our own pattern compiles"));
    let mut out = vec![b' '; text.len()];
    for code in CODE.find_iter(text) {
        out[code.range()].copy_from_slice(code.as_str().as_bytes());
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// For near words only; whether one exists is asked of the environment.
const FILTERS: &[&str] = &[
    "abs", "bool", "default", "dictsort", "escape", "first", "float", "int", "items", "join", "last", "length",
    "lines", "list", "lower", "replace", "reverse", "round", "sort", "split", "title", "tojson", "trim", "upper",
];
const TESTS: &[&str] = &[
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "mapping",
    "sequence",
    "boolean",
    "startingwith",
    "endingwith",
    "even",
    "odd",
    "true",
    "false",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_filters_and_tests_are_found() {
        let mut names = Names::new(["incident", "params", "unit"]);
        names.params = Some(["unit".to_owned()].into());
        // expression, bytes and messages of its faults
        let table: [(&str, &[(usize, &str)]); 10] = [
            ("incident.priority >= 3", &[]),
            ("incdent.priority >= 3", &[(0, "unknown name 'incdent'")]),
            ("params.unit | lower", &[]),
            ("params.unti", &[(7, "there is no parameter 'unti'")]),
            ("unit | lowr", &[(7, "unknown filter 'lowr'")]),
            ("unit is startingwith('a | nothing')", &[]),
            ("unit is strng", &[(8, "unknown test 'strng'")]),
            ("unit is not defined", &[]),
            ("unit == ", &[(5, "unexpected end of input")]),
            ("range(3) and host", &[(13, "unknown name 'host'")]),
        ];
        for (text, expected) in table {
            let found = check_expression(text, &names);
            let shown: Vec<(usize, &str)> = found.iter().map(|fault| (fault.at, fault.message.as_str())).collect();
            assert_eq!(shown.len(), expected.len(), "{text}: {shown:?}");
            for ((at, message), (expected_at, part)) in shown.iter().zip(expected) {
                assert!(at == expected_at && message.contains(part), "{text}: {at} {message}");
            }
        }
    }

    #[test]
    fn a_template_is_checked_in_its_code_only() {
        let names = Names::new(["unit"]);
        assert!(check_template("a | nothing {{ unit }} is odd?", &names).is_empty());
        let found = check_template("journal of {{ unti }}", &names);
        assert_eq!((found[0].at, found[0].near.as_deref()), (14, Some("unit")));
    }

    #[test]
    fn what_is_unknown_is_an_error_and_never_empty() {
        let context = serde_json::json!({"unit": "nginx.service", "priority": 2});
        assert_eq!(render("restart {{ unit }}", &context).as_deref(), Ok("restart nginx.service"));
        assert_eq!(truth("priority <= 2", &context), Ok(true));
        assert_eq!(value("priority + 1", &context), Ok(serde_json::json!(3)));
        assert!(render("{{ nobody }}", &context).is_err());
        assert!(value("unit.", &context).is_err());
    }
}
