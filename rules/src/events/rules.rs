//! Event rules made ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metric::Installation;
use crate::model::EventRule;
use crate::selector::{Compiled, SelectorError};
use crate::template::{Context, Template};

/// Compiled event rules of one generation, by name.
#[derive(Clone, Debug, Default)]
pub struct EventRules {
    pub(super) by_name: BTreeMap<String, Ready>,
}

#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub rule: EventRule,
    pub matches: Compiled,
    pub clear: Option<Compiled>,
    labels: Texts,
    annotations: Texts,
    installation: Arc<Installation>,
}

/// Name → template, or the text as it is where it is none.
type Texts = BTreeMap<String, Result<Template, String>>;

impl EventRules {
    /// Fails only for rules that did not come from loading.
    pub fn new(rules: &[EventRule]) -> Result<Self, SelectorError> {
        let by_name = rules.iter().map(|rule| Ok((rule.name.clone(), Ready::new(rule)?)));
        Ok(Self { by_name: by_name.collect::<Result<_, SelectorError>>()? })
    }

    /// What templates know of where they run; nothing unless it is told.
    #[must_use]
    pub fn installed(mut self, installation: &Arc<Installation>) -> Self {
        self.by_name.values_mut().for_each(|ready| ready.installation = Arc::clone(installation));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

impl Ready {
    fn new(rule: &EventRule) -> Result<Self, SelectorError> {
        Ok(Self {
            matches: Compiled::new(&rule.matches)?,
            clear: rule.clear.as_ref().map(Compiled::new).transpose()?,
            labels: texts(&rule.labels),
            annotations: texts(&rule.annotations),
            installation: Arc::default(),
            rule: rule.clone(),
        })
    }

    /// The labels of a new alert: name, host, `by` labels, then the rule's own. Empty ones are left out, as in Prometheus.
    pub fn labels(&self, by: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = by.clone();
        labels.insert("alertname".to_owned(), self.rule.name.clone());
        let own = self.rendered(&self.labels, &labels, f64::from(self.rule.count));
        for (name, value) in own {
            labels.entry(name).or_insert(value);
        }
        labels.retain(|_, value| !value.is_empty());
        labels
    }

    /// Annotations see the newest event's labels under those of the alert, and how many events it counts.
    pub fn annotations(
        &self,
        labels: &BTreeMap<String, String>,
        event: &BTreeMap<String, String>,
        count: usize,
    ) -> BTreeMap<String, String> {
        let mut seen = event.clone();
        seen.extend(labels.clone());
        self.rendered(&self.annotations, &seen, count as f64)
    }

    /// What cannot be rendered says so in its place, as in Prometheus: an alert is never lost for its words.
    fn rendered(&self, texts: &Texts, labels: &BTreeMap<String, String>, value: f64) -> BTreeMap<String, String> {
        let Installation { external_labels, external_url } = self.installation.as_ref();
        let context = Context { external_labels, external_url, ..Context::new(labels, value) };
        let render = |text: &Result<Template, String>| match text {
            Ok(template) => template.render_with(&context).unwrap_or_else(|error| format!("<error: {error}>")),
            Err(text) => text.clone(),
        };
        texts.iter().map(|(name, text)| (name.clone(), render(text))).collect()
    }
}

fn texts(written: &BTreeMap<String, String>) -> Texts {
    let read = |text: &String| Template::parse(text).map_err(|_| text.clone());
    written.iter().map(|(name, text)| (name.clone(), read(text))).collect()
}
