//! `/prometheus/api/v1`: the part of Prometheus's HTTP API that its clients read and write by, asked and answered in its shape, so that
//! Grafana, `promtool query` and dashboards take Watchkeep as a Prometheus.
//!
//! Each route takes its parameters from the address or, by POST, from a form, as
//! <https://prometheus.io/docs/prometheus/latest/querying/api/> has it. Bounded by steps, series and points; what is beyond
//! is an error that says so.

mod otlp;
mod query;
mod rules;
mod series;
mod status;
mod targets;
mod write;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use watchkeep_rules::duration;

use super::ApiState;

/// Queries under the API's own prefix, as the command line asks them.
pub fn own_routes() -> OpenApiRouter<ApiState> {
    query::routes()
}

/// All of it, to stand under `/prometheus`.
pub fn routes() -> OpenApiRouter<ApiState> {
    query::routes()
        .merge(series::routes())
        .merge(rules::routes())
        .merge(targets::routes())
        .merge(status::routes())
        .merge(write::routes())
        .merge(otlp::routes())
}

/// Why there is no answer, in Prometheus's shape.
#[derive(Debug)]
struct Fault {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Fault {
    fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }

    fn execution(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", message: message.into() }
    }

    fn internal(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", message: message.into() }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({"status": "error", "errorType": self.kind, "error": self.message});
        (self.status, Json(body)).into_response()
    }
}

/// What was asked and worked out: `{"status": "success", "data": …}`.
fn success(data: impl Into<Value>) -> Json<Value> {
    Json(json!({"status": "success", "data": data.into()}))
}

/// As [`success`], of which at most `limit` items are given; a warning says if there are more. 0 is no limit.
fn limited<T: Into<Value>>(mut items: Vec<T>, limit: usize) -> Json<Value> {
    let is_cut = truncate(&mut items, limit);
    let mut answer = success(items.into_iter().map(Into::into).collect::<Vec<Value>>());
    if is_cut {
        answer.0["warnings"] = json!([CUT]);
    }
    answer
}

/// The warning of an answer that was cut, in Prometheus's words.
const CUT: &str = "results truncated due to limit";

/// Keeps `limit` items, unless that is 0; whether there were more.
fn truncate<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let is_cut = limit > 0 && items.len() > limit;
    if is_cut {
        items.truncate(limit);
    }
    is_cut
}

/// Runs what may wait for workers and disk on a thread that may.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| {
        tracing::error!(%ended, "an evaluation ended badly");
        Err(Fault::internal("the evaluation ended badly; the controller's log says why"))
    })
}

/// The parameters of a request: of its form, then of its address; of a name that comes twice the first counts, unless it may
/// be repeated. Parameters that are not known are passed over, as Prometheus does.
struct Asked(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_form = kind.starts_with("application/x-www-form-urlencoded");
        let address = request.uri().query().unwrap_or_default().to_owned();
        let mut pairs = Vec::new();
        if is_form {
            let form = Bytes::from_request(request, state).await;
            let form = form.map_err(|rejection| Fault::bad(format!("the form: {}", rejection.body_text())))?;
            pairs.extend(form_urlencoded::parse(&form).into_owned());
        }
        pairs.extend(form_urlencoded::parse(address.as_bytes()).into_owned());
        Ok(Self(pairs))
    }
}

impl Asked {
    /// The parameter, where it is given and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let values: Vec<&str> =
            self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        values.into_iter()
    }

    fn needed(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| Fault::bad(format!("the parameter \"{name}\" is missing")))
    }

    /// An instant, ms since 1970; `other` where it is not given.
    fn instant(&self, name: &str, other: i64) -> Result<i64, Fault> {
        self.get(name).map_or(Ok(other), |text| instant(name, text))
    }

    /// A duration above zero, ms.
    fn duration(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ms = seconds(text).or_else(|| duration::parse(text).ok()).filter(|ms| *ms > 0);
        let help = "write seconds or a duration, for example 15s";
        ms.map(Some).ok_or_else(|| Fault::bad(format!("{name} \"{text}\" is none above zero; {help}")))
    }

    /// `limit`; 0: none.
    fn limit(&self) -> Result<usize, Fault> {
        let Some(text) = self.get("limit") else { return Ok(0) };
        text.parse().map_err(|_| Fault::bad(format!("limit \"{text}\" is no whole number from 0 up")))
    }
}

fn instant(name: &str, text: &str) -> Result<i64, Fault> {
    if let Some(ms) = seconds(text) {
        return Ok(ms);
    }
    let read = chrono::DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    let help = "write seconds since 1970 or RFC 3339, for example 2026-11-23T20:00:00Z";
    read.map_err(|_| Fault::bad(format!("{name} \"{text}\" is no instant; {help}")))
}

/// Seconds to whole milliseconds; `None` where the text is no number. What is farther than 292 million years, which clients
/// send for "everything", is the farthest.
fn seconds(text: &str) -> Option<i64> {
    let ms = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite())? * 1_000.0;
    Some(ms.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_durations_are_read_as_prometheus_reads_them() {
        let read = |text| instant("time", text).map_err(|fault| fault.message);
        assert_eq!(read("1763930000.5"), Ok(1_763_930_000_500));
        assert_eq!(read("2026-11-23T20:00:00Z"), Ok(1_795_464_000_000));
        assert_eq!(read("-9223372036854775.808"), Ok(i64::MIN), "a client's \"from the beginning\"");
        assert!(read("yesterday").expect_err("no instant").contains("time \"yesterday\" is no instant"));
        for (text, ms) in
            [("15", Some(15_000)), ("15s", Some(15_000)), ("1m30s", Some(90_000)), ("0", None), ("x", None)]
        {
            let asked = Asked(vec![("step".to_owned(), text.to_owned())]);
            assert_eq!(asked.duration("step").ok().flatten(), ms, "{text}");
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        let answer = |limit| limited(vec!["a", "b", "c"], limit).0;
        assert_eq!(answer(2)["data"], json!(["a", "b"]));
        assert_eq!(answer(2)["warnings"], json!([CUT]));
        assert_eq!(answer(0), json!({"status": "success", "data": ["a", "b", "c"]}));
        assert_eq!(answer(3), answer(0));
    }
}
