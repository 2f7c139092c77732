//! Values against what a runbook says of its parameters.

use serde_json::Value;

use crate::model::{Parameter, ParameterType};

impl Parameter {
    /// Takes a text as the parameter's type, as rules (whose templates give texts) and the command line hand them over.
    pub fn check_text(&self, text: &str) -> Result<Value, String> {
        let value = match self.kind {
            ParameterType::String => Some(Value::String(text.to_owned())),
            ParameterType::Integer => text.parse::<i64>().ok().map(Value::from),
            ParameterType::Number => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
            ParameterType::Boolean => text.parse::<bool>().ok().map(Value::Bool),
        };
        let value = value.ok_or_else(|| format!("\"{text}\" is no {}", self.kind.word()))?;
        self.check(&value)?;
        Ok(value)
    }

    /// Whether a value has the parameter's type and follows its pattern.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let has_type = match self.kind {
            ParameterType::String => value.is_string(),
            ParameterType::Integer => value.is_i64() || value.is_u64(),
            ParameterType::Number => value.is_number(),
            ParameterType::Boolean => value.is_boolean(),
        };
        if !has_type {
            return Err(format!("{value} is no {}", self.kind.word()));
        }
        let (Some(pattern), Some(text)) = (&self.pattern, value.as_str()) else { return Ok(()) };
        match crate::selector::unanchored(pattern) {
            Ok(regex) if regex.is_match(text) => Ok(()),
            Ok(_) => Err(format!("\"{text}\" does not match {pattern}")),
            Err(message) => Err(message),
        }
    }
}

impl ParameterType {
    /// The word in a runbook.
    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(kind: ParameterType, pattern: Option<&str>) -> Parameter {
        Parameter { kind, pattern: pattern.map(str::to_owned), required: false, default: None }
    }

    #[test]
    fn a_text_is_taken_as_the_type_or_refused() {
        use ParameterType::{Boolean, Integer, Number, String};
        let unit = Some(r"^[\w@.:-]+\.service$");
        let table = [
            (String, unit, "nginx.service", Ok(serde_json::json!("nginx.service"))),
            (String, unit, "nginx; rm", Err("does not match")),
            (Integer, None, "42", Ok(serde_json::json!(42))),
            (Integer, None, "4.2", Err("is no integer")),
            (Number, None, "4.2", Ok(serde_json::json!(4.2))),
            (Number, None, "inf", Err("is no number")),
            (Boolean, None, "true", Ok(serde_json::json!(true))),
            (Boolean, None, "yes", Err("is no boolean")),
        ];
        for (kind, pattern, text, expected) in table {
            match (parameter(kind, pattern).check_text(text), expected) {
                (Ok(value), Ok(wanted)) => assert_eq!(value, wanted, "{text}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
