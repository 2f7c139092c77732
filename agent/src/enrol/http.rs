//! One HTTP/1.1 exchange over TLS, with a deadline and a limit of size; for enrolment alone.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};

use super::{EnrolError, Identity, csr};

/// The largest answer, bytes, head and body.
const LARGEST: usize = 256 << 10;

/// `https://host:port`, taken apart.
pub struct Address {
    pub url: String,
    host: String,
    port: u16,
    name: ServerName<'static>,
}

/// Whom the other end must be.
pub enum Trust<'a> {
    /// Nobody in particular: nothing secret may be sent.
    Nobody,
    /// Vouched for by this CA (DER).
    Ca(&'a [u8]),
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    /// The certificates that the other end showed, DER.
    shown: Vec<Vec<u8>>,
}

impl Reply {
    /// What the controller says, for people: the detail of problem+json, else the status.
    pub fn sentence(&self) -> String {
        let problem: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let word = |key: &str| problem.as_ref()?.get(key)?.as_str().map(str::to_owned);
        let said = word("detail").or_else(|| word("title")).or_else(|| word("error"));
        said.unwrap_or_else(|| format!("HTTP status {}", self.status))
    }
}

impl Address {
    pub fn parse(url: &str) -> Result<Self, EnrolError> {
        let wrong = || EnrolError::Address { found: url.to_owned() };
        let rest = url.strip_prefix("https://").ok_or_else(wrong)?.trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port.parse().map_err(|_| wrong())?;
        let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
        Ok(Self { url: url.to_owned(), host, port, name })
    }

    fn failed(&self, found: impl Into<String>, source: io::Error) -> EnrolError {
        EnrolError::Exchange { url: self.url.clone(), found: found.into(), source: Some(source) }
    }
}

/// The certificate (DER) whose SHA-256 is `fingerprint`: from the handshake where it is shown there, else from `GET /ca`.
/// Nothing secret is sent.
pub fn trusted_ca(address: &Address, fingerprint: &[u8], within: Duration) -> Result<Vec<u8>, EnrolError> {
    let reply = exchange(address, Trust::Nobody, "GET", "/ca", &[], within)?;
    let fetched = std::str::from_utf8(&reply.body).ok().and_then(csr::from_pem);
    let mut held = reply.shown.into_iter().chain(fetched).chain([reply.body]);
    held.find(|certificate| digest(&SHA256, certificate).as_ref() == fingerprint).ok_or_else(|| EnrolError::Stranger {
        url: address.url.clone(),
        wanted: fingerprint.iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
    })
}

/// SHA-256 of the first certificate of a PEM text.
pub fn fingerprint_of_pem(pem: &str) -> Option<Vec<u8>> {
    csr::from_pem(pem).map(|der| digest(&SHA256, &der).as_ref().to_vec())
}

/// Sends one request and reads the answer to its end.
pub fn exchange(
    address: &Address,
    trust: Trust<'_>,
    method: &str,
    path: &str,
    body: &[u8],
    within: Duration,
) -> Result<Reply, EnrolError> {
    let deadline = Instant::now() + within;
    let config = match trust {
        Trust::Ca(ca) => trusting(&address.url, ca)?,
        Trust::Nobody => trusting_nobody(),
    };
    let socket = connect(address, deadline)?;
    let session = ClientConnection::new(Arc::new(config), address.name.clone())
        .map_err(|error| address.failed("begin TLS", io::Error::other(error)))?;
    let mut stream = StreamOwned::new(session, socket);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: watchkeep-agent/{}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        address.host,
        address.port,
        env!("CARGO_PKG_VERSION"),
        body.len(),
    );
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush());
    sent.map_err(|error| address.failed(format!("send {method} {path}"), error))?;
    let bytes = read_to_end(&mut stream, deadline).map_err(|error| address.failed("read the answer", error))?;
    let shown = stream.conn.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect();
    let (status, body) =
        parse(&bytes).ok_or_else(|| address.failed("read the answer", io::Error::other("it is no HTTP/1.1")))?;
    Ok(Reply { status, body, shown })
}

