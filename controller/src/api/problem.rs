//! What the API says when it does not do what was asked: `application/problem+json` (RFC 9457).
//!
//! `code` is stable and for programs; `detail` is a sentence for the person. What went wrong inside stays in the log, under
//! the same `request_id`: the two cannot be mixed up, because the inner error is no part of this type.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchkeep_desk::Refusal;

use crate::core::handle::AskError;
use crate::store::StoreError;

/// A problem, as it travels. Without a `type` it is `about:blank`: the status says the kind, `code` says which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The status in words.
    pub title: String,
    pub status: u16,
    /// Stable: `not_found`, `unauthenticated`, `forbidden`, `invalid`, `not_allowed_in_state`, `busy`, `internal` …
    pub code: String,
    /// What was asked, what stands against it, and what would help.
    pub detail: String,
    /// Under which the log has more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            request_id: None,
        }
    }

    /// `what` is the thing with its name: `incident INC-7`.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} here"))
    }

    /// The request itself is wrong.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    pub fn unauthenticated() -> Self {
        let detail = "this needs a token: send \"Authorization: Bearer TOKEN\" with one that is in force, or log in";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// `role` is what the caller has, `needs` what the act takes.
    pub fn forbidden(role: &str, needs: &str) -> Self {
        let detail = format!("the caller's role is \"{role}\"; this takes \"{needs}\"");
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Something inside failed: logged here with its causes, told without them.
    pub fn internal(doing: &str, error: &dyn std::error::Error) -> Self {
        tracing::error!(doing, error = %crate::core::engine::chain(error), "a request failed inside");
        let detail = format!("{doing} failed inside the controller; its log says why");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code.as_str() {
            "unknown" => StatusCode::NOT_FOUND,
            "missing" | "invalid" => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::CONFLICT,
        };
        let code = if status == StatusCode::NOT_FOUND { "not_found" } else { &refusal.code };
        Self::new(status, code, refusal.sentence.clone())
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused(refusal) => refusal.into(),
            AskError::Busy | AskError::Gone => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor { .. } => Self::invalid(error.to_string()),
            error => Self::internal("reading the store", &error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
