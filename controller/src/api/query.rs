//! `/query`, `/query_range`: expressions over samples, asked and answered as Prometheus does, so that its clients can ask.
//!
//! Bounded by steps, series and points; what is beyond is an error that says so.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_rules::promql::ast::{Expr, Span};
use watchkeep_rules::promql::eval::{self, EvalError, Evaluated, Settings};
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::{duration, promql};

use super::ApiState;
use super::extract::Query;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(query)).routes(routes!(query_range))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Instant {
    /// The expression.
    query: String,
    /// Seconds since 1970 or RFC 3339; now where it is left out.
    time: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Range {
    /// The expression.
    query: String,
    /// Seconds since 1970 or RFC 3339.
    start: String,
    end: String,
    /// Seconds, or a duration such as `15s`.
    step: String,
}

/// Why there is no answer, in Prometheus's shape.
struct Fault {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Fault {
    fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({"status": "error", "errorType": self.kind, "error": self.message});
        (self.status, Json(body)).into_response()
    }
}

/// An expression at one instant.
#[utoipa::path(get, path = "/api/v1/query", tag = "samples", params(Instant), responses((status = 200, body = Value)))]
async fn query(State(state): State<ApiState>, Query(asked): Query<Instant>) -> Result<Json<Value>, Fault> {
    let at = asked.time.as_deref().map_or(Ok((state.now)().0), |time| instant("time", time))?;
    let expr = parse(&asked.query)?;
    let evaluate = move |state: &ApiState| eval::instant(&expr, &state.samples, at, &Settings::default());
    let evaluated = off_thread(state, asked.query.clone(), evaluate).await?;
    Ok(Json(answer(&evaluated, &asked.query, at)))
}

/// An expression at each step from `start` to `end`.
#[utoipa::path(get, path = "/api/v1/query_range", tag = "samples", params(Range), responses((status = 200, body = Value)))]
async fn query_range(State(state): State<ApiState>, Query(asked): Query<Range>) -> Result<Json<Value>, Fault> {
    let (start, end) = (instant("start", &asked.start)?, instant("end", &asked.end)?);
    let step = step(&asked.step)?;
    if end < start {
        return Err(Fault::bad(format!("end {} is before start {}", asked.end, asked.start)));
    }
    let expr = parse(&asked.query)?;
    let evaluate = move |state: &ApiState| eval::range(&expr, &state.samples, start, end, step, &Settings::default());
    let evaluated = off_thread(state, asked.query.clone(), evaluate).await?;
    Ok(Json(answer(&evaluated, &asked.query, end)))
}

/// Evaluates on a thread that may wait for workers and disk.
async fn off_thread(
    state: ApiState,
    text: String,
    evaluate: impl FnOnce(&ApiState) -> Result<Evaluated, EvalError> + Send + 'static,
) -> Result<Evaluated, Fault> {
    let evaluated = tokio::task::spawn_blocking(move || evaluate(&state)).await;
    let failed = |kind, message| Fault { status: StatusCode::UNPROCESSABLE_ENTITY, kind, message };
    match evaluated {
        Ok(outcome) => outcome.map_err(|error| failed("execution", placed(&text, error.span, &error.message))),
        Err(ended) => {
            tracing::error!(%ended, text, "an evaluation ended badly");
            Err(failed("internal", "the evaluation ended badly; the controller's log says why".to_owned()))
        }
    }
}

fn parse(text: &str) -> Result<Expr, Fault> {
    promql::parse(text).map_err(|faults| {
        let faults = faults.iter().map(|fault| {
            let near = fault.near.as_ref().map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
            placed(text, fault.span, &format!("{}{near}", fault.message))
        });
        Fault::bad(faults.collect::<Vec<_>>().join("; "))
    })
}

/// A sentence about a part of the expression, with the line and character where that begins.
fn placed(text: &str, span: Span, message: &str) -> String {
    let before = text.get(..span.from).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let character = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{line}:{character}: {message}")
}

fn instant(what: &str, text: &str) -> Result<i64, Fault> {
    if let Some(ms) = seconds(text) {
        return Ok(ms);
    }
    let read = chrono::DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    let help = "write seconds since 1970 or RFC 3339, for example 2026-11-23T20:00:00Z";
    read.map_err(|_| Fault::bad(format!("{what} \"{text}\" is no instant; {help}")))
}

fn step(text: &str) -> Result<i64, Fault> {
    let ms = seconds(text).or_else(|| duration::parse(text).ok());
    let help = "write seconds or a duration, for example 15s";
    ms.filter(|ms| *ms > 0).ok_or_else(|| Fault::bad(format!("step \"{text}\" is none above zero; {help}")))
}

/// Seconds to whole milliseconds; `None` where the text is no number or far out of range.
fn seconds(text: &str) -> Option<i64> {
    let ms = text.parse::<f64>().ok()? * 1_000.0;
    (ms.abs() < 9e15).then(|| ms.round() as i64)
}

/// `text` is the expression, `at` the instant of what has none of its own.
fn answer(evaluated: &Evaluated, text: &str, at: i64) -> Value {
    let (kind, result) = match &evaluated.value {
        eval::Value::Scalar(value) => ("scalar", pair(at, *value)),
        eval::Value::String(text) => ("string", json!([at as f64 / 1_000.0, text])),
        eval::Value::Vector(samples) => {
            let sample =
                |sample: &eval::Sample| json!({"metric": metric(&sample.labels), "value": pair(at, sample.value)});
            ("vector", samples.iter().map(sample).collect())
        }
        eval::Value::Matrix(series) => {
            let of = |series: &promql::series::Series| {
                let values: Vec<Value> = series.points.iter().map(|point| pair(point.at, point.value)).collect();
                json!({"metric": metric(&series.labels), "values": values})
            };
            ("matrix", series.iter().map(of).collect())
        }
    };
    let mut answer = json!({"status": "success", "data": {"resultType": kind, "result": result}});
    let (warnings, infos) = evaluated.annotations(text);
    for (name, notes) in [("warnings", warnings), ("infos", infos)] {
        if !notes.is_empty() {
            answer[name] = notes.into();
        }
    }
    answer
}

fn metric(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
}

/// `[seconds, "value"]`: JSON has no infinities, so values are texts.
fn pair(at: i64, value: f64) -> Value {
    let text = if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    };
    json!([at as f64 / 1_000.0, text])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_steps_are_read_as_prometheus_reads_them() {
        let read = |text| instant("time", text).map_err(|fault| fault.message);
        assert_eq!(read("1763930000.5"), Ok(1_763_930_000_500));
        assert_eq!(read("2026-11-23T20:00:00Z"), Ok(1_795_464_000_000));
        assert!(read("yesterday").expect_err("no instant").contains("time \"yesterday\" is no instant"));
        for (text, ms) in
            [("15", Some(15_000)), ("15s", Some(15_000)), ("1m30s", Some(90_000)), ("0", None), ("x", None)]
        {
            assert_eq!(step(text).ok(), ms, "{text}");
        }
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let fault = parse("sum(up)\n  + )").expect_err("it has a fault");
        assert_eq!((fault.kind, fault.status), ("bad_data", StatusCode::BAD_REQUEST));
        assert!(fault.message.starts_with("2:5: "), "{}", fault.message);
    }

    #[test]
    fn values_are_written_as_prometheus_writes_them() {
        for (value, text) in
            [(0.1, "0.1"), (1e21, "1000000000000000000000"), (f64::NAN, "NaN"), (f64::NEG_INFINITY, "-Inf")]
        {
            assert_eq!(pair(1_500, value), json!([1.5, text]));
        }
    }
}