fn connect(address: &Address, deadline: Instant) -> Result<TcpStream, EnrolError> {
    let failed = |error| address.failed(format!("connect to {} port {}", address.host, address.port), error);
    let mut last = io::Error::other("the name has no address");
    for place in (address.host.as_str(), address.port).to_socket_addrs().map_err(failed)?.take(8) {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&place, left.min(Duration::from_secs(10))) {
            Ok(socket) => {
                let limit = Some(Duration::from_secs(10));
                socket.set_read_timeout(limit).and_then(|()| socket.set_write_timeout(limit)).map_err(failed)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn read_to_end(stream: &mut StreamOwned<ClientConnection, TcpStream>, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut part) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            // An end without close_notify: whether something is missing is for the answer's own length to say.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(bytes),
            Err(error) => return Err(error),
        }
        if bytes.len() > LARGEST {
            return Err(io::Error::other(format!("it is longer than {LARGEST} bytes")));
        }
    }
}

/// Status and body; `None` where it is no whole HTTP/1.1 answer.
fn parse(bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(bytes).ok()? else { return None };
    let value = |name: &str| {
        let header = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let body = &bytes[head..];
    let body = if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        unchunked(body)?
    } else if let Some(length) = value("content-length") {
        body.get(..length.trim().parse().ok()?)?.to_vec()
    } else {
        body.to_vec()
    };
    Some((answer.code?, body))
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((head, size)) = httparse::parse_chunk_size(rest).ok()? else { return None };
        let size = usize::try_from(size).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(head..head.checked_add(size)?)?);
        rest = rest.get(head + size + 2..)?;
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn trusting(url: &str, ca: &[u8]) -> Result<ClientConfig, EnrolError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(ca.to_vec()))
        .map_err(|error| EnrolError::Answer { url: url.to_owned(), found: format!("its CA certificate: {error}") })?;
    Ok(versions().with_root_certificates(roots).with_no_client_auth())
}

fn trusting_nobody() -> ClientConfig {
    versions().dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider()))).with_no_client_auth()
}

fn versions() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("ring speaks both versions")
}

/// TLS towards the broker: this identity's certificate shown, its CA alone trusted.
///
/// # Errors
/// Files that hold no certificate or key.
pub fn client_config(identity: &Identity) -> Result<ClientConfig, EnrolError> {
    let damaged = |file: &str, found: String| EnrolError::Damaged { path: file.into(), found };
    let der = |file: &str, pem: &str| csr::from_pem(pem).ok_or_else(|| damaged(file, "is no PEM".to_owned()));
    let ca = der("identity/ca.pem", &identity.ca_pem)?;
    let certificate = CertificateDer::from(der("identity/cert.pem", &identity.certificate_pem)?);
    let key = PrivateKeyDer::Pkcs8(der("identity/key.pem", &identity.key_pem.0)?.into());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca)).map_err(|error| damaged("identity/ca.pem", error.to_string()))?;
    versions()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .map_err(|error| damaged("identity/cert.pem", error.to_string()))
}

/// Believes any certificate, but checks that the other end holds its key. Only for fetching what a fingerprint then judges.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(parse(whole), Some((200, b"hello".to_vec())));
        assert_eq!(parse(&whole[..whole.len() - 1]), None, "cut");
        let chunked = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked), Some((403, b"abcde".to_vec())));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"), None);
        assert_eq!(parse(b"SSH-2.0-OpenSSH\r\n"), None);
    }

    #[test]
    fn an_address_is_https_with_a_port() {
        for good in ["https://127.0.0.1:8421", "https://[::1]:8421/", "https://controller.example:443"] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in ["http://a:1", "https://a", "https://a:x", "https:// :1"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
