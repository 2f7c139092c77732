//! Sends what waits for one store, one request after the other.
//!
//! As remote write 1.0 has it: 5xx and 429 are tried again, as is no answer at all, after `Retry-After` or a pause that
//! doubles; any other 4xx is the store's last word on that request, whose samples are counted as refused. What else comes
//! (a redirection, a secret that cannot be read) is no word on the samples: it is tried again, and shown.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use tokio::sync::watch;
use watchkeep_desk::Millis;
use watchkeep_rules::load::Credentials;

use super::queue::Next;
use super::store::Store;
use crate::core::engine::chain;

/// Longer is no `Retry-After` followed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Of what a store says, so much is read and shown.
const WORDS: usize = 300;

/// See the module.
pub struct Sender {
    pub store: Arc<Store>,
    pub config_dir: PathBuf,
    pub now: fn() -> Millis,
}

/// What became of one attempt.
enum Outcome {
    Taken,
    Refused(String),
    Again { why: String, after: Option<Duration> },
}

impl Sender {
    /// Runs until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.send_all() => {}
        }
    }

    async fn send_all(&self) {
        let mut client = None;
        loop {
            let queue = Arc::clone(&self.store.queue);
            let next = tokio::task::spawn_blocking(move || queue.next()).await;
            match next.unwrap_or_else(|ended| Err(std::io::Error::other(ended))) {
                Ok(Some(next)) => self.send(&next, &mut client).await,
                Ok(None) => self.store.queue.bell.notified().await,
                Err(error) => {
                    self.tell(Some(format!("read what waits: {error}")));
                    tokio::time::sleep(self.pause(u32::MAX)).await;
                }
            }
        }
    }

    /// Sends one request until there is a last word on it, or it is dropped for want of room.
    async fn send(&self, next: &Next, client: &mut Option<Client>) {
        let (counts, samples) = (&self.store.counts, u64::from(next.request.samples));
        for attempt in 0.. {
            if attempt > 0 {
                counts.retries.fetch_add(1, Ordering::Relaxed);
            }
            match self.attempt(next, client).await {
                Outcome::Taken => {
                    counts.sent.fetch_add(samples, Ordering::Relaxed);
                    counts.newest_sent.fetch_max(next.request.newest, Ordering::Relaxed);
                    self.tell(None);
                    return self.store.queue.done(next);
                }
                Outcome::Refused(why) => {
                    counts.refused.fetch_add(samples, Ordering::Relaxed);
                    self.tell(Some(format!("{samples} samples refused: {why}")));
                    return self.store.queue.done(next);
                }
                Outcome::Again { why, after } => {
                    self.tell(Some(why));
                    let after = after.map(|after| after.min(RETRY_AFTER_MAX));
                    tokio::time::sleep(after.unwrap_or_else(|| self.pause(attempt))).await;
                }
            }
            if !self.store.queue.holds(next) {
                return;
            }
        }
    }

    /// The pause after so many attempts that failed.
    fn pause(&self, attempt: u32) -> Duration {
        let queue = &self.store.config.queue;
        let doubled = queue.min_backoff.saturating_mul(1_i64 << attempt.min(30));
        Duration::from_millis(doubled.min(queue.max_backoff).unsigned_abs())
    }

    fn tell(&self, trouble: Option<String>) {
        if self.store.counts.note(trouble.clone()) {
            let store = &self.store.config.name;
            match trouble {
                Some(trouble) => tracing::warn!(store, trouble, "samples were not taken"),
                None => tracing::info!(store, "samples are taken"),
            }
        }
    }

    async fn attempt(&self, next: &Next, client: &mut Option<Client>) -> Outcome {
        let again = |why| Outcome::Again { why, after: None };
        let request = match self.request(next, client).await {
            Ok(request) => request,
            Err(why) => return again(why),
        };
        match request.send().await {
            Ok(answer) => self.judged(answer).await,
            Err(error) => again(chain(&error.without_url())),
        }
    }

    async fn request(&self, next: &Next, client: &mut Option<Client>) -> Result<RequestBuilder, String> {
        let config = &self.store.config;
        let client = match client {
            Some(client) => client,
            None => client.insert(self.client().await?),
        };
        let mut request = client
            .post(&config.url)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .header(USER_AGENT, concat!("watchkeep/", env!("CARGO_PKG_VERSION")))
            .body(next.request.body.clone());
        for (name, value) in &config.headers {
            request = request.header(name, value);
        }
        match &config.credentials {
            None => Ok(request),
            Some(Credentials::Basic { username, file }) => {
                let password = self.text("password_file", file).await?;
                Ok(request.basic_auth(username, Some(password.trim_ascii_end())))
            }
            Some(Credentials::Authorization { kind, file }) => {
                let secret = self.text("credentials_file", file).await?;
                let value = HeaderValue::try_from(format!("{kind} {}", secret.trim_ascii_end()));
                let mut value = value.map_err(|_| "credentials_file holds what no header may".to_owned())?;
                value.set_sensitive(true);
                Ok(request.header(AUTHORIZATION, value))
            }
        }
    }

    async fn client(&self) -> Result<Client, String> {
        let config = &self.store.config;
        let timeout = Duration::from_millis(config.timeout.unsigned_abs());
        let mut builder = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(timeout);
        if let Some(file) = &config.ca_file {
            let pem = self.text("ca_file", file).await?;
            let certificates = Certificate::from_pem_bundle(pem.as_bytes());
            let certificates = certificates.map_err(|error| format!("read ca_file: {}", chain(&error)))?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map_err(|error| format!("make the HTTP client: {}", chain(&error)))
    }

    async fn text(&self, what: &str, file: &std::path::Path) -> Result<String, String> {
        let path = self.config_dir.join(file);
        let read = tokio::fs::read_to_string(&path).await;
        read.map_err(|error| format!("read {what} \"{}\": {error}", path.display()))
    }

    async fn judged(&self, answer: Response) -> Outcome {
        let status = answer.status();
        if status.is_success() {
            return Outcome::Taken;
        }
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| retry_after(value, (self.now)().0));
        let why = format!("answered {status}: {}", words(answer).await);
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Outcome::Refused(why);
        }
        Outcome::Again { why, after }
    }
}

/// Seconds, or a date.
fn retry_after(value: &HeaderValue, now: i64) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
    Some(Duration::from_millis(at.saturating_sub(now).max(0).unsigned_abs()))
}

/// The first line of an answer's body, as far as it is read.
async fn words(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < WORDS
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(WORDS);
    let text = String::from_utf8_lossy(&bytes);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of = |text: &'static str| retry_after(&HeaderValue::from_static(text), 784_111_770_000);
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(of("Sat, 05 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(of("soon"), None);
    }
}
