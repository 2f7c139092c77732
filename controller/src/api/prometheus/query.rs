//! Expressions over samples, at an instant and over a range.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_rules::promql;
use watchkeep_rules::promql::ast::{Expr, Span, ValueType};
use watchkeep_rules::promql::eval::{self, EvalError, Evaluated, Settings};
use watchkeep_rules::promql::histogram::Histogram;
use watchkeep_rules::promql::labels::Labels;

use super::{ApiState, Asked, CUT, Fault, off_thread, truncate};
use crate::samples::coarse::{Coarsely, Resolution, aggregated};

/// Steps of a range at most, as Prometheus has it.
const STEPS_MAX: i64 = 11_000;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(query)).routes(routes!(query_range))
}

/// What the document says of the parameters; [`Asked`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct Instant {
    /// The expression.
    query: String,
    /// Seconds since 1970 or RFC 3339; now where it is left out.
    time: Option<String>,
    /// How far back a selector looks for a series' newest point; five minutes where it is left out.
    lookback_delta: Option<String>,
    /// Series at most; 0: no limit.
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct Range {
    /// The expression.
    query: String,
    /// Seconds since 1970 or RFC 3339.
    start: String,
    end: String,
    /// Seconds, or a duration such as `15s`.
    step: String,
    /// As for an instant.
    lookback_delta: Option<String>,
    limit: Option<u32>,
    /// For charts: how coarse samples may be. `0s` (or left out): the answer is exact; `5m`, `1h`: smallest, largest, average or
    /// last of so long, wherever the step is no shorter and each function can do with it; `auto`: whatever suits the step.
    max_source_resolution: Option<String>,
}

/// An expression at one instant.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/query",
    tag = "samples",
    params(Instant),
    responses((status = 200, body = Value))
)]
async fn query(State(state): State<ApiState>, asked: Asked) -> Result<Json<Value>, Fault> {
    let at = asked.instant("time", (state.now)().0)?;
    let (text, settings, limit) = (asked.needed("query")?.to_owned(), settings(&asked)?, asked.limit()?);
    let expr = parse(&text)?;
    off_thread(move || {
        let evaluated = eval::instant(&expr, &state.samples, at, &settings);
        let evaluated = evaluated.map_err(|error| failed(&text, &error))?;
        Ok(Json(answer(evaluated, &text, at, limit)))
    })
    .await
}

/// An expression at each step from `start` to `end`.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/query_range",
    tag = "samples",
    params(Range),
    responses((status = 200, body = Value))
)]
async fn query_range(State(state): State<ApiState>, asked: Asked) -> Result<Json<Value>, Fault> {
    let (start_text, end_text) = (asked.needed("start")?, asked.needed("end")?);
    let (start, end) = (super::instant("start", start_text)?, super::instant("end", end_text)?);
    asked.needed("step")?;
    let step = asked.duration("step")?.unwrap_or(1);
    if end < start {
        return Err(Fault::bad(format!("end {end_text} is before start {start_text}")));
    }
    if end.saturating_sub(start) / step > STEPS_MAX {
        let wrong = format!("the range has more than {STEPS_MAX} steps; take a longer step or a shorter range");
        return Err(Fault::bad(wrong));
    }
    let (text, settings, limit) = (asked.needed("query")?.to_owned(), settings(&asked)?, asked.limit()?);
    let expr = parse_over(&text, promql::Asked { step, range: end.saturating_sub(start) })?;
    if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        return Err(Fault::bad("only a scalar or an instant vector can be evaluated over a range"));
    }
    let coarsest = coarsest(&asked)?;
    off_thread(move || {
        let evaluated = match coarsely(&expr, coarsest, step) {
            None => eval::range(&expr, &state.samples, start, end, step, &settings),
            Some((expr, resolution)) => {
                let samples = Coarsely { coarse: &state.coarse, reader: &state.samples, resolution };
                let settings = Settings { lookback: settings.lookback.max(resolution.ms()), ..settings };
                eval::range(&expr, &samples, start, end, step, &settings)
            }
        };
        let evaluated = evaluated.map_err(|error| failed(&text, &error))?;
        Ok(Json(answer(evaluated, &text, end, limit)))
    })
    .await
}

/// The coarsest resolution that the caller wants, ms; 0: samples as they are.
fn coarsest(asked: &Asked) -> Result<i64, Fault> {
    match asked.get("max_source_resolution") {
        None | Some("" | "0" | "0s") => Ok(0),
        Some("auto") => Ok(i64::MAX),
        Some(text) => {
            let known = Resolution::ALL.into_iter().find(|resolution| resolution.word() == text);
            let wrong = || Fault::bad(format!("max_source_resolution \"{text}\" is none of auto, 0s, 5m and 1h"));
            known.map(Resolution::ms).ok_or_else(wrong)
        }
    }
}

