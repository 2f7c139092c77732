//! `rules` and `alerts`: the rules over samples that are in force, and what of them is pending or fires.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_rules::alert::AlertState;
use watchkeep_rules::metric::{ActiveAlert, Concluded, MetricRules, Rule};
use watchkeep_rules::model::Group;
use watchkeep_rules::promql;
use watchkeep_rules::promql::eval::Settings;
use watchkeep_rules::selector::Selector;

use super::series::selector;
use super::{ApiState, Asked, Fault, off_thread, success};
use crate::detect::metrics::{FailingRule, GroupStanding, INTERVAL, Standing};
use crate::generation::Generation;
use crate::samples::Reader;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(rules)).routes(routes!(alerts))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct WantedRules {
    /// `alert` or `record`.
    r#type: Option<String>,
    /// Names of rules, of groups, of files.
    #[param(rename = "rule_name[]", required = false)]
    rule_name: Vec<String>,
    #[param(rename = "rule_group[]", required = false)]
    rule_group: Vec<String>,
    #[param(rename = "file[]", required = false)]
    file: Vec<String>,
    /// Selectors over the labels of a rule; one must take it.
    #[param(rename = "match[]", required = false)]
    matches: Vec<String>,
    /// `true`: rules without their alerts.
    exclude_alerts: Option<String>,
}

/// Which rules are asked for.
struct Wanted {
    is_alert: Option<bool>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    selectors: Vec<Selector>,
    without_alerts: bool,
}

impl Wanted {
    fn read(asked: &Asked) -> Result<Self, Fault> {
        let is_alert = match asked.get("type").map(str::to_ascii_lowercase).as_deref() {
            None => None,
            Some("alert") => Some(true),
            Some("record") => Some(false),
            Some(other) => return Err(Fault::bad(format!("type \"{other}\" is not known; write alert or record"))),
        };
        let without_alerts = match asked.get("exclude_alerts").map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "f") => false,
            Some("true" | "1" | "t") => true,
            Some(other) => return Err(Fault::bad(format!("exclude_alerts \"{other}\" is neither true nor false"))),
        };
        let all = |name: &str| asked.all(name).map(str::to_owned).collect();
        Ok(Self {
            is_alert,
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            selectors: asked.all("match[]").map(selector).collect::<Result<_, _>>()?,
            without_alerts,
        })
    }

    fn wants_group(&self, group: &Group) -> bool {
        among(&self.groups, &group.name) && among(&self.files, &group.file)
    }

    fn wants(&self, rule: &Rule) -> bool {
        let takes = |selector: &Selector| selector.matches(rule.labels());
        self.is_alert.is_none_or(|wanted| wanted == matches!(rule, Rule::Alert(_)))
            && among(&self.names, rule.name())
            && (self.selectors.is_empty() || self.selectors.iter().any(takes))
    }
}

/// Whether it is wanted: none are named, or it is.
fn among(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|wanted| wanted == name)
}

/// The rules over samples, group by group. Rules over events are no part of it: they have no expression.
#[utoipa::path(get, path = "/api/v1/rules", tag = "samples", params(WantedRules), responses((status = 200, body = Value)))]
async fn rules(State(state): State<ApiState>, asked: Asked) -> Result<Json<Value>, Fault> {
    let wanted = Wanted::read(&asked)?;
    off_thread(move || {
        let generation = Arc::clone(&state.generation.borrow());
        let seen = Seen { standing: standing(&state, &generation)?, failing: state.rules.failing() };
        let groups = generation.config.rules.groups.iter().filter(|group| wanted.wants_group(group));
        let mut groups: Vec<&Group> = groups.collect();
        groups.sort_by_key(|group| (&group.file, &group.name));
        let shown = groups.into_iter().map(|group| group_of(&generation, group, &seen, &wanted));
        // Asked for single rules, a group without any is not shown, as since version 3.
        let is_narrow = wanted.is_alert.is_some() || !wanted.names.is_empty() || !wanted.selectors.is_empty();
        let shown: Vec<Value> = shown.filter(|group| !is_narrow || group["rules"] != json!([])).collect();
        Ok(success(json!({"groups": shown})))
    })
    .await
}

/// All alerts of rules over samples that are pending or fire.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "samples", responses((status = 200, body = Value)))]
async fn alerts(State(state): State<ApiState>) -> Result<Json<Value>, Fault> {
    off_thread(move || {
        let standing = standing(&state, &Arc::clone(&state.generation.borrow()))?;
        let alerts = standing.groups.values().flat_map(|group| group.alerts.values().flatten());
        Ok(success(json!({"alerts": alerts.map(alert).collect::<Vec<_>>()})))
    })
    .await
}

/// How rules stand, and which fail.
struct Seen {
    standing: Standing,
    failing: Vec<FailingRule>,
}

fn standing(state: &ApiState, generation: &Generation) -> Result<Standing, Fault> {
    let mut standing = state.samples.rules_of_hosts().map_err(Fault::execution)?;
    standing.merge(state.rules.across());
    annotate(&mut standing, generation, &state.samples).map_err(Fault::execution)?;
    Ok(standing)
}

/// Of how many alerts annotations that ask for samples are shown as they would be now; those of the others are as old as
/// their alert, and of what is pending they are not shown.
const ASKED_MAX: usize = 200;

