//! `watchkeep rules replay`: what rules would have done on what hosts have measured.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};
use watchkeep_rules::model::RuleBook;
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::promql::series::{Point, Series};
use watchkeep_rules::replay::{Lived, Replay};
use watchkeep_rules::selector::Selector;
use watchkeep_rules::{duration, load};

use super::found;
use crate::cli::client::Client;
use crate::cli::judge::{self, IncidentLived};
use crate::cli::output::{self, Format};
use crate::cli::{Failure, Outcome, exit};

/// Samples of so long are asked for at once, ms.
const SPAN: i64 = 3_600_000;
/// Rows of a table at most; `-o json` has all.
const ROWS_MAX: usize = 200;

#[derive(Debug, Args)]
#[command(
    after_help = "The samples are the controller's; rules over events are left out. Recorded series are recorded anew. An alert \
                  that began before the span counts if it still fires in it. As samples are asked for over the API, which \
                  tells of no ends of series, what goes away is missed for five minutes longer than it would be live.\n\n\
                  Examples:\n  watchkeep rules replay new.yaml\n  watchkeep rules replay new.yaml --last 7d --every 1m"
)]
pub struct Replayed {
    /// Rule files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How far back from --to
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = length, conflicts_with = "from")]
    last: i64,
    /// The beginning: seconds since 1970 or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<i64>,
    /// The end; now where it is left out
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<i64>,
    /// How often rules are judged whose group has no interval of its own
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = length)]
    every: i64,
}

fn length(text: &str) -> Result<i64, String> {
    match duration::parse(text)? {
        0 => Err("this must be longer than 0".to_owned()),
        ms => Ok(ms),
    }
}

fn instant(text: &str) -> Result<i64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let read = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
    seconds
        .map(|seconds| (seconds * 1_000.0) as i64)
        .or_else(read)
        .ok_or_else(|| "this is no instant; write for example 2026-03-01T12:00:00Z, or seconds since 1970".to_owned())
}

impl Replayed {
    pub fn run(self, format: Format) -> Outcome {
        let book = load::read(&self.files).map_err(|faults| found(&faults, format))?;
        let to = self.to.unwrap_or_else(|| Utc::now().timestamp_millis());
        let from = self.from.unwrap_or(to.saturating_sub(self.last));
        if from >= to {
            return Err(Failure::new(exit::USAGE, "--from must be before --to".to_owned()));
        }
        let mut replay = Replay::new(&book, from, to, self.every).map_err(wanting)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| wanting(format!("a runtime cannot be started: {error}")))?;
        runtime.block_on(fetch(&mut replay, &Client::connect()?, to))?;
        let answer = told(&book, &replay, from, to);
        output::one(format, &answer.json(), |_| answer.table());
        Ok(())
    }
}

fn wanting(message: String) -> Failure {
    Failure::new(exit::FOUND_WANTING, message)
}

/// Hands the replay its samples, span by span.
async fn fetch(replay: &mut Replay, client: &Client, to: i64) -> Outcome {
    while replay.until() < to {
        let after = replay.until();
        let until = after.saturating_add(SPAN).min(to);
        let mut series = Vec::new();
        for selector in replay.reads() {
            series.extend(points(client, selector, after, until).await?);
        }
        replay.go_on(&series, until).map_err(wanting)?;
    }
    Ok(())
}

/// The samples of a selector in `(after, until]`.
async fn points(client: &Client, selector: &Selector, after: i64, until: i64) -> Result<Vec<Series>, Failure> {
    let query = format!("{selector}[{}]", duration::format(until - after));
    let time = format!("{}.{:03}", until.div_euclid(1_000), until.rem_euclid(1_000));
    let answer = client.get("/prometheus/api/v1/query", &[("query", query.clone()), ("time", time)]).await?;
    let result = answer["data"]["result"].as_array();
    let series: Option<Vec<Series>> = result.and_then(|result| result.iter().map(one_series).collect());
    series.ok_or_else(|| wanting(format!("the controller's answer to \"{query}\" is no list of samples")))
}

/// `{metric: {…}, values: [[seconds, "value"], …]}`
fn one_series(series: &Value) -> Option<Series> {
    let labels = series["metric"].as_object()?.iter();
    let labels = labels.map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned())));
    let points = series["values"].as_array()?.iter().map(|pair| {
        let at = (pair[0].as_f64()? * 1_000.0).round() as i64;
        Some(Point { at, value: pair[1].as_str()?.parse().ok()? })
    });
    Some(Series::new(Labels::new(labels.collect::<Option<Vec<_>>>()?), points.collect::<Option<_>>()?))
}

/// What there is to tell.
struct Told {
    from: i64,
    to: i64,
    instants: u64,
    alerts: Vec<Lived>,
    incidents: Vec<IncidentLived>,
    failures: Vec<watchkeep_rules::replay::Failed>,
}

