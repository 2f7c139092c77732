//! The broker that agents are reached through: our own, or another's.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;

use crate::access::ca::{Ca, Pair, ServerFiles};
use crate::access::holder::CertificateReader;
use crate::access::keys::SigningKey;
use crate::controller::Options;
use crate::core::clock;
use crate::core::gate::CoreGate;
use crate::fleet::broker::{Broker, BrokerConfig, BrokerHandle};
use crate::fleet::foreign::{ForeignBroker, ForeignConfig, ForeignError, ForeignHandle};
use crate::fleet::gate::Line;
use crate::metrics::BrokerFigures;

/// Sessions of agents at the embedded broker at most.
const SESSIONS: usize = 20_000;

/// A broker that runs, or is connected to.
pub enum Reached {
    Embedded(BrokerHandle),
    Foreign(ForeignHandle),
}

/// What of the controller's keys a broker of either sort needs.
pub struct Credentials {
    server: ServerFiles,
    client: Pair,
    ca_pem: String,
    reader: CertificateReader,
    pub command_key: Arc<SigningKey>,
}

impl Credentials {
    /// Issues the controller's certificates anew, for this start.
    pub fn issue(ca: &Ca, server: ServerFiles, command_key: Arc<SigningKey>) -> anyhow::Result<Self> {
        let (client, ca_pem) = (ca.controller(clock::now().0)?, ca.pem().to_owned());
        Ok(Self { server, client, ca_pem, reader: ca.reader(), command_key })
    }
}

impl Reached {
    /// Starts the embedded broker, or begins to connect to the one that `options` name.
    pub async fn start(options: &Options, credentials: &Credentials, gate: Arc<CoreGate>) -> anyhow::Result<Self> {
        let Some(address) = options.broker.clone() else {
            let server = &credentials.server;
            let config = BrokerConfig {
                listen: options.mqtt_listen,
                certificate: server.certificate.clone(),
                key: server.key.clone(),
                ca: server.ca.clone(),
                sessions_max: SESSIONS,
            };
            return Ok(Self::Embedded(Broker::start(config, gate).await?));
        };
        let ca_pem = match &options.broker_ca {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ForeignError::CaFile { path: path.clone(), source })
                .context("use another's broker")?,
            None => credentials.ca_pem.clone(),
        };
        let config = ForeignConfig {
            address,
            identity: credentials.client.clone(),
            ca_pem,
            signer: Arc::clone(&credentials.command_key),
            reader: credentials.reader.clone(),
            now: || clock::now().0,
        };
        Ok(Self::Foreign(ForeignBroker::start(config, gate)?))
    }

    /// Whether messages are sealed, as nobody vouches for the broker.
    pub fn is_sealed(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }

    /// `mqtts://host:port`, as agents are told; `host` says how the embedded broker is reached from elsewhere.
    pub fn address(&self, host: impl Fn(SocketAddr) -> String) -> String {
        match self {
            Self::Embedded(broker) => format!("mqtts://{}:{}", host(broker.address()), broker.address().port()),
            Self::Foreign(broker) => broker.address().to_string(),
        }
    }

    pub fn line(&self) -> Arc<dyn Line> {
        match self {
            Self::Embedded(broker) => Arc::new(broker.downlink()),
            Self::Foreign(broker) => Arc::new(broker.line()),
        }
    }

    /// What is counted of it, for who reads it while it runs.
    pub fn figures(&self) -> Box<dyn Fn() -> BrokerFigures + Send + Sync> {
        match self {
            Self::Embedded(broker) => {
                let counters = broker.counters();
                Box::new(move || counters.read().into())
            }
            Self::Foreign(broker) => {
                let counters = broker.counters();
                Box::new(move || counters.read().into())
            }
        }
    }

    pub async fn stop(self) {
        match self {
            Self::Embedded(broker) => broker.stop().await,
            Self::Foreign(broker) => broker.stop().await,
        }
    }
}
