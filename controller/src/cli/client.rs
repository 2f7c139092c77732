//! The command line's HTTP client: one request, one answer, and errors a person can act on.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::context::{Context, ContextError};
use super::exit;
use crate::api::problem::Problem;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error("{method} {url}: {what}; is the controller running? \"watchkeep up\" starts one here")]
    Unreachable { method: Method, url: String, what: String },
    #[error("{}{}", .0.detail, .0.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
    Problem(Problem),
    #[error("{method} {url}: answered {status}, and not as a controller does; is something else listening there?")]
    Strange { method: Method, url: String, status: StatusCode },
}

impl ClientError {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Context(_) | Self::Unreachable { .. } | Self::Strange { .. } => exit::UNREACHABLE,
            Self::Problem(problem) if problem.status == 404 => exit::NOT_FOUND,
            // The controller looked at its files.
            Self::Problem(problem) if problem.code == "faults" => exit::FOUND_WANTING,
            // What was typed makes no sense to the controller, or not all was: an unknown state, a run of nothing.
            Self::Problem(problem) if problem.status == 400 => exit::USAGE,
            Self::Problem(problem) if problem.status == 422 && ["missing", "invalid"].contains(&&*problem.code) => {
                exit::USAGE
            }
            Self::Problem(_) => exit::REFUSED,
        }
    }
}

/// `text` as one segment of a path: all but the unreserved characters of RFC 3986 is escaped.
pub fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

/// A client of one controller.
pub struct Client {
    context: Context,
    http: reqwest::Client,
}

impl Client {
    /// A client of the controller that the context names.
    pub fn connect() -> Result<Self, ClientError> {
        Ok(Self::new(Context::find()?))
    }

    pub fn new(context: Context) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("watchkeep/", env!("CARGO_PKG_VERSION")))
            .build()
            .expect("a client with plain settings can be built");
        Self { context, http }
    }

    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, ClientError> {
        let request = self.http.get(self.url(path)).query(query).timeout(Duration::from_secs(60));
        self.send(Method::GET, path, request).await
    }

    /// Posts `body`; the key makes a repeated request the same request.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let key = crate::access::hex(&crate::access::random::<16>());
        let request = self.http.post(self.url(path)).json(body).header("Idempotency-Key", key);
        self.send(Method::POST, path, request.timeout(Duration::from_secs(60))).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        let request = self.http.delete(self.url(path)).timeout(Duration::from_secs(60));
        self.send(Method::DELETE, path, request).await
    }

    /// A stream of the ledger from `cursor` on, as the raw response.
    pub async fn stream(&self, cursor: Option<&str>) -> Result<reqwest::Response, ClientError> {
        let path = "/api/v1/stream";
        let mut request = self.http.get(self.url(path)).bearer_auth(&self.context.token);
        if let Some(cursor) = cursor {
            request = request.header("Last-Event-ID", cursor);
        }
        let response = request.send().await.map_err(|error| self.unreachable(Method::GET, path, &error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.problem(Method::GET, path, response).await) }
    }

    async fn send(&self, method: Method, path: &str, request: reqwest::RequestBuilder) -> Result<Value, ClientError> {
        let request = request.bearer_auth(&self.context.token);
        let response = request.send().await.map_err(|error| self.unreachable(method.clone(), path, &error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.problem(method, path, response).await);
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let strange = |_| ClientError::Strange { method: method.clone(), url: self.url(path), status };
        let body = response.bytes().await.map_err(strange)?;
        // Alertmanager's routes say nothing where there is nothing to say.
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| ClientError::Strange { method, url: self.url(path), status })
    }

    async fn problem(&self, method: Method, path: &str, response: reqwest::Response) -> ClientError {
        let status = response.status();
        let request = response.headers().get("X-Request-Id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let body: Value = response.json().await.unwrap_or_default();
        // Queries are answered in Prometheus's shape, faults too.
        if let Some(error) = body["error"].as_str() {
            return ClientError::Problem(Problem::new(status, "invalid", error));
        }
        // So are those of Alertmanager: a sentence.
        if let Some(sentence) = body.as_str() {
            return ClientError::Problem(Problem::new(status, "refused", sentence));
        }
        match serde_json::from_value::<Problem>(body) {
            // What failed inside has its cause in the controller's log, under this id.
            Ok(problem) if status.is_server_error() => ClientError::Problem(Problem { request_id: request, ..problem }),
            Ok(problem) => ClientError::Problem(problem),
            Err(_) => ClientError::Strange { method, url: self.url(path), status },
        }
    }

    fn unreachable(&self, method: Method, path: &str, error: &reqwest::Error) -> ClientError {
        let what = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            let mut cause: &dyn std::error::Error = error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            cause.to_string()
        };
        ClientError::Unreachable { method, url: self.url(path), what }
    }

    /// The whole address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.context.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_ends_with_the_code_of_the_table() {
        let code = |status, code: &str| ClientError::Problem(Problem::new(status, code, "said")).exit_code();
        for (status, word, expected) in [
            (StatusCode::UNPROCESSABLE_ENTITY, "faults", exit::FOUND_WANTING),
            (StatusCode::UNPROCESSABLE_ENTITY, "missing", exit::USAGE),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid", exit::USAGE),
            (StatusCode::BAD_REQUEST, "invalid", exit::USAGE),
            (StatusCode::NOT_FOUND, "not_found", exit::NOT_FOUND),
            (StatusCode::CONFLICT, "not_allowed_in_state", exit::REFUSED),
            (StatusCode::FORBIDDEN, "forbidden", exit::REFUSED),
        ] {
            assert_eq!(code(status, word), expected, "{status} {word}");
        }
    }

    #[test]
    fn a_name_stays_one_segment_of_a_path() {
        assert_eq!(segment("web-1.example_2~"), "web-1.example_2~");
        assert_eq!(segment("a:tcp/[::]:80?x#ä@h"), "a%3Atcp%2F%5B%3A%3A%5D%3A80%3Fx%23%C3%A4%40h");
    }
}