/// Adds the annotations that ask for samples, as of the last evaluation: rules of single hosts leave them out.
fn annotate(standing: &mut Standing, generation: &Generation, samples: &Reader) -> Result<(), String> {
    let mut left = ASKED_MAX;
    for group in &generation.config.rules.groups {
        let Some(found) = standing.groups.get_mut(&format!("{};{}", group.file, group.name)) else { continue };
        let at = found.evaluated_at.unwrap_or_default();
        for rule in Rule::of_group(&generation.config.rules, &group.file, &group.name) {
            let Some(alerts) = found.alerts.get_mut(&rule.identity()) else { continue };
            let rules = MetricRules::new(vec![rule.clone()])?.installed(Arc::clone(&generation.installation));
            for alert in alerts.iter_mut().filter(|_| rules.ask()).take(left) {
                let shown = Concluded::of_alert(rule.name(), alert, at);
                let asked = rules.answered(&shown, samples, &Settings::default());
                alert.annotations.extend(asked);
                left -= 1;
            }
        }
    }
    Ok(())
}

fn group_of(generation: &Generation, group: &Group, seen: &Seen, wanted: &Wanted) -> Value {
    let key = format!("{};{}", group.file, group.name);
    let nothing = GroupStanding::default();
    let standing = seen.standing.groups.get(&key).unwrap_or(&nothing);
    let rules = Rule::of_group(&generation.config.rules, &group.file, &group.name);
    let shown = rules.iter().filter(|rule| wanted.wants(rule)).map(|rule| {
        let failing = seen.failing.iter().find(|failing| failing.group == key && failing.rule == rule.name());
        rule_of(rule, standing, failing, wanted.without_alerts)
    });
    let mut shown = json!({
        "name": group.name,
        "file": group.file,
        "rules": shown.collect::<Vec<_>>(),
        "interval": seconds(group.interval.unwrap_or(INTERVAL)),
        "limit": group.limit,
    });
    evaluated(&mut shown, standing);
    shown
}

/// When it was evaluated, and how long that took where it is known.
fn evaluated(shown: &mut Value, standing: &GroupStanding) {
    shown["evaluationTime"] = standing.took.unwrap_or_default().as_secs_f64().into();
    // The instant that Go has for "never", which is what clients expect.
    shown["lastEvaluation"] = standing.evaluated_at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339).into();
}

fn rule_of(rule: &Rule, group: &GroupStanding, failing: Option<&FailingRule>, without_alerts: bool) -> Value {
    // As Prometheus sets it out.
    let query = promql::parse(rule.expr()).map_or_else(|_| rule.expr().to_owned(), |expr| expr.to_string());
    let health = match (failing, group.evaluated_at) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let mut shown = json!({"name": rule.name(), "query": query, "labels": rule.labels(), "health": health});
    if let Some(failing) = failing {
        shown["lastError"] = failing.message.clone().into();
    }
    evaluated(&mut shown, group);
    let Rule::Alert(of) = rule else {
        shown["type"] = "recording".into();
        // Prometheus leaves them out where there are none, and shows those of an alert always.
        shown.as_object_mut().filter(|_| rule.labels().is_empty()).and_then(|shown| shown.remove("labels"));
        return shown;
    };
    let active: &[ActiveAlert] = group.alerts.get(&rule.identity()).map_or(&[], Vec::as_slice);
    let state = match active {
        [] => "inactive",
        some if some.iter().any(ActiveAlert::is_firing) => "firing",
        _ => "pending",
    };
    let listed = if without_alerts { &[] } else { active };
    shown["type"] = "alerting".into();
    shown["state"] = state.into();
    shown["duration"] = seconds(of.hold);
    shown["keepFiringFor"] = seconds(of.keep_firing_for);
    shown["annotations"] = json!(of.annotations);
    shown["alerts"] = listed.iter().map(alert).collect();
    shown
}

fn alert(alert: &ActiveAlert) -> Value {
    let mut shown = json!({
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": if alert.is_firing() { "firing" } else { "pending" },
        "activeAt": rfc3339(alert.active_since),
        "value": exponential(alert.value),
    });
    if let AlertState::Firing { quiet_since: Some(since), .. } = alert.state {
        shown["keepFiringSince"] = rfc3339(since).into();
    }
    shown
}

/// Milliseconds as seconds; whole ones as such.
fn seconds(ms: i64) -> Value {
    if ms % 1_000 == 0 { (ms / 1_000).into() } else { (ms as f64 / 1_000.0).into() }
}

pub(super) fn rfc3339(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// `4e+00`: as many digits as it takes, and at least two of the exponent.
fn exponential(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn values_of_alerts_are_written_as_prometheus_writes_them() {
        for (value, text) in [
            (4.0, "4e+00"),
            (0.25, "2.5e-01"),
            (1e100, "1e+100"),
            (-12.5, "-1.25e+01"),
            (0.0, "0e+00"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(exponential(value), text);
        }
    }

    #[test]
    fn rules_are_asked_for_by_kind_name_and_labels() {
        let asked = |pairs: &[(&str, &str)]| {
            Asked(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let severity = BTreeMap::from([("severity".to_owned(), "critical".to_owned())]);
        let rule = Rule::Record(watchkeep_rules::model::RecordingRule {
            name: "load:max".to_owned(),
            file: "f".to_owned(),
            group: "g".to_owned(),
            place: 0,
            expr: "max(load)".to_owned(),
            labels: severity,
        });
        for (pairs, wants) in [
            (&[][..], true),
            (&[("type", "record")], true),
            (&[("type", "alert")], false),
            (&[("rule_name[]", "other"), ("rule_name[]", "load:max")], true),
            (&[("rule_name[]", "other")], false),
            (&[("match[]", "{severity=\"critical\"}")], true),
            (&[("match[]", "{severity=\"warning\"}")], false),
        ] {
            let wanted = Wanted::read(&asked(pairs)).expect("it reads");
            assert_eq!(wanted.wants(&rule), wants, "{pairs:?}");
        }
        let fault = Wanted::read(&asked(&[("type", "other")])).err().expect("no type");
        assert!(fault.message.contains("alert or record"), "{}", fault.message);
    }
}
