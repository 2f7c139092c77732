//! `watchkeep query`.

mod fault;

use std::collections::BTreeSet;

use clap::Args;
use serde_json::Value;
use watchkeep_rules::near::near;
use watchkeep_rules::promql::{self, Features};
use watchkeep_rules::selector::MatchOp;
use watchkeep_rules::{duration, metric};

use super::client::{Client, ClientError};
use super::output::{self, Days, Format};
use super::{Failure, Outcome, exit};

/// An expression over what hosts measured.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep query 'node_load1 > 4'\n  watchkeep query 'rate(node_cpu_seconds_total{mode=\"idle\"}[5m])' --range 1h --step 1m"
)]
pub struct Query {
    /// PromQL
    expr: String,
    /// The instant: seconds since 1970 or RFC 3339; now where it is left out
    #[arg(long)]
    at: Option<String>,
    /// Evaluate over so long up to the instant, for example 1h
    #[arg(long, value_name = "DURATION")]
    range: Option<String>,
    /// How far the instants of a range are apart
    #[arg(long, value_name = "DURATION", default_value = "15s", requires = "range")]
    step: String,
    /// For charts, how coarse samples may be: auto, 0s, 5m or 1h; without it the answer is exact
    #[arg(long, value_name = "RESOLUTION", requires = "range")]
    max_source_resolution: Option<String>,
}

impl Query {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let mut asked = vec![("query", self.expr.clone())];
        let path = match &self.range {
            None => {
                asked.extend(self.at.clone().map(|at| ("time", at)));
                "/api/v1/query"
            }
            Some(range) => {
                let (start, end) = span(range, self.at.as_deref())?;
                asked.extend([("start", start), ("end", end), ("step", self.step.clone())]);
                asked.extend(self.max_source_resolution.clone().map(|most| ("max_source_resolution", most)));
                "/api/v1/query_range"
            }
        };
        let answer = client.get(path, &asked).await.map_err(|error| self.failure(error))?;
        let result = &answer["data"]["result"];
        let is_empty = result.as_array().is_some_and(Vec::is_empty) && answer["data"]["resultType"] != "scalar";
        let unknown = if is_empty && format == Format::Table { self.unknown_names(client).await } else { Vec::new() };
        output::one(format, &answer, |answer| written(answer) + &unknown.concat());
        Ok(())
    }

    /// What is wrong with the expression is the command line's fault, and shown in it.
    fn failure(&self, error: ClientError) -> Failure {
        match &error {
            ClientError::Problem(problem) if [400, 422].contains(&problem.status) => {
                Failure::new(exit::USAGE, fault::shown(&self.expr, &problem.detail))
            }
            _ => error.into(),
        }
    }

    /// A line for each metric of the expression that no series is called by. Nothing is told where that cannot be found out:
    /// the answer itself was given.
    async fn unknown_names(&self, client: &Client) -> Vec<String> {
        let asked = names(&self.expr);
        if asked.is_empty() {
            return Vec::new();
        }
        let Ok(answer) = client.get("/prometheus/api/v1/label/__name__/values", &[]).await else { return Vec::new() };
        let known: BTreeSet<&str> = answer["data"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let unknown = asked.iter().filter(|name| !known.contains(name.as_str()));
        unknown.map(|name| no_series(name, near(name, known.iter().copied()))).collect()
    }
}

fn no_series(name: &str, near: Option<String>) -> String {
    let near = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    format!("No series is called \"{name}\"{near}\n")
}

/// The names of metrics that an expression reads; none where it does not parse here.
fn names(expr: &str) -> BTreeSet<String> {
    let Ok(expr) = promql::parse_with(expr, Features::enabled(), promql::Asked::default()) else {
        return BTreeSet::new();
    };
    let selectors = metric::selectors(&expr);
    let matchers = selectors.iter().flat_map(|read| &read.selector.matchers.matchers);
    let of_name = matchers.filter(|matcher| matcher.label == "__name__" && matcher.op == MatchOp::Equal);
    of_name.map(|matcher| matcher.value.clone()).collect()
}

/// First and last instant of a range, in seconds.
fn span(range: &str, at: Option<&str>) -> Result<(String, String), Failure> {
    let wrong = |message: String| Failure::new(exit::USAGE, message);
    let range = duration::parse(range).map_err(|error| wrong(format!("--range: {error}")))?;
    let end = match at {
        None => chrono::Utc::now().timestamp_millis(),
        Some(at) => {
            let seconds = at.parse::<f64>().ok().map(|seconds| (seconds * 1_000.0) as i64);
            let read = || chrono::DateTime::parse_from_rfc3339(at).ok().map(|time| time.timestamp_millis());
            seconds.or_else(read).ok_or_else(|| wrong(format!("--at: \"{at}\" is no instant")))?
        }
    };
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000));
    Ok((seconds(end.saturating_sub(range)), seconds(end)))
}

