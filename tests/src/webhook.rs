//! A receiver of pages that believes nothing: it checks the signature of each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// The largest page that is read.
const PAGE_BYTES: usize = 1 << 20;
const HEADERS: usize = 64;

/// A page that was signed with the secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The notice's id, the same on every attempt.
    pub notice: String,
    pub content: Value,
}

/// Listens on a free port of loopback until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

struct Shared {
    secret: String,
    pages: Mutex<Vec<Page>>,
    faults: Mutex<Vec<String>>,
    /// So many requests are answered 503 before one is taken.
    refusals: AtomicU32,
    stop: AtomicBool,
}

impl Receiver {
    pub fn start(secret: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen for pages")?;
        let address = listener.local_addr().context("read the receiver's address")?;
        let shared = Arc::new(Shared {
            secret: secret.to_owned(),
            pages: Mutex::default(),
            faults: Mutex::default(),
            refusals: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        });
        let serving = std::thread::spawn({
            let shared = shared.clone();
            move || serve(&listener, &shared)
        });
        Ok(Self { address, shared, serving: Some(serving) })
    }

    pub fn url(&self) -> String {
        format!("http://{}/page", self.address)
    }

    /// Answers 503 to the next `times` requests, although they are good.
    pub fn refuse(&self, times: u32) {
        self.shared.refusals.store(times, Ordering::SeqCst);
    }

    /// The pages taken so far, in order. An error where anything came that was not signed as it must be.
    pub fn pages(&self) -> Result<Vec<Page>> {
        let faults = self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(faults.is_empty(), "what came was no page: {}", faults.join("; "));
        Ok(self.shared.pages.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _woken = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ended = serving.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Shared) {
    for connection in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        if let Err(fault) = answer(connection, shared) {
            shared.faults.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{fault:#}"));
        }
    }
}

fn answer(mut connection: TcpStream, shared: &Shared) -> Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(5))).context("bound the reading")?;
    let request = Request::read(&connection)?;
    let refuse = shared.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    // Noted before it is answered: who has the answer may look at once.
    let status = match request.verify(&shared.secret) {
        Err(fault) => {
            shared.faults.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{fault:#}"));
            "401 Unauthorized"
        }
        Ok(_) if refuse => "503 Service Unavailable",
        Ok(page) => {
            shared.pages.lock().unwrap_or_else(PoisonError::into_inner).push(page);
            "204 No Content"
        }
    };
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").context("answer")
}

struct Request {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn read(connection: &TcpStream) -> Result<Self> {
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line).context("read the request line")?;
        ensure!(line.starts_with("POST /page "), "asked for {line:?}, not POST /page");
        let mut headers = Vec::new();
        while headers.len() < HEADERS {
            let mut line = String::new();
            reader.read_line(&mut line).context("read a header")?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self { headers, body: Vec::new() };
        let length: usize = request.header("content-length")?.parse().context("read the length of the body")?;
        ensure!(length <= PAGE_BYTES, "a page of {length} bytes");
        request.body = vec![0; length];
        reader.read_exact(&mut request.body).context("read the body")?;
        Ok(request)
    }

    fn header(&self, name: &str) -> Result<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        Ok(&found.with_context(|| format!("no header {name}"))?.1)
    }

    /// `v1=` and the hexadecimal HMAC-SHA256 of `<timestamp>.<body>`.
    fn verify(&self, secret: &str) -> Result<Page> {
        let (timestamp, signature) = (self.header("watchkeep-timestamp")?, self.header("watchkeep-signature")?);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).context("take the secret")?;
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let expected =
            mac.finalize().into_bytes().iter().fold(String::from("v1="), |text, byte| format!("{text}{byte:02x}"));
        ensure!(signature == expected, "signed {signature:?}, not with our secret");
        let content = serde_json::from_slice(&self.body).context("read the page as JSON")?;
        Ok(Page { notice: self.header("watchkeep-notice")?.to_owned(), content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(receiver: &Receiver, signature: &str) -> String {
        let mut connection = TcpStream::connect(receiver.address).expect("the receiver listens");
        let headers =
            format!("Content-Length: 2\r\nWatchkeep-Notice: n\r\nWatchkeep-Timestamp: 1700000000\r\n{signature}");
        write!(connection, "POST /page HTTP/1.1\r\n{headers}\r\n\r\n{{}}").expect("it reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("it answers");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// From `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret`.
    const SIGNED: &str = "Watchkeep-Signature: v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";

    #[test]
    fn a_signed_page_is_taken_after_as_many_refusals_as_were_asked_for() {
        let receiver = Receiver::start("secret").expect("it starts");
        receiver.refuse(1);
        assert_eq!(post(&receiver, SIGNED), "HTTP/1.1 503 Service Unavailable");
        assert_eq!(post(&receiver, SIGNED), "HTTP/1.1 204 No Content");
        let pages = receiver.pages().expect("both were signed");
        assert_eq!(pages, [Page { notice: "n".to_owned(), content: serde_json::json!({}) }]);
    }

    #[test]
    fn an_unsigned_page_is_a_fault() {
        let receiver = Receiver::start("another secret").expect("it starts");
        assert_eq!(post(&receiver, SIGNED), "HTTP/1.1 401 Unauthorized");
        assert!(receiver.pages().expect_err("it was signed with another").to_string().contains("not with our secret"));
    }
}
