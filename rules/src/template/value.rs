//! Values with Go's types.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Context, time};
use crate::number;
use crate::promql::eval::Sample;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// An instant, UTC milliseconds: what `toTime` gives.
    Time(i64),
    /// A month or a day of the week.
    Named(Named),
    /// `$labels`: a missing one is empty.
    Labels(Arc<BTreeMap<String, String>>),
    /// What `args` makes: a missing one is nothing.
    Map(Arc<BTreeMap<String, Value>>),
    Sample(Sample),
    Samples(Vec<Sample>),
    /// What a template is given: labels, value, installation.
    Root,
}

/// What a method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Text,
    Int,
    Time,
}

impl Parameter {
    /// # Errors
    /// The value is of another type; in Go's words, which differ for what is written out.
    pub fn check(self, value: &Value, is_constant: bool) -> Result<(), String> {
        let (name, takes) = match self {
            Self::Text => ("string", matches!(value, Value::Text(_))),
            Self::Int => ("int", matches!(value, Value::Int(_))),
            Self::Time => ("time.Time", matches!(value, Value::Time(_))),
        };
        match self {
            _ if takes => Ok(()),
            Self::Text if is_constant => Err(format!("expected string; found {}", value.text())),
            Self::Int if is_constant => Err(format!("expected integer; found {}", value.text())),
            _ => Err(format!("wrong type for value; expected {name}; got {}", value.kind())),
        }
    }
}

/// An int with a name, which is what is shown of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Go's type.
    pub kind: &'static str,
    pub name: &'static str,
    pub number: i64,
}

impl Value {
    /// As it is shown: `%v`.
    pub fn text(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => number::shortest(*value),
            Self::Bool(value) => value.to_string(),
            Self::Time(ms) => time::shown(*ms),
            Self::Named(named) => named.name.to_owned(),
            Self::Labels(labels) => shown_map(labels.iter().map(|(name, value)| (name.as_str(), value.clone()))),
            Self::Map(map) => shown_map(map.iter().map(|(name, value)| (name.as_str(), value.text()))),
            Self::Sample(sample) => {
                let labels = shown_map(sample.labels.iter().map(|(name, value)| (name, value.to_owned())));
                format!("{{{labels} {}}}", number::shortest(sample.value))
            }
            Self::Samples(samples) => {
                let shown: Vec<String> = samples.iter().map(|sample| Self::Sample(sample.clone()).text()).collect();
                format!("[{}]", shown.join(" "))
            }
            Self::Root => "{the alert's labels and value}".to_owned(),
        }
    }

    /// As `print` shows it, where nothing is a value too.
    pub fn text_or_nil(&self) -> String {
        if matches!(self, Self::Nil) { "<nil>".to_owned() } else { self.text() }
    }

    /// As a number; text is read as one, as Prometheus's functions do.
    pub fn number(&self) -> Result<f64, String> {
        match self {
            Self::Float(value) => Ok(*value),
            Self::Int(value) => Ok(*value as f64),
            Self::Text(text) => number::parse(text),
            other => Err(format!("can't convert {} to float", other.kind())),
        }
    }

    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Text(text) => !text.is_empty(),
            Self::Int(value) | Self::Named(Named { number: value, .. }) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Bool(value) => *value,
            Self::Labels(labels) => !labels.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Time(_) | Self::Sample(_) | Self::Root => true,
        }
    }

    /// Its type as Go names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Text(_) => "string",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Bool(_) => "bool",
            Self::Time(_) => time::KIND,
            Self::Named(named) => named.kind,
            Self::Labels(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Sample(_) => "*template.sample",
            Self::Samples(_) => "template.queryResult",
            Self::Root => ROOT,
        }
    }

    /// `.name` of it.
    pub fn field(&self, name: &str, context: &Context<'_>) -> Result<Self, String> {
        match (self, name) {
            (Self::Root, "Labels") => Ok(Self::labels(context.labels)),
            (Self::Root, "Value") => Ok(Self::Float(context.value)),
            (Self::Root, "ExternalLabels") => Ok(Self::labels(context.external_labels)),
            (Self::Root, "ExternalURL") => Ok(Self::Text(context.external_url.to_owned())),
            (Self::Sample(sample), "Labels") => Ok(Self::Labels(Arc::new(sample.labels.to_map()))),
            (Self::Sample(sample), "Value") => Ok(Self::Float(sample.value)),
            (Self::Time(ms), method) => time::call(*ms, method, &[]),
            (Self::Labels(_) | Self::Map(_), name) => self.element(name),
            (value, name) => Err(format!("can't evaluate field {name} in type {}", value.kind())),
        }
    }

    /// What the method `name` of it takes, if it has one.
    pub fn parameters(&self, name: &str) -> Option<&'static [Parameter]> {
        if matches!(self, Self::Time(_)) { time::parameters(name) } else { None }
    }

    /// `.name` of it, called with arguments.
    pub fn method(&self, name: &str, arguments: &[Self], context: &Context<'_>) -> Result<Self, String> {
        match self {
            Self::Time(ms) => time::call(*ms, name, arguments),
            Self::Labels(_) | Self::Map(_) => Err(format!("{name} is not a method but has arguments")),
            value => {
                value.field(name, context)?;
                Err(format!("{name} has arguments but cannot be invoked as function"))
            }
        }
    }

    /// The element of a map by its key.
    pub fn element(&self, key: &str) -> Result<Self, String> {
        match self {
            Self::Labels(labels) => Ok(Self::Text(labels.get(key).cloned().unwrap_or_default())),
            Self::Map(map) => Ok(map.get(key).cloned().unwrap_or(Self::Nil)),
            other => Err(format!("can't index item of type {}", other.kind())),
        }
    }

    pub fn labels(labels: &BTreeMap<String, String>) -> Self {
        Self::Labels(Arc::new(labels.clone()))
    }

    /// What `range` goes over: places or keys, and elements; maps by key.
    pub fn elements(&self) -> Result<Vec<(Self, Self)>, String> {
        let place = |place: usize| Self::Int(i64::try_from(place).unwrap_or(i64::MAX));
        match self {
            Self::Nil => Ok(Vec::new()),
            Self::Labels(labels) => {
                Ok(labels.iter().map(|(name, value)| (Self::Text(name.clone()), Self::Text(value.clone()))).collect())
            }
            Self::Map(map) => Ok(map.iter().map(|(name, value)| (Self::Text(name.clone()), value.clone())).collect()),
            Self::Samples(samples) => {
                let numbered = samples.iter().enumerate();
                Ok(numbered.map(|(at, sample)| (place(at), Self::Sample(sample.clone()))).collect())
            }
            Self::Int(count) => Ok((0..(*count).min(COUNT_MAX)).map(|at| (Self::Int(at), Self::Int(at))).collect()),
            other => Err(format!("range can't iterate over {}", other.text())),
        }
    }
}

/// Times that `range` goes over a number at most; rendering ends long before.
const COUNT_MAX: i64 = 100_000;

/// Go's name of what a template is given.
const ROOT: &str =
    "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }";

fn shown_map<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}:{value}")).collect();
    format!("map[{}]", pairs.join(" "))
}