/// A line a series, `labels  value`; of a range a line a point beneath.
fn written(answer: &Value) -> String {
    let result = &answer["data"]["result"];
    let mut text = match answer["data"]["resultType"].as_str() {
        Some("scalar" | "string") => format!("{}\n", value(result)),
        _ => {
            let mut days = Days::default();
            result.as_array().into_iter().flatten().map(|one| series(one, &mut days)).collect()
        }
    };
    if text.is_empty() {
        text.push_str("No series has a value there.\n");
    }
    for kind in ["warnings", "infos"] {
        for note in answer[kind].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let kind = kind.trim_end_matches('s');
            // The API names the kind once more.
            let note = note.strip_prefix(&format!("PromQL {kind}: ")).unwrap_or(note);
            text.push_str(&format!("{kind}: {note}\n"));
        }
    }
    text
}

fn series(series: &Value, days: &mut Days) -> String {
    let name = series_name(&series["metric"]);
    let Some(points) = series["values"].as_array() else { return format!("{name}  {}\n", value(&series["value"])) };
    let mut text = format!("{name}\n");
    for point in points {
        let at = (point[0].as_f64().unwrap_or_default() * 1_000.0).round() as i64;
        text.push_str(&days.turn(at));
        text.push_str(&format!("  {}  {}\n", output::clock(at), value(point)));
    }
    text
}

fn value(pair: &Value) -> &str {
    pair[1].as_str().unwrap_or("?")
}

/// As Prometheus writes a series: `name{label="value"}`.
fn series_name(metric: &Value) -> String {
    let labels = metric.as_object().into_iter().flatten();
    let name = metric["__name__"].as_str().unwrap_or_default();
    let others: Vec<String> =
        labels.filter(|(label, _)| *label != "__name__").map(|(label, value)| format!("{label}={value}")).collect();
    if others.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", others.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_written_as_prometheus_writes_series() {
        let sample = json!({"metric": {"__name__": "up", "instance": "db-1"}, "value": [1.5, "0"]});
        let answer = json!({"data": {"resultType": "vector", "result": [sample]}, "infos": ["PromQL info: it is a gauge (1:6)"]});
        assert_eq!(written(&answer), "up{instance=\"db-1\"}  0\ninfo: it is a gauge (1:6)\n");
        let nothing = json!({"data": {"resultType": "matrix", "result": []}});
        assert_eq!(written(&nothing), "No series has a value there.\n");
        assert_eq!(written(&json!({"data": {"resultType": "scalar", "result": [0, "7"]}})), "7\n");
    }

    #[test]
    fn the_points_of_a_range_have_their_day_said_once() {
        // 2026-03-02 23:59:30 UTC
        let points = json!([[1_772_495_970.0, "1"], [1_772_495_985.25, "2"], [1_772_496_000.0, "3"]]);
        let later = json!([[1_772_496_015.0, "4"]]);
        let answer = json!({"data": {"resultType": "matrix", "result": [
            {"metric": {"__name__": "up", "instance": "a"}, "values": points},
            {"metric": {"__name__": "up", "instance": "b"}, "values": later},
        ]}});
        insta::assert_snapshot!(written(&answer), @r#"
        up{instance="a"}
        Monday 2026-03-02, UTC+00:00
          23:59:30.000  1
          23:59:45.250  2
        Tuesday 2026-03-03, UTC+00:00
          00:00:00.000  3
        up{instance="b"}
          00:00:15.000  4
        "#);
    }

    #[test]
    fn the_metrics_of_an_expression_are_known() {
        let found = names("sum(rate(a_total[5m])) / on () {__name__=\"b\"} > c{job!=\"d\"} or {job=\"x\"}");
        assert_eq!(found, ["a_total", "b", "c"].map(str::to_owned).into());
        assert!(names("sum(").is_empty());
        assert_eq!(no_series("nod", Some("node".to_owned())), "No series is called \"nod\"; did you mean \"node\"?\n");
    }

    #[test]
    fn what_is_wrong_with_the_expression_is_wrong_use() {
        let query = Query {
            expr: "up[5m]".to_owned(),
            at: None,
            range: None,
            step: "15s".to_owned(),
            max_source_resolution: None,
        };
        for (status, code) in [(400, exit::USAGE), (422, exit::USAGE), (503, exit::REFUSED), (404, exit::NOT_FOUND)] {
            let status = reqwest::StatusCode::from_u16(status).expect("a status");
            let problem = crate::api::problem::Problem::new(status, "invalid", "1:1: a range makes no sense here");
            assert_eq!(query.failure(ClientError::Problem(problem)).code, code, "{status}");
        }
    }

    #[test]
    fn a_range_ends_at_its_instant() {
        assert_eq!(span("1h", Some("7200.5")).ok(), Some(("3600.500".to_owned(), "7200.500".to_owned())));
        assert!(span("soon", None).is_err());
    }
}
