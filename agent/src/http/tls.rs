//! TLS towards what is scraped and checked: whom to believe, and what was shown.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate;

/// Files in which systems keep the authorities that they believe, the usual first.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The largest such file.
const BUNDLE_BYTES: u64 = 4 << 20;

/// Whom the other end must be vouched for by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Whom the system believes.
    #[default]
    System,
    /// The authorities in this PEM file.
    File(PathBuf),
    /// Nobody: any certificate is believed.
    Anybody,
}

/// Why TLS cannot even begin.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read the certificates that are believed, \"{}\"", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("\"{}\" holds no certificate of an authority", path.display())]
    Empty { path: PathBuf },
    #[error("none of {} is there, so no certificate can be believed; install ca-certificates or name a ca_file", BUNDLES.join(", "))]
    NoBundle,
    #[error("\"{0}\" is no name that a certificate may have")]
    Name(String),
}

/// Settings of TLS. Whom to believe is read with each connection, so that a renewed file counts at once and no memory is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub trust: Trust,
    /// The name that the certificate must have, where it is not the host's.
    pub server_name: Option<String>,
}

/// What a connection showed.
pub struct Shown {
    pub certificates: Vec<Vec<u8>>,
    pub version: Option<&'static str>,
}

/// One connection to be.
pub struct Connector {
    config: ClientConfig,
    name: ServerName<'static>,
    seen: Arc<Witness>,
}

impl Tls {
    /// The name that the certificate of `host` must have.
    ///
    /// # Errors
    /// It is none.
    pub fn name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))
    }

    /// # Errors
    /// What is believed cannot be read.
    pub fn connector(&self, name: &ServerName<'static>) -> Result<Connector, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let inner = match &self.trust {
            Trust::Anybody => None,
            trust => {
                let (roots, path) = roots(trust)?;
                let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
                Some(built.map_err(|_| TlsError::Empty { path })?)
            }
        };
        let seen = Arc::new(Witness { inner, provider: Arc::clone(&provider), chain: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("ring speaks both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok(Connector { config, name: name.clone(), seen })
    }
}

impl Connector {
    /// The secured stream and what was shown.
    ///
    /// # Errors
    /// No agreement, and the certificates (DER) that were shown all the same.
    pub async fn connect(self, socket: TcpStream) -> Result<(TlsStream<TcpStream>, Shown), (io::Error, Vec<Vec<u8>>)> {
        let connected = TlsConnector::from(Arc::new(self.config)).connect(self.name, socket).await;
        let certificates = std::mem::take(&mut *self.seen.chain.lock().unwrap_or_else(PoisonError::into_inner));
        match connected {
            Ok(stream) => {
                let version = match stream.get_ref().1.protocol_version() {
                    Some(rustls::ProtocolVersion::TLSv1_3) => Some("TLS 1.3"),
                    Some(rustls::ProtocolVersion::TLSv1_2) => Some("TLS 1.2"),
                    _ => None,
                };
                Ok((stream, Shown { certificates, version }))
            }
            Err(error) => Err((error, certificates)),
        }
    }
}

fn roots(trust: &Trust) -> Result<(RootCertStore, PathBuf), TlsError> {
    let path = match trust {
        Trust::File(path) => path.clone(),
        _ => BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()).ok_or(TlsError::NoBundle)?,
    };
    let pem = bounded(&path).map_err(|source| TlsError::Unreadable { path: path.clone(), source })?;
    let mut roots = RootCertStore::empty();
    // Old authorities that this library cannot read are passed over.
    roots.add_parsable_certificates(certificate::all_in_pem(&pem).map(CertificateDer::from));
    if roots.is_empty() { Err(TlsError::Empty { path }) } else { Ok((roots, path)) }
}

fn bounded(path: &Path) -> io::Result<String> {
    let length = std::fs::metadata(path)?.len();
    if length > BUNDLE_BYTES {
        return Err(io::Error::other(format!("it has {length} bytes, more than {BUNDLE_BYTES}")));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

/// Judges as the library does, and keeps what was shown, also where it is not believed.
#[derive(Debug)]
struct Witness {
    /// `None` believes anybody.
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<Vec<u8>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = [end_entity].into_iter().chain(intermediates).map(|der| der.to_vec()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        match &self.inner {
            Some(inner) => inner.verify_server_cert(end_entity, intermediates, server_name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
