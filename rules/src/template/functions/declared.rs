//! The types that functions declare for their arguments, and what Go says of others.

use super::super::TemplateError;
use super::super::syntax::Operand;
use super::super::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Text,
    Sample,
    Samples,
}

impl Declared {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Sample => "*template.sample",
            Self::Samples => "template.queryResult",
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text => matches!(value, Value::Text(_)),
            Self::Sample => matches!(value, Value::Sample(_)),
            Self::Samples => matches!(value, Value::Samples(_)),
        }
    }
}

/// Of the first arguments; the others may be of any type.
fn declared(function: &str) -> &'static [Declared] {
    use Declared::{Sample, Samples, Text};
    match function {
        "graphLink" | "parseDuration" | "printf" | "query" | "safeHtml" | "stripDomain" | "stripPort" | "tableLink"
        | "title" | "tmpl" | "toLower" | "toUpper" => &[Text],
        "match" => &[Text, Text],
        "reReplaceAll" => &[Text, Text, Text],
        "label" => &[Text, Sample],
        "strvalue" | "value" => &[Sample],
        "first" => &[Samples],
        "sortByLabel" => &[Text, Samples],
        _ => &[],
    }
}

/// # Errors
/// The value is not of the type that the function declares for the argument at `place`. `operand` is how it is written,
/// none for a piped value, whose fault stands at `command`.
pub(in crate::template) fn check(
    function: &str,
    place: usize,
    value: &Value,
    operand: Option<&Operand>,
    command: impl FnOnce(String) -> TemplateError,
) -> Result<(), TemplateError> {
    let Some(declared) = declared(function).get(place).filter(|declared| !declared.takes(value)) else { return Ok(()) };
    let name = declared.name();
    let is_constant = operand.is_some_and(Operand::is_constant);
    let message = match (value, declared) {
        (Value::Nil, Declared::Text) => format!("cannot assign nil to {name}"),
        (value, Declared::Text) if is_constant => format!("expected string; found {}", value.text()),
        (value, _) if is_constant => format!("can't handle {} for arg of type {name}", value.text()),
        (value, _) => format!("wrong type for value; expected {name}; got {}", value.kind()),
    };
    Err(operand.map_or_else(|| command(message.clone()), |operand| operand.wrong(message.clone())))
}
