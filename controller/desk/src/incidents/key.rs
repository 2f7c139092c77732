//! What tells incidents apart.

use std::collections::BTreeMap;

use super::IncidentKey;
use watchkeep_rules::model::IncidentSpec;

/// The key of an alert: the labels that the rule names; by default alertname and instance, or, where there is no instance,
/// all labels. A missing label equals the empty one.
pub fn key_of(spec: &IncidentSpec, labels: &BTreeMap<String, String>) -> IncidentKey {
    let of = |name: &str| labels.get(name).map_or("", String::as_str);
    let mut parts: BTreeMap<&str, &str> = match &spec.key {
        Some(names) => names.iter().map(|name| (name.as_str(), of(name))).collect(),
        None if !of("instance").is_empty() => [("alertname", of("alertname")), ("instance", of("instance"))].into(),
        None => labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
    };
    let name = parts.remove("alertname").unwrap_or_default();
    let rest: Vec<String> =
        parts.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value:?}")).collect();
    IncidentKey(format!("{name}{{{}}}", rest.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: Option<&[&str]>, labels: &[(&str, &str)], expected: &str) {
        let key = key.map(|names| names.iter().map(ToString::to_string).collect());
        let spec = IncidentSpec { key, ..IncidentSpec::default() };
        let labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(key_of(&spec, &labels).to_string(), expected);
    }

    #[test]
    fn keys_name_what_tells_incidents_apart() {
        let failed = &[("alertname", "UnitFailed"), ("instance", "web-1"), ("unit", "nginx.service")];
        check(None, failed, r#"UnitFailed{instance="web-1"}"#);
        check(Some(&["alertname", "instance", "unit"]), failed, r#"UnitFailed{instance="web-1",unit="nginx.service"}"#);
        check(Some(&["instance", "mountpoint"]), failed, r#"{instance="web-1"}"#);
        check(None, &[("alertname", "Slow"), ("service", "shop")], r#"Slow{service="shop"}"#);
        check(None, &[("alertname", "Slow"), ("instance", "")], "Slow{}");
    }

    #[test]
    fn a_value_cannot_pass_for_two_labels() {
        check(None, &[("alertname", "A"), ("x", "1\",y=\"2")], r#"A{x="1\",y=\"2"}"#);
    }
}
