//! What an alert was concluded from, as a sentence: the event with its kind and text, or the value beside its threshold.

use serde_json::Value;

use crate::Reason;
use crate::input::AlertChange;

/// Bytes of an event's text in a sentence; a longer one is cut, and whole in the evidence.
const TEXT_BYTES: usize = 200;

/// Why the alert's condition holds, with its newest evidence; none where the alert says neither.
pub(super) fn reason(alert: &AlertChange) -> Option<Reason> {
    let found = alert.evidence.last().and_then(|newest| of_event(newest).or_else(|| of_sample(newest)));
    let said = [alert.reason.trim(), found.as_deref().unwrap_or_default()];
    let said: Vec<&str> = said.into_iter().filter(|said| !said.is_empty()).collect();
    (!said.is_empty()).then(|| Reason::new("evidence", said.join("; ")))
}

/// `event unit_failed: nginx.service failed`
fn of_event(evidence: &Value) -> Option<String> {
    let kind = evidence["labels"]["kind"].as_str()?;
    let text = evidence["text"].as_str()?.trim();
    let cut = &text[..text.floor_char_boundary(TEXT_BYTES)];
    let more = if cut.len() < text.len() { " …" } else { "" };
    Some(if cut.is_empty() { format!("event {kind}") } else { format!("event {kind}: {cut}{more}") })
}

/// `its value is 0.034, and it fires at < 0.1`
fn of_sample(evidence: &Value) -> Option<String> {
    let value = number(&evidence["value"])?;
    let threshold = &evidence["threshold"];
    Some(match (threshold["op"].as_str(), number(&threshold["value"])) {
        (Some(op), Some(limit)) => format!("its value is {value}, and it fires at {op} {limit}"),
        _ => format!("its value is {value}"),
    })
}

/// A number as people read it: six digits behind the point at most; NaN and the infinities come as texts.
fn number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => {
            let fixed = format!("{:.6}", number.as_f64()?);
            Some(fixed.trim_end_matches('0').trim_end_matches('.').to_owned())
        }
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::Millis;
    use crate::input::AlertState;

    #[test]
    fn the_kind_of_an_event_and_the_value_of_a_sample_are_named() {
        let event = |text: &str| json!({"at": 0, "labels": {"kind": "unit_failed", "unit": "x"}, "text": text});
        let sample = json!({"at": 0, "labels": {}, "value": 0.034, "threshold": {"op": "<", "value": 0.1}});
        let long = "ü".repeat(200);
        let cut = format!("event unit_failed: {} …", "ü".repeat(100));
        let cases: [(&str, Vec<Value>, Option<&str>); 8] = [
            (
                "an event matched {a=\"b\"}",
                vec![event("x failed")],
                Some("an event matched {a=\"b\"}; event unit_failed: x failed"),
            ),
            ("", vec![event("old"), event(" new ")], Some("event unit_failed: new")),
            ("", vec![event("")], Some("event unit_failed")),
            ("", vec![event(&long)], Some(&cut)),
            ("a < 0.1 holds", vec![sample], Some("a < 0.1 holds; its value is 0.034, and it fires at < 0.1")),
            ("", vec![json!({"value": 3.0})], Some("its value is 3")),
            ("", vec![json!({"value": "NaN"})], Some("its value is NaN")),
            ("", vec![json!({"reason": "link_down"})], None),
        ];
        for (reason, evidence, expected) in cases {
            let alert = AlertChange {
                rule: "Rule".into(),
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                state: AlertState::Firing,
                happened_at: Millis(0),
                agent: None,
                reason: reason.into(),
                evidence,
            };
            let found = super::reason(&alert).map(|found| found.sentence);
            assert_eq!(found.as_deref(), expected);
        }
    }
}
