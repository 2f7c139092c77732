//! Labels and annotations of alerts.

use std::collections::BTreeMap;

use crate::template::Template;

/// Name → template, or the text as it is where it is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts(BTreeMap<String, Result<Template, String>>);

impl Texts {
    pub fn new(written: &BTreeMap<String, String>) -> Self {
        let read = |text: &String| Template::parse(text).map_err(|_| text.clone());
        Self(written.iter().map(|(name, text)| (name.clone(), read(text))).collect())
    }

    /// What cannot be rendered says so in its place, in Prometheus's words: an alert is never lost for them.
    pub fn rendered(&self, labels: &BTreeMap<String, String>, value: f64) -> BTreeMap<String, String> {
        let render = |text: &Result<Template, String>| match text {
            Ok(template) => {
                template.render(labels, value).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
            }
            Err(text) => text.clone(),
        };
        self.0.iter().map(|(name, text)| (name.clone(), render(text))).collect()
    }
}
