//! `/alertmanager/api/v2`: Alertmanager's API, so that a Prometheus that names Watchkeep as its Alertmanager has its alerts
//! turned into incidents, and `amtool` lists alerts and sets silences.
//!
//! Shapes are those of
//! <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>; errors are a text in JSON, as there. An
//! incident is a group, a channel of the settings a receiver. What is listed is all that fires, of rules here and of others.

mod alerts;
mod post;
mod shown;
mod silences;
mod status;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat};
use utoipa_axum::router::OpenApiRouter;
use watchkeep_rules::selector::{MatchOp, Matcher, Selector, anchored};

use super::ApiState;
use super::problem::Problem;
use crate::core::handle::AskError;

/// All of it, to stand under `/alertmanager`.
pub fn routes() -> OpenApiRouter<ApiState> {
    alerts::routes().merge(post::routes()).merge(silences::routes()).merge(status::routes())
}

/// Why there is no answer.
#[derive(Debug)]
struct Fault(StatusCode, String);

impl Fault {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<AskError> for Fault {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused(refusal) if refusal.code == "unknown" => Self(StatusCode::NOT_FOUND, refusal.sentence),
            AskError::Refused(refusal) => Self::bad(refusal.sentence),
            AskError::Busy | AskError::Gone => Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

/// Its clients know 400 where something is refused, and show nothing of a 422.
impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
        let status = if status == StatusCode::UNPROCESSABLE_ENTITY { StatusCode::BAD_REQUEST } else { status };
        Self(status, problem.detail)
    }
}

/// `2026-11-24T09:30:00.000Z`
fn rfc3339(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An instant as it is written; none for Go's zero time, which clients send for "not said".
fn instant(what: &str, text: &str) -> Result<Option<i64>, String> {
    if text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    let read = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    read.map(Some).map_err(|_| format!("{what} \"{text}\" is no instant; write RFC 3339, 2026-11-24T09:30:00Z"))
}

/// The parameters of an address.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn of(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is wanted; not said is yes.
    fn wants(&self, name: &str) -> Result<bool, Fault> {
        match self.all(name).next() {
            None | Some("" | "true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(Fault::bad(format!("{name} \"{other}\" is neither true nor false"))),
        }
    }

    /// The matchers of `filter`, all of which must hold.
    fn filter(&self) -> Result<Selector, Fault> {
        let matchers = self.all("filter").map(matcher).collect::<Result<_, _>>()?;
        Ok(Selector { matchers })
    }
}

/// `name="value"`, with any of the four operators; quotes may be left out.
fn matcher(text: &str) -> Result<Matcher, Fault> {
    let wrong = |why: String| Fault::bad(format!("filter {text:?}: {why}"));
    if let Ok(Selector { matchers }) = Selector::parse(&format!("{{{text}}}"))
        && let [matcher] = &matchers[..]
    {
        return Ok(matcher.clone());
    }
    let at = text.find(['=', '!']).ok_or_else(|| wrong("write it as name=value".to_owned()))?;
    let (label, rest) = (text[..at].trim(), &text[at..]);
    let ops = [MatchOp::Matches, MatchOp::NotMatches, MatchOp::NotEqual, MatchOp::Equal];
    let op = ops.into_iter().find(|op| rest.starts_with(op.as_str()));
    let op = op.ok_or_else(|| wrong("its operator is none of =, !=, =~, !~".to_owned()))?;
    let value = rest[op.as_str().len()..].trim().to_owned();
    if op.is_pattern() {
        anchored(&value).map_err(wrong)?;
    }
    Ok(Matcher { label: label.to_owned(), op, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_quotes_or_none() {
        let read = |text| matcher(text).map(|read| format!("{} {} {}", read.label, read.op.as_str(), read.value));
        for (text, expected) in [
            ("alertname=\"Disk full\"", "alertname = Disk full"),
            ("alertname=Disk", "alertname = Disk"),
            ("unit!~nginx.*", "unit !~ nginx.*"),
            ("unit != a=b", "unit != a=b"),
        ] {
            assert_eq!(read(text).expect(text), expected);
        }
        for wrong in ["alertname", "unit=~(", "unit!a"] {
            assert_eq!(read(wrong).expect_err(wrong).0, StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn the_zero_time_is_no_instant() {
        assert_eq!(instant("endsAt", "0001-01-01T00:00:00Z"), Ok(None));
        assert_eq!(instant("endsAt", "2026-11-23T20:00:00+00:00"), Ok(Some(1_795_464_000_000)));
        assert!(instant("endsAt", "soon").is_err());
    }
}
