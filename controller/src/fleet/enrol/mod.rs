//! Enrolment: where a host becomes an agent.
//!
//! An HTTPS listener of its own, without client certificates: `GET /ca` gives the CA's certificate, which a host compares
//! with the fingerprint in its token before it trusts anything, `POST /enrol` turns a token and a certificate request into a
//! certificate, and `POST /renew` a certificate in force and a request that its key signed into the next one. Requests are
//! small; an address that brings refusals upon itself again and again is made to wait, one that enrols thousands of hosts is
//! not; a connection ends after 30 s.

mod limiter;
mod listener;
mod office;
mod routes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use limiter::Limiter;
pub use office::{EnrolError, Given, Granted, Office, Renewal, Tell};

/// Where hosts enrol.
#[derive(Clone, Debug)]
pub struct EnrolConfig {
    /// Port 0 takes a free one; [`EnrolHandle::address`] says which.
    pub listen: SocketAddr,
    /// PEM files of the server's certificate and its key.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Why the listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listen for enrolments on {listen} (--enrol-listen)")]
    Listen {
        listen: SocketAddr,
        #[source]
        cause: std::io::Error,
    },
    #[error("set up TLS for enrolments with \"{}\"", certificate.display())]
    Tls {
        certificate: PathBuf,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The running listener.
pub struct EnrolHandle {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// Listens and serves on the current runtime until [`EnrolHandle::stop`].
pub async fn listen(config: EnrolConfig, office: Arc<Office>) -> Result<EnrolHandle, ListenError> {
    let tls = listener::tls(&config.certificate, &config.key)
        .map_err(|cause| ListenError::Tls { certificate: config.certificate.clone(), cause })?;
    let failed = |cause| ListenError::Listen { listen: config.listen, cause };
    let incoming = listener::TlsListener::bind(config.listen, tls).await.map_err(failed)?;
    let address = incoming.address();
    let routes = routes::routes(office).into_make_service_with_connect_info::<listener::Caller>();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let until = async { drop(stopped.await) };
        if let Err(error) = axum::serve(incoming, routes).with_graceful_shutdown(until).await {
            tracing::error!(%error, "the listener for enrolments stopped");
        }
    });
    Ok(EnrolHandle { address, stop, serving })
}

impl EnrolHandle {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and lets the requests under way end.
    pub async fn stop(self) {
        // The receiver is gone only where serving has ended already.
        let _served = self.stop.send(());
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listener for enrolments ended badly");
        }
    }
}