fn told(book: &RuleBook, replay: &Replay, from: i64, to: i64) -> Told {
    let mut incidents = judge::incidents(book, replay.transitions(), from, to);
    incidents.retain(|incident| incident.resolved.is_none_or(|resolved| resolved >= from));
    Told { from, to, instants: replay.instants(), alerts: replay.alerts(), incidents, failures: replay.failures() }
}

impl Told {
    fn json(&self) -> Value {
        json!({
            "from": self.from,
            "to": self.to,
            "instants": self.instants,
            "alerts": self.alerts,
            "incidents": self.incidents,
            "failures": self.failures,
        })
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for alert in self.alerts.iter().take(ROWS_MAX) {
            let labels: Vec<String> = alert
                .labels
                .iter()
                .filter(|(label, _)| *label != "alertname")
                .map(|(label, value)| format!("{label}={value}"))
                .collect();
            text.push_str(&format!(
                "{}  {} {{{}}}\n",
                self.span(alert.began, alert.ended),
                alert.rule,
                labels.join(", ")
            ));
        }
        if self.alerts.len() > ROWS_MAX {
            text.push_str(&format!("… and {} more alerts; -o json has all of them\n", self.alerts.len() - ROWS_MAX));
        }
        let (alerts, longest) = (counted(self.alerts.len(), "alert"), self.longest());
        let longest = longest.map(|ms| format!(", the longest for {}", output::age(ms))).unwrap_or_default();
        let over = output::age(self.to - self.from);
        text.push_str(&format!("{alerts} in {over}{longest}\n\n"));
        for incident in self.incidents.iter().take(ROWS_MAX) {
            let span = self.span(incident.opened, incident.resolved);
            text.push_str(&format!("{span}  P{} {}\n", incident.priority, incident.title));
        }
        text.push_str(&format!("{} would have been opened\n", counted(self.incidents.len(), "incident")));
        for failed in &self.failures {
            let times = counted(usize::try_from(failed.times).unwrap_or(usize::MAX), "time");
            text.push_str(&format!("rule '{}' failed {times}, at first: {}\n", failed.rule, failed.why));
        }
        text
    }

    /// `2026-03-01 12:00:05 UTC for 10 min`
    fn span(&self, began: i64, ended: Option<i64>) -> String {
        match ended {
            Some(ended) => format!("{} for {}", output::local(began), output::age(ended - began)),
            None => format!("{} for {} and on", output::local(began), output::age(self.to - began)),
        }
    }

    fn longest(&self) -> Option<i64> {
        self.alerts.iter().map(|alert| alert.ended.unwrap_or(self.to) - alert.began).max()
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use watchkeep_rules::load::load;

    use super::*;

    const RULES: &str = r#"groups:
- name: g
  interval: 1m
  rules:
  - {alert: Down, expr: up == 0, for: 2m, labels: {severity: critical}, annotations: {summary: "{{ $labels.instance }} is down"}, incident: {resolve_after: 1m}}
"#;
    const MINUTE: i64 = 60_000;

    #[test]
    fn a_matrix_is_read_as_samples() {
        let series = json!({"metric": {"__name__": "up", "instance": "a"}, "values": [[1.5, "NaN"], [3, "+Inf"]]});
        let read = one_series(&series).expect("as Prometheus writes it");
        assert_eq!(read.labels, Labels::new([("__name__", "up"), ("instance", "a")]));
        assert!(read.points[0].at == 1_500 && read.points[0].value.is_nan());
        assert_eq!(read.points[1], Point { at: 3_000, value: f64::INFINITY });
        assert!(one_series(&json!({"metric": {}, "values": [["now", "1"]]})).is_none());
    }

    #[test]
    fn alerts_and_incidents_of_the_past_are_told() {
        let book = load(&[("r.yaml".into(), RULES.to_owned())]).unwrap_or_else(|faults| panic!("{faults}"));
        let (from, to) = (1_772_366_400_000, 1_772_366_400_000 + 60 * MINUTE);
        let mut replay = Replay::new(&book, from, to, MINUTE).expect("a rule over samples");
        // Down from the 10th minute to the 19th, and from the 50th on.
        let value = |minute: i64| if (10..20).contains(&minute) || minute >= 50 { 0.0 } else { 1.0 };
        let points = (0..=60).map(|minute| Point { at: from + minute * MINUTE, value: value(minute) }).collect();
        let series = Series::new(Labels::new([("__name__", "up"), ("instance", "web-1")]), points);
        replay.go_on(&[series], to).expect("it fits");
        let told = told(&book, &replay, from, to);
        let text = told.table();
        let rows = [
            "2026-03-01 12:12:00 UTC for 8 min  Down {instance=web-1, severity=critical}\n",
            "2026-03-01 12:52:00 UTC for 8 min and on  Down {instance=web-1, severity=critical}\n",
            "2 alerts in 60 min, the longest for 8 min\n",
            "  P3 web-1 is down\n",
        ];
        rows.iter().for_each(|row| assert!(text.contains(row), "{row} is not in\n{text}"));
        assert!(told.incidents[0].opened == from + 12 * MINUTE, "{:?}", told.incidents);
    }
}
