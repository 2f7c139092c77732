//! Labels and annotations of alerts.

use std::collections::BTreeMap;

use super::Installation;
use crate::promql::eval::{self, Sample, Value};
use crate::promql::labels::Labels;
use crate::promql::parse;
use crate::promql::series::Samples;
use crate::template::{Context, Template};

/// Name → template, or the text as it is where it is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts(BTreeMap<String, Result<Template, String>>);

/// What all templates of one evaluation see, whatever the alert.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub at: i64,
    pub samples: &'a dyn Samples,
    pub evaluation: &'a eval::Settings,
    pub installation: &'a Installation,
}

impl Texts {
    pub fn new(written: &BTreeMap<String, String>) -> Self {
        let read = |text: &String| Template::parse(text).map_err(|_| text.clone());
        Self(written.iter().map(|(name, text)| (name.clone(), read(text))).collect())
    }

    /// Whether one of them asks for samples (`query`).
    pub fn ask(&self) -> bool {
        self.0.values().any(asks)
    }

    /// The name of the first that asks for samples.
    pub fn first_asking(&self) -> Option<&str> {
        self.0.iter().find(|(_, text)| asks(text)).map(|(name, _)| name.as_str())
    }

    /// What cannot be rendered says so in its place, in Prometheus's words: an alert is never lost for them.
    pub fn rendered(
        &self,
        alert: &str,
        labels: &BTreeMap<String, String>,
        value: f64,
        sight: &Sight<'_>,
    ) -> BTreeMap<String, String> {
        self.rendered_where(|_| true, alert, (labels, value), sight)
    }

    /// Those alone that ask for samples, or (`asking` false) those that do not.
    pub fn rendered_of(
        &self,
        asking: bool,
        alert: &str,
        result: (&BTreeMap<String, String>, f64),
        sight: &Sight<'_>,
    ) -> BTreeMap<String, String> {
        self.rendered_where(|text| asks(text) == asking, alert, result, sight)
    }

    /// Adds to what is rendered now those of `before` that ask for samples.
    pub fn keep_asked(&self, before: BTreeMap<String, String>, now: &mut BTreeMap<String, String>) {
        let asked = before.into_iter().filter(|(name, _)| self.0.get(name).is_some_and(asks));
        for (name, text) in asked {
            now.entry(name).or_insert(text);
        }
    }

    fn rendered_where(
        &self,
        wanted: impl Fn(&Result<Template, String>) -> bool,
        alert: &str,
        (labels, value): (&BTreeMap<String, String>, f64),
        sight: &Sight<'_>,
    ) -> BTreeMap<String, String> {
        let query = |expr: &str| sight.query(expr);
        let context = Context {
            labels,
            value,
            external_labels: &sight.installation.external_labels,
            external_url: &sight.installation.external_url,
            at: sight.at,
            query: Some(&query),
        };
        let render = |text: &Result<Template, String>| match text {
            Ok(template) => template.render_with(&context).unwrap_or_else(|error| template.failed(alert, &error)),
            Err(text) => text.clone(),
        };
        let wanted = self.0.iter().filter(|(_, text)| wanted(text));
        wanted.map(|(name, text)| (name.clone(), render(text))).collect()
    }
}

fn asks(text: &Result<Template, String>) -> bool {
    text.as_ref().is_ok_and(|template| template.asks().is_some())
}

impl Sight<'_> {
    fn query(&self, expr: &str) -> Result<Vec<Sample>, String> {
        let parsed = parse(expr).map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())?;
        let found =
            eval::instant(&parsed, self.samples, self.at, self.evaluation).map_err(|error| error.to_string())?;
        match found.value {
            Value::Vector(samples) => Ok(samples),
            Value::Scalar(value) => Ok(vec![Sample::new(Labels::default(), value)]),
            Value::String(_) | Value::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
        }
    }
}
