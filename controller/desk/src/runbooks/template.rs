//! Jinja as runbooks use it: strict, so that an unknown name is a fault and never an empty string.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use minijinja::Environment;
use minijinja::value::{Object, Value};

/// Made once: it holds no template and never changes.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(watchkeep_rules::jinja::environment);

/// Bytes that one rendered string may have.
const RENDERED_BYTES_MAX: usize = 64 << 10;
/// What a registered result has.
pub(super) const RESULT_FIELDS: &[&str] = &["stdout", "stderr", "exit", "changed", "outcome", "reason"];

/// What templates see, by name.
pub(super) type Names = BTreeMap<String, Value>;

/// A registered result that is not known yet: each of its fields reads as `⟨log.stdout⟩`.
#[derive(Debug)]
struct Later(String);

impl Object for Later {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let field = key.as_str().filter(|field| RESULT_FIELDS.contains(field))?;
        Some(Value::from(format!("⟨{}.{field}⟩", self.0)))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "⟨{}⟩", self.0)
    }
}

pub(super) fn later(name: &str) -> Value {
    Value::from_object(Later(name.to_owned()))
}

/// Renders one string.
///
/// Errors: the fault in words, with what was being rendered.
pub(super) fn render(text: &str, names: &Names) -> Result<String, String> {
    let rendered =
        ENVIRONMENT.render_str(text, seen(names)).map_err(|error| format!("`{text}`: {}", words_of(&error)))?;
    if rendered.len() > RENDERED_BYTES_MAX {
        return Err(format!("`{text}` renders to {} bytes; {RENDERED_BYTES_MAX} are the most", rendered.len()));
    }
    Ok(rendered)
}

/// What an expression comes to.
pub(super) fn evaluate(expression: &str, names: &Names) -> Result<Value, String> {
    let environment: &Environment<'_> = &ENVIRONMENT;
    let fault = |error: minijinja::Error| format!("`{expression}`: {}", words_of(&error));
    let compiled = environment.compile_expression(expression).map_err(fault)?;
    let value = compiled.eval(seen(names)).map_err(fault)?;
    if value.is_undefined() {
        return Err(format!("`{expression}`: undefined value"));
    }
    Ok(value)
}

/// Whether an expression holds.
pub(super) fn holds(expression: &str, names: &Names) -> Result<bool, String> {
    evaluate(expression, names).map(|value| value.is_true())
}

/// Whether an expression speaks of any of these names.
pub(super) fn speaks_of(expression: &str, registered: &[&str]) -> bool {
    let environment: &Environment<'_> = &ENVIRONMENT;
    let Ok(compiled) = environment.compile_expression(expression) else { return false };
    let spoken = compiled.undeclared_variables(false);
    registered.iter().any(|name| spoken.contains(*name))
}

fn seen(names: &Names) -> Value {
    Value::from(names.clone())
}

fn words_of(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        BTreeMap::from([("unit".to_owned(), Value::from("nginx.service")), ("log".to_owned(), later("log"))])
    }

    #[test]
    fn strings_are_rendered_and_unknown_names_are_faults() {
        assert_eq!(render("restart {{ unit }}", &names()).as_deref(), Ok("restart nginx.service"));
        assert_eq!(render("{{ log.stdout }}/{{ log }}", &names()).as_deref(), Ok("⟨log.stdout⟩/⟨log⟩"));
        assert_eq!(render("{{ unti }}", &names()), Err("`{{ unti }}`: `unti` is undefined".to_owned()));
        assert!(render("{{ log.stdoot }}", &names()).is_err());
        assert!(render("{{ 'x' * 70000 }}", &names()).is_err());
    }

    #[test]
    fn an_expression_tells_whether_it_needs_a_result() {
        assert!(speaks_of("log.exit == 0", &["log"]));
        assert!(!speaks_of("unit == 'log'", &["log"]));
        assert!(holds("unit.no_such_method()", &names()).is_err());
        assert_eq!(holds("unit == 'nginx.service'", &names()), Ok(true));
    }
}
