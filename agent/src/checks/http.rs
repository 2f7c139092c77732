//! An answer over HTTP: its status, what its body must and must not hold, its certificate.

use super::config::Http;
use super::{Found, State, Verdict};
use crate::http::{Head, HttpError, Request, Taker, Trace, ask, in_full};

/// So much of a body is looked through, bytes.
const BODY_BYTES: usize = 256 << 10;
/// So much is read at all, bytes.
const BODY_READ: u64 = 64 << 20;

/// Keeps what is to be judged.
#[derive(Default)]
struct Answer {
    head: Option<Head>,
    body: Vec<u8>,
    length: u64,
}

impl Taker for Answer {
    fn head(&mut self, head: &Head) -> Result<(), String> {
        self.head = Some(head.clone());
        Ok(())
    }

    fn body(&mut self, part: &[u8]) -> Result<(), String> {
        let room = BODY_BYTES.saturating_sub(self.body.len());
        self.body.extend_from_slice(&part[..part.len().min(room)]);
        self.length += part.len() as u64;
        if self.length > BODY_READ { Err(format!("the answer is longer than {BODY_READ} bytes")) } else { Ok(()) }
    }
}

pub async fn look(http: &Http, found: &mut Found) -> Verdict {
    let (mut trace, mut answer) = (Trace::default(), Answer::default());
    let mut headers: Vec<(String, String)> =
        http.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    match http.secret.as_ref().map(crate::http::Secret::header) {
        Some(Ok(header)) => headers.push(header),
        Some(Err(error)) => return (State::Unknown, in_full(&error)),
        None => {}
    }
    let follow_redirects = http.follow_redirects;
    let request = Request { method: &http.method, headers: &headers, body: &http.body, follow_redirects };
    let asked = ask(&http.url, &request, &http.tls, &mut trace, &mut answer).await;
    say(&trace, &answer, found);
    judge(http, asked, &answer, found)
}

fn say(trace: &Trace, answer: &Answer, found: &mut Found) {
    found.way(trace);
    found.tls(trace);
    let phases = [
        ("resolve", trace.resolve),
        ("connect", trace.connect),
        ("tls", trace.tls),
        ("processing", trace.processing),
        ("transfer", trace.transfer),
    ];
    for (phase, took) in phases {
        let help = "Duration of the request by phase, summed over all redirects.";
        found.gauge("probe_http_duration_seconds", help, &[("phase", phase)], took.as_secs_f64());
    }
    let status = answer.head.as_ref().map_or(0, |head| head.status);
    found.gauge("probe_http_status_code", "The status of the answer, 0 without one.", &[], f64::from(status));
    found.gauge("probe_http_redirects", "Redirects that were followed.", &[], f64::from(trace.redirects));
    let is_tls = f64::from(u8::from(trace.is_tls));
    found.gauge("probe_http_ssl", "Whether the last exchange was over TLS.", &[], is_tls);
    let Some(head) = &answer.head else { return };
    let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(-1.0);
    found.gauge(
        "probe_http_content_length",
        "The length that the answer says it has, -1 where it says none.",
        &[],
        length,
    );
    let help = "Bytes of the body.";
    found.gauge("probe_http_uncompressed_body_length", help, &[], answer.length as f64);
    found.gauge("probe_http_version", "The version of HTTP.", &[], f64::from(head.version) / 10.0);
}

fn judge(http: &Http, asked: Result<(), HttpError>, answer: &Answer, found: &mut Found) -> Verdict {
    if let Err(error) = asked {
        return (State::Critical, in_full(&error));
    }
    let status = answer.head.as_ref().map_or(0, |head| head.status);
    let body = String::from_utf8_lossy(&answer.body);
    let lacks = http.expect.body.iter().find(|wanted| !body.contains(wanted.as_str()));
    let holds = http.expect.not_body.iter().find(|unwanted| body.contains(unwanted.as_str()));
    let by_body = f64::from(u8::from(lacks.is_some() || holds.is_some()));
    found.gauge("probe_failed_due_to_regex", "Whether the body is what failed the check.", &[], by_body);
    let good = |wanted: &u16| *wanted == status;
    let is_status =
        if http.expect.status.is_empty() { (200..300).contains(&status) } else { http.expect.status.iter().any(good) };
    let url = &http.url;
    if !is_status {
        let wanted: Vec<String> = http.expect.status.iter().map(u16::to_string).collect();
        let wanted = if wanted.is_empty() { "2xx".to_owned() } else { wanted.join(" or ") };
        return (State::Critical, format!("{url} answers with status {status}, not {wanted}"));
    }
    match (lacks, holds) {
        (Some(wanted), _) => (State::Critical, format!("the answer of {url} does not hold \"{wanted}\"")),
        (_, Some(unwanted)) => (State::Critical, format!("the answer of {url} holds \"{unwanted}\"")),
        _ => (State::Ok, format!("{url} answers with status {status}")),
    }
}
