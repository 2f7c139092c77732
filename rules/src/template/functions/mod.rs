//! The functions of Go's templates and of Prometheus's, one table.

mod compare;
mod declared;
mod humanize;
mod links;
mod samples;
mod texts;
mod times;

use super::printf::printf;
use super::render::Renderer;
use super::value::Value;
pub(super) use declared::check as check_argument;
use humanize::humanizing;

/// What a function does with its own arguments and then the piped value. The error says what was wrong.
#[derive(Clone, Copy)]
pub(super) enum Body {
    Plain(fn(&[Value]) -> Result<Value, String>),
    /// Looks at more than its arguments: samples, other templates, this installation.
    Asking(fn(&mut Renderer<'_>, &[Value]) -> Result<Value, String>),
    /// `or` and `and`, which leave off at the first argument that decides.
    Chosen {
        wanted: bool,
    },
}

pub(super) struct Function {
    pub name: &'static str,
    /// How many arguments it takes, the piped one included.
    least: usize,
    most: usize,
    pub body: Body,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    /// In Go's words.
    pub fn check_count(&self, given: usize) -> Result<(), String> {
        if (self.least..=self.most).contains(&given) {
            return Ok(());
        }
        let at_least = if self.least == self.most { "" } else { "at least " };
        Err(format!("wrong number of args for {}: want {at_least}{} got {given}", self.name, self.least))
    }

    /// Whether its name alone is a value.
    pub fn is_value(&self) -> bool {
        self.most == 0
    }
}

type Plain = fn(&[Value]) -> Result<Value, String>;
type Asking = fn(&mut Renderer<'_>, &[Value]) -> Result<Value, String>;

const fn plain(name: &'static str, least: usize, most: usize, body: Plain) -> Function {
    Function { name, least, most, body: Body::Plain(body) }
}

const fn asking(name: &'static str, least: usize, most: usize, body: Asking) -> Function {
    Function { name, least, most, body: Body::Asking(body) }
}

const fn chosen(name: &'static str, wanted: bool) -> Function {
    Function { name, least: 1, most: usize::MAX, body: Body::Chosen { wanted } }
}

const MANY: usize = usize::MAX;

/// Sorted by name.
static TABLE: &[Function] = &[
    chosen("and", false),
    plain("args", 0, MANY, samples::args),
    plain("call", 1, MANY, |values| Err(format!("non-function {} of type {}", values[0].text(), values[0].kind()))),
    plain("eq", 1, MANY, compare::equal_to_any),
    asking("externalURL", 0, 0, |renderer, _| text(renderer.context.external_url)),
    plain("first", 1, 1, samples::first),
    plain("ge", 2, 2, |values| compare::order(values, std::cmp::Ordering::is_ge)),
    plain("graphLink", 1, 1, |values| text(links::expression(&string(&values[0])?, 0))),
    plain("gt", 2, 2, |values| compare::order(values, std::cmp::Ordering::is_gt)),
    plain("html", 0, MANY, |values| text(links::html(&texts::print(values)))),
    plain("humanize", 1, 1, |values| humanizing(values, humanize::humanize)),
    plain("humanize1024", 1, 1, |values| humanizing(values, humanize::humanize1024)),
    plain("humanizeDuration", 1, 1, |values| humanizing(values, humanize::humanize_duration)),
    plain("humanizePercentage", 1, 1, |values| humanizing(values, humanize::humanize_percentage)),
    plain("humanizeTimestamp", 1, 1, |values| text(times::humanized(values[0].number()?)?)),
    plain("index", 1, MANY, samples::index),
    plain("js", 0, MANY, |values| text(links::js(&texts::print(values)))),
    plain("label", 2, 2, samples::label),
    plain("le", 2, 2, |values| compare::order(values, std::cmp::Ordering::is_le)),
    plain("len", 1, 1, samples::len),
    plain("lt", 2, 2, |values| compare::order(values, std::cmp::Ordering::is_lt)),
    plain("match", 2, 2, |values| {
        Ok(Value::Bool(texts::pattern(&string(&values[0])?)?.is_match(&string(&values[1])?)))
    }),
    plain("ne", 2, 2, |values| Ok(Value::Bool(!compare::equal(&values[0], &values[1])?))),
    plain("not", 1, 1, |values| Ok(Value::Bool(!values[0].is_true()))),
    asking("now", 0, 0, |renderer, _| Ok(Value::Float(renderer.context.at as f64 / 1000.0))),
    chosen("or", true),
    plain("parseDuration", 1, 1, |values| {
        let written = string(&values[0])?;
        let ms = crate::duration::parse(&written).map_err(|_| format!("not a valid duration string: {written:?}"))?;
        Ok(Value::Float(ms as f64 / 1000.0))
    }),
    asking("pathPrefix", 0, 0, |renderer, _| text(links::path(renderer.context.external_url))),
    plain("print", 0, MANY, |values| text(texts::print(values))),
    plain("printf", 1, MANY, |values| text(printf(&string(&values[0])?, &values[1..])?)),
    plain("println", 0, MANY, |values| text(texts::println(values))),
    asking("query", 1, 1, |renderer, values| renderer.query(&string(&values[0])?)),
    plain("reReplaceAll", 3, 3, |values| {
        let (pattern, with, within) = (string(&values[0])?, string(&values[1])?, string(&values[2])?);
        text(texts::pattern(&pattern)?.replace_all(&within, with.as_str()))
    }),
    // Rule texts are no HTML; there is nothing to be safe from.
    plain("safeHtml", 1, 1, |values| text(string(&values[0])?)),
    plain("slice", 1, 4, texts::slice),
    plain("sortByLabel", 2, 2, samples::sort_by_label),
    plain("stripDomain", 1, 1, |values| text(texts::strip_domain(&string(&values[0])?))),
    plain("stripPort", 1, 1, |values| text(texts::strip_port(&string(&values[0])?))),
    plain("strvalue", 1, 1, |values| Ok(Value::Text(samples::label_of(&values[0], "__value__")?))),
    plain("tableLink", 1, 1, |values| text(links::expression(&string(&values[0])?, 1))),
    plain("title", 1, 1, |values| text(texts::title(&string(&values[0])?))),
    asking("tmpl", 2, 2, |renderer, values| {
        renderer.inserted(&string(&values[0])?, values[1].clone()).map(Value::Text)
    }),
    plain("toDuration", 1, 1, |values| text(times::duration(values[0].number()?)?)),
    plain("toLower", 1, 1, |values| text(string(&values[0])?.to_lowercase())),
    plain("toTime", 1, 1, |values| Ok(Value::Time(times::milliseconds(values[0].number()?)?))),
    plain("toUpper", 1, 1, |values| text(string(&values[0])?.to_uppercase())),
    plain("urlquery", 0, MANY, |values| text(links::escaped(&texts::print(values)))),
    plain("value", 1, 1, samples::value),
];

pub(super) fn find(name: &str) -> Option<&'static Function> {
    TABLE.iter().find(|function| function.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|function| function.name)
}

fn text(text: impl Into<String>) -> Result<Value, String> {
    Ok(Value::Text(text.into()))
}

/// An argument that Go declares as a string.
fn string(value: &Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        other => Err(format!("wrong type for value; expected string; got {}", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        let names: Vec<&str> = names().collect();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    }
}
