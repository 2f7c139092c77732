//! `watchkeep query`.

use clap::Args;
use serde_json::Value;
use watchkeep_rules::duration;

use super::client::Client;
use super::output::{self, Format};
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
                "/api/v1/query_range"
            }
        };
        let answer = client.get(path, &asked).await?;
        output::one(format, &answer, written);
        Ok(())
    }
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
        _ => result.as_array().into_iter().flatten().map(series).collect(),
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

fn series(series: &Value) -> String {
    let name = series_name(&series["metric"]);
    let Some(points) = series["values"].as_array() else { return format!("{name}  {}\n", value(&series["value"])) };
    let line = |point: &Value| {
        let at = (point[0].as_f64().unwrap_or_default() * 1_000.0) as i64;
        format!("  {} {}  {}\n", output::day(at), output::clock(at), value(point))
    };
    std::iter::once(format!("{name}\n")).chain(points.iter().map(line)).collect()
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
    fn a_range_ends_at_its_instant() {
        assert_eq!(span("1h", Some("7200.5")).ok(), Some(("3600.500".to_owned(), "7200.500".to_owned())));
        assert!(span("soon", None).is_err());
    }
}
