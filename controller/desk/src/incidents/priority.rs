//! Priority = impact × urgency.

use std::collections::BTreeMap;

use watchkeep_rules::model::IncidentSpec;

use super::Priority;
use crate::Reason;
use crate::ids::CiId;
use crate::work::Work;

/// P1 (1,1) · P2 (1,2)(2,1) · P3 (1,3)(2,2)(3,1) · P4 (2,3)(3,2) · P5 (3,3). Impact and urgency are taken as 1 to 3.
pub fn level(impact: u8, urgency: u8) -> u8 {
    impact.clamp(1, 3) + urgency.clamp(1, 3) - 1
}

/// The priority of an alert: impact from the CMDB, urgency from its rule.
pub(super) fn judge(
    work: &Work<'_>,
    spec: &IncidentSpec,
    labels: &BTreeMap<String, String>,
    ci: Option<CiId>,
) -> Priority {
    let (impact, why_impact) = match ci {
        Some(ci) => work.desk.cmdb.impact(ci),
        None => (3, vec![Reason::new("impact", "no configuration item is known for it: impact 3")]),
    };
    let (urgency, why_urgency) = urgency(spec, labels);
    let level = level(impact, urgency);
    let sum = Reason::new("priority", format!("impact {impact} and urgency {urgency} make P{level}"));
    let reasons = why_impact.into_iter().chain([why_urgency, sum]).collect();
    Priority { level, impact, urgency, reasons, set_by: None }
}

fn urgency(spec: &IncidentSpec, labels: &BTreeMap<String, String>) -> (u8, Reason) {
    let (urgency, why) = match (spec.urgency, labels.get("severity").map(String::as_str)) {
        (Some(urgency), _) => (urgency.clamp(1, 3), "the rule says so".to_owned()),
        (None, Some("critical")) => (1, "severity is critical".to_owned()),
        (None, Some("warning")) => (2, "severity is warning".to_owned()),
        (None, Some("info")) => (3, "severity is info".to_owned()),
        (None, Some(other)) => (2, format!("severity \"{other}\" is none of critical, warning, info")),
        (None, None) => (2, "the alert has no severity".to_owned()),
    };
    (urgency, Reason::new("urgency", format!("{why}: urgency {urgency}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_is_impact_times_urgency() {
        let rows = [[1, 2, 3], [2, 3, 4], [3, 4, 5]];
        for (impact, row) in (1..).zip(rows) {
            for (urgency, expected) in (1..).zip(row) {
                assert_eq!(level(impact, urgency), expected, "impact {impact}, urgency {urgency}");
            }
        }
    }

    #[test]
    fn urgency_comes_from_the_rule_else_from_severity() {
        let check = |set: Option<u8>, severity: Option<&str>, expected: u8| {
            let spec = IncidentSpec { urgency: set, ..IncidentSpec::default() };
            let labels = severity.map(|word| ("severity".to_owned(), word.to_owned())).into_iter().collect();
            assert_eq!(urgency(&spec, &labels).0, expected, "{set:?} {severity:?}");
        };
        check(Some(3), Some("critical"), 3);
        check(None, Some("critical"), 1);
        check(None, Some("warning"), 2);
        check(None, Some("info"), 3);
        check(None, Some("page"), 2);
        check(None, None, 2);
    }
}