/// The coarsest resolution that is wanted, no longer than the step, and good enough for the expression, with that as it asks
/// for buckets.
fn coarsely(expr: &Expr, coarsest: i64, step: i64) -> Option<(Expr, Resolution)> {
    let fit = Resolution::ALL.into_iter().rev().filter(|resolution| resolution.ms() <= step.min(coarsest));
    fit.filter_map(|resolution| Some((aggregated(expr, resolution)?, resolution))).next()
}

fn settings(asked: &Asked) -> Result<Settings, Fault> {
    let settings = Settings::default();
    Ok(Settings { lookback: asked.duration("lookback_delta")?.unwrap_or(settings.lookback), ..settings })
}

fn failed(text: &str, error: &EvalError) -> Fault {
    Fault::execution(placed(text, error.span, &error.message))
}

/// At an instant.
pub(super) fn parse(text: &str) -> Result<Expr, Fault> {
    parse_over(text, promql::Asked::default())
}

fn parse_over(text: &str, asked: promql::Asked) -> Result<Expr, Fault> {
    promql::parse_with(text, promql::Features::enabled(), asked).map_err(|faults| {
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

/// `text` is the expression, `at` the instant of what has none of its own; at most `limit` series are given, of 0 all.
fn answer(mut evaluated: Evaluated, text: &str, at: i64, limit: usize) -> Value {
    let is_cut = match &mut evaluated.value {
        eval::Value::Vector(samples) => truncate(samples, limit),
        eval::Value::Matrix(series) => truncate(series, limit),
        _ => false,
    };
    let (kind, result) = match &evaluated.value {
        eval::Value::Scalar(value) => ("scalar", pair(at, *value)),
        eval::Value::String(text) => ("string", json!([at as f64 / 1_000.0, text])),
        eval::Value::Vector(samples) => {
            let sample = |sample: &eval::Sample| match &sample.histogram {
                None => json!({"metric": metric(&sample.labels), "value": pair(at, sample.value)}),
                Some(held) => json!({"metric": metric(&sample.labels), "histogram": histogram(at, held)}),
            };
            ("vector", samples.iter().map(sample).collect())
        }
        eval::Value::Matrix(series) => {
            let of = |series: &promql::series::Series| {
                let mut shown = json!({"metric": metric(&series.labels)});
                let values: Vec<Value> = series.points.iter().map(|point| pair(point.at, point.value)).collect();
                let histograms = series.histograms.iter().map(|held| histogram(held.at, &held.histogram));
                let histograms: Vec<Value> = histograms.collect();
                // As in Prometheus: a key for what there is, and never none.
                if !values.is_empty() || histograms.is_empty() {
                    shown["values"] = values.into();
                }
                if !histograms.is_empty() {
                    shown["histograms"] = histograms.into();
                }
                shown
            };
            ("matrix", series.iter().map(of).collect())
        }
    };
    let mut answer = json!({"status": "success", "data": {"resultType": kind, "result": result}});
    let (mut warnings, infos) = evaluated.annotations(text);
    warnings.extend(is_cut.then(|| CUT.to_owned()));
    for (name, notes) in [("warnings", warnings), ("infos", infos)] {
        if !notes.is_empty() {
            answer[name] = notes.into();
        }
    }
    answer
}

pub(super) fn metric(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
}

/// `[seconds, "value"]`: JSON has no infinities, so values are texts.
fn pair(at: i64, value: f64) -> Value {
    json!([at as f64 / 1_000.0, text(value)])
}

/// `[seconds, {count, sum, buckets: [[boundaries, lower, upper, count], …]}]`
fn histogram(at: i64, histogram: &Histogram) -> Value {
    let mut shown = json!({"count": text(histogram.count), "sum": text(histogram.sum)});
    let buckets = histogram.intervals().into_iter().map(|interval| {
        json!([interval.boundaries(), text(interval.lower), text(interval.upper), text(interval.count)])
    });
    let buckets: Vec<Value> = buckets.collect();
    if !buckets.is_empty() {
        shown["buckets"] = buckets.into();
    }
    json!([at as f64 / 1_000.0, shown])
}

fn text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_fault_says_where_it_is() {
        let fault = parse("sum(up)\n  + )").expect_err("it has a fault");
        assert_eq!((fault.kind, fault.status), ("bad_data", StatusCode::BAD_REQUEST));
        assert!(fault.message.starts_with("2:5: "), "{}", fault.message);
    }

    #[test]
    fn a_histogram_is_written_as_prometheus_writes_it() {
        let held =
            Histogram::parse("count:4 sum:2.5 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[1] n_offset:1 n_buckets:[2]");
        assert_eq!(
            histogram(1_500, &held.expect("a histogram")),
            json!([1.5, {"count": "4", "sum": "2.5", "buckets": [
                [1, "-2", "-1", "2"], [3, "-0.5", "0.5", "1"], [0, "1", "2", "1"],
            ]}])
        );
        assert_eq!(histogram(0, &Histogram::default()), json!([0.0, {"count": "0", "sum": "0"}]));
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
