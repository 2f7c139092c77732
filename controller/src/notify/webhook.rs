//! The signed webhook.
//!
//! `POST` of JSON with these headers:
//!
//! | header | what |
//! |---|---|
//! | `Watchkeep-Notice` | the notice's id; the same on every attempt |
//! | `Watchkeep-Timestamp` | seconds since 1970 when this attempt was signed |
//! | `Watchkeep-Signature` | `v1=` and the hexadecimal HMAC-SHA256 of `<timestamp>.<body>` under the shared secret |
//!
//! Any 2xx takes it; anything else, and no answer within ten seconds, is a failure that is tried again.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;

/// A shared secret; never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes as they are, less white space at the end (an editor's newline).
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.trim_ascii_end().to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where notices go.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    pub secret: Secret,
}

/// Why an attempt failed. Of the URL only scheme and host are shown: path, query and user often hold a token.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("post notice to \"{to}\"")]
    Unreachable {
        to: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("post notice to \"{to}\": answered {status}")]
    Answered { to: String, status: u16 },
}

/// What `Watchkeep-Signature` holds for this body at this time.
pub fn signature(secret: &Secret, timestamp_s: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{timestamp_s}.").as_bytes());
    context.update(body);
    let tag = context.sign();
    tag.as_ref().iter().fold(String::from("v1="), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// `host:port` of a URL, the port where it is not the scheme's own; `webhook` where there is none.
pub fn authority(url: &str) -> String {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(reqwest::Url::host_str);
    match (host, parsed.as_ref().and_then(reqwest::Url::port)) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "webhook".to_owned(),
    }
}

/// `https://host:port` of a URL, for people.
pub fn shown(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => "a URL that does not parse".to_owned(),
    }
}

/// One attempt to deliver `body` under the id of its notice.
pub async fn post(
    client: &reqwest::Client,
    webhook: &Webhook,
    notice: &str,
    body: Vec<u8>,
    timestamp_s: i64,
) -> Result<(), WebhookError> {
    let shown = || shown(&webhook.url);
    let answer = client
        .post(&webhook.url)
        .timeout(Duration::from_secs(10))
        .header("Content-Type", "application/json")
        .header("Watchkeep-Notice", notice)
        .header("Watchkeep-Timestamp", timestamp_s.to_string())
        .header("Watchkeep-Signature", signature(&webhook.secret, timestamp_s, &body))
        .body(body)
        .send()
        .await
        .map_err(|cause| WebhookError::Unreachable { to: shown(), cause: cause.without_url() })?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(WebhookError::Answered { to: shown(), status: status.as_u16() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line by which a receiver checks a page, as the README gives it.
    fn line_of_the_readme() -> &'static str {
        let readme = include_str!("../../../README.md");
        readme.lines().map(str::trim).find(|line| line.contains("openssl dgst")).expect("the README says how")
    }

    #[test]
    fn a_signature_is_what_the_line_of_the_readme_prints() {
        let body = r#"{"why": "a page of \"two\" words, 100 %\n"}"#;
        let printed = std::process::Command::new("sh")
            .args(["-c", line_of_the_readme()])
            .env("timestamp", "1700000000")
            .env("body", body)
            .env("secret", "between us")
            .output()
            .expect("sh is there");
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let found = signature(&Secret::new(b"between us\n"), 1_700_000_000, body.as_bytes());
        assert_eq!(format!("{found}\n"), String::from_utf8_lossy(&printed.stdout));
    }

    #[test]
    fn of_a_url_only_scheme_and_host_are_shown() {
        assert_eq!(shown("https://me:hush@pager.example:8443/hooks/T0K3N?key=1"), "https://pager.example:8443");
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new(b"hush")), "Secret");
    }
}
