//! One HTTP/1.1 exchange after the other, for scrapes and checks: bounded, and as slow as its caller lets it be.
//!
//! The caller sets the time limit (dropping an exchange ends it) and takes the body piece by piece, so that no answer is
//! ever held whole. No proxy, no cookies, no keeping alive, nothing compressed.

mod body;
mod secret;
mod tls;
mod url;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use body::{Body, Framing};
pub use secret::{Secret, SecretError};
pub use tls::{Tls, TlsError, Trust};
pub use url::{Url, UrlError, host_and_port};

/// The largest head of an answer, bytes.
const HEAD_BYTES: usize = 32 << 10;
const HEADERS: usize = 100;
/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// What is asked.
pub struct Request<'a> {
    pub method: &'a str,
    pub headers: &'a [(String, String)],
    pub body: &'a str,
    pub follow_redirects: bool,
}

/// Takes an answer, piece by piece.
pub trait Taker {
    /// The head has come; the body follows. An error ends the exchange.
    fn head(&mut self, head: &Head) -> Result<(), String>;
    fn body(&mut self, part: &[u8]) -> Result<(), String>;
}

/// An answer without its body.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub status: u16,
    /// 10 or 11.
    pub version: u8,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// How an exchange went, as far as it came; of several the durations are sums and the rest is the last one's.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub resolve: Duration,
    pub connect: Duration,
    pub tls: Duration,
    /// From the request being sent to the first byte of the answer.
    pub processing: Duration,
    pub transfer: Duration,
    pub redirects: u32,
    pub address: Option<SocketAddr>,
    /// The certificates that the other end showed, DER; also where they are not believed.
    pub certificates: Vec<Vec<u8>>,
    /// `TLS 1.3`.
    pub tls_version: Option<&'static str>,
    /// The last exchange was over TLS.
    pub is_tls: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("look up \"{host}\"")]
    Resolve { host: String, source: io::Error },
    #[error("connect to {at}")]
    Connect { at: String, source: io::Error },
    #[error("agree on TLS with {at}")]
    Tls { at: String, source: io::Error },
    #[error(transparent)]
    Settings(#[from] TlsError),
    #[error("{doing} {at}")]
    Exchange { doing: &'static str, at: String, source: io::Error },
    #[error("{at} answers with what is no HTTP/1: {found}")]
    NoHttp { at: String, found: String },
    #[error("{at}: {found}")]
    Redirect { at: String, found: String },
    /// The taker wants no more of it.
    #[error("{0}")]
    Refused(String),
}

/// Asks, follows redirects where that is wanted, and hands the answer to `taker`; what a redirect says itself is not handed on.
///
/// # Errors
/// [`HttpError`]; `trace` says how far it came.
pub async fn ask(
    url: &Url,
    request: &Request<'_>,
    tls: &Tls,
    trace: &mut Trace,
    taker: &mut dyn Taker,
) -> Result<(), HttpError> {
    let (mut url, first) = (url.clone(), (url.host.clone(), url.port));
    for _ in 0..=REDIRECTS {
        let goes_on = (url.host.as_str(), url.port) == (first.0.as_str(), first.1);
        match exchange(&url, request, goes_on, tls, trace, taker).await? {
            None => return Ok(()),
            Some(location) => {
                let wrong = |fault: UrlError| HttpError::Redirect { at: url.to_string(), found: fault.to_string() };
                url = url.join(&location).map_err(wrong)?;
                trace.redirects += 1;
            }
        }
    }
    Err(HttpError::Redirect { at: url.to_string(), found: format!("it redirects more than {REDIRECTS} times") })
}

/// One exchange; where it leads to where it redirects. Secrets in headers are for the first host alone.
async fn exchange(
    url: &Url,
    request: &Request<'_>,
    with_secrets: bool,
    tls: &Tls,
    trace: &mut Trace,
    taker: &mut dyn Taker,
) -> Result<Option<String>, HttpError> {
    let socket = connect(&url.host, url.port, trace).await?;
    trace.is_tls = url.is_https;
    let text = written(url, request, with_secrets);
    if !url.is_https {
        return talk(socket, url, request, &text, trace, taker).await;
    }
    let began = Instant::now();
    let name = tls.name(&url.host)?;
    let secured = tls.connector(&name)?.connect(socket).await;
    trace.tls += began.elapsed();
    match secured {
        Ok((stream, shown)) => {
            trace.certificates = shown.certificates;
            trace.tls_version = shown.version;
            talk(stream, url, request, &text, trace, taker).await
        }
        Err((source, certificates)) => {
            trace.certificates = certificates;
            Err(HttpError::Tls { at: url.authority(), source })
        }
    }
}

/// A connection to the first address that takes one.
///
/// # Errors
/// The name has no address, or none of them takes it.
pub async fn connect(host: &str, port: u16, trace: &mut Trace) -> Result<TcpStream, HttpError> {
    let began = Instant::now();
    let resolve = |source| HttpError::Resolve { host: host.to_owned(), source };
    let found = tokio::net::lookup_host((host, port)).await;
    trace.resolve += began.elapsed();
    let addresses: Vec<SocketAddr> = found.map_err(resolve)?.take(8).collect();
    let began = Instant::now();
    let mut last = HttpError::Resolve { host: host.to_owned(), source: io::Error::other("the name has no address") };
    for address in addresses {
        trace.address = Some(address);
        match TcpStream::connect(address).await {
            Ok(socket) => {
                trace.connect += began.elapsed();
                return Ok(socket);
            }
            Err(source) => last = HttpError::Connect { at: address.to_string(), source },
        }
    }
    trace.connect += began.elapsed();
    Err(last)
}

fn written(url: &Url, request: &Request<'_>, with_secrets: bool) -> String {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, url.target);
    let has = |name: &str| request.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if !has("host") {
        text += &format!("Host: {}\r\n", url.host_header());
    }
    if !has("user-agent") {
        text += concat!("User-Agent: watchkeep-agent/", env!("CARGO_PKG_VERSION"), "\r\n");
    }
    for (name, value) in request.headers {
        if with_secrets || !["authorization", "cookie"].contains(&name.to_ascii_lowercase().as_str()) {
            text += &format!("{name}: {value}\r\n");
        }
    }
    if !request.body.is_empty() {
        text += &format!("Content-Length: {}\r\n", request.body.len());
    }
    text + "Connection: close\r\n\r\n" + request.body
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    url: &Url,
    request: &Request<'_>,
    text: &str,
    trace: &mut Trace,
    taker: &mut dyn Taker,
) -> Result<Option<String>, HttpError> {
    let at = || url.to_string();
    let failed = |doing| move |source| HttpError::Exchange { doing, at: url.to_string(), source };
    let began = Instant::now();
    stream.write_all(text.as_bytes()).await.map_err(failed("send the request to"))?;
    stream.flush().await.map_err(failed("send the request to"))?;
    let mut buffer = Vec::with_capacity(8 << 10);
    let mut first_byte = None;
    let (head, length) = loop {
        let read = stream.read_buf(&mut buffer).await.map_err(failed("read the answer of"))?;
        trace.processing += if first_byte.is_none() { began.elapsed() } else { Duration::ZERO };
        first_byte.get_or_insert_with(Instant::now);
        if let Some(found) = parsed(&buffer).map_err(|found| HttpError::NoHttp { at: at(), found })? {
            // An interim answer (100, 103) is not the one.
            if (100..200).contains(&found.0.status) && found.0.status != 101 {
                buffer.drain(..found.1);
                continue;
            }
            break found;
        }
        if read == 0 || buffer.len() > HEAD_BYTES {
            let found = if read == 0 { "it ends within its head" } else { "its head does not end" };
            return Err(HttpError::NoHttp { at: at(), found: found.to_owned() });
        }
    };
    let location = head.header("location").filter(|_| matches!(head.status, 301 | 302 | 303 | 307 | 308));
    if let Some(location) = location.filter(|_| request.follow_redirects) {
        return Ok(Some(location.to_owned()));
    }
    taker.head(&head).map_err(HttpError::Refused)?;
    let framing = Framing::of(&head, request.method).map_err(|found| HttpError::NoHttp { at: at(), found })?;
    buffer.drain(..length);
    let read = Body::new(framing).read(&mut stream, buffer, taker).await;
    trace.transfer += first_byte.map_or(Duration::ZERO, |at| at.elapsed());
    match read {
        Ok(()) => Ok(None),
        Err(body::Fault::Refused(why)) => Err(HttpError::Refused(why)),
        Err(body::Fault::Broken(source)) => Err(failed("read the answer of")(source)),
    }
}

/// An error with its causes, one behind the other.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

/// The head and its length, once it is whole.
fn parsed(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    match answer.parse(bytes).map_err(|error| error.to_string())? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => {
            let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
            let headers = answer.headers.iter().map(|header| (header.name.to_owned(), text(header.value)));
            let version = 10 + answer.version.unwrap_or_default();
            Ok(Some((Head { status: answer.code.unwrap_or_default(), version, headers: headers.collect() }, length)))
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
