//! The embedded broker: MQTT 5 over TLS with client certificates.
//!
//! Everything of the broker's library stays in this folder; the controller sees [`Broker`], [`BrokerHandle`] and
//! [`super::gate::Gate`]. What each connection may do is decided in `doorman.rs`, what goes down to agents passes through
//! one task in `downlink.rs`.
//!
//! Invariants: the certificate's common name is the agent's name and the user name; a client id is that name with an
//! incarnation; nothing is retained, shared or stored; an accepted publish is handed to the gate inside the hook, which
//! never waits.

mod doorman;
mod downlink;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rmqtt::context::ServerContext;
use rmqtt::net::{Builder, Listener};
use rmqtt::server::MqttServer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use watchkeep_protocol::limits;
use watchkeep_protocol::topic::Topic;

use self::doorman::Doorman;
use self::downlink::Down;
pub use super::gate::{Delivery, SendError};
use super::gate::{Gate, Line};

/// Messages on their way to agents that wait for the broker.
const DOWN_QUEUE: usize = 16_384;
/// Messages that wait for one agent; past it QoS 0 is dropped, and QoS 1 loses its oldest.
const AGENT_QUEUE: usize = 128;
/// Beyond the envelope: topic, properties, header.
const PACKET_MARGIN: usize = 4 << 10;
/// How long `stop` waits for connections to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Where the broker listens, and who it is.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Port 0 takes a free one; [`BrokerHandle::address`] says which.
    pub listen: SocketAddr,
    /// PEM files: the server's certificate, its key, and the CA that signed every agent's certificate.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
    /// Sessions past this are refused.
    pub sessions_max: usize,
}

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("listen for agents on {listen} (--mqtt-listen)")]
    Listen {
        listen: SocketAddr,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("set up TLS for agents with \"{}\"", certificate.display())]
    Tls {
        certificate: PathBuf,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What the broker counted since it started.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) connected: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) forbidden: AtomicU64,
    pub(super) down_dropped: AtomicU64,
}

/// A reading of [`Counters`], all totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerCounts {
    pub connected: u64,
    /// Connections that were refused after TLS.
    pub refused: u64,
    /// Publishes handed over.
    pub taken: u64,
    /// Publishes dropped because the controller's queue was full.
    pub full: u64,
    /// Publishes and subscriptions outside an agent's topics.
    pub forbidden: u64,
    /// Messages to agents that were not there or too slow.
    pub down_dropped: u64,
}

impl Counters {
    /// All of them, each as it stands.
    pub fn read(&self) -> BrokerCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BrokerCounts {
            connected: read(&self.connected),
            refused: read(&self.refused),
            taken: read(&self.taken),
            full: read(&self.full),
            forbidden: read(&self.forbidden),
            down_dropped: read(&self.down_dropped),
        }
    }
}

/// The embedded broker.
pub struct Broker;

impl Broker {
    /// Listens and serves on the current runtime until [`BrokerHandle::stop`].
    pub async fn start(config: BrokerConfig, gate: Arc<dyn Gate>) -> Result<BrokerHandle, BrokerError> {
        let listener = listen(&config)?;
        let address = listener
            .local_addr()
            .map_err(|cause| BrokerError::Listen { listen: config.listen, cause: cause.into() })?;
        let sessions_max = isize::try_from(config.sessions_max).unwrap_or(isize::MAX);
        let context = ServerContext::new().busy_check_enable(false).mqtt_max_sessions(sessions_max).build().await;
        let counters = Arc::new(Counters::default());
        let doorman = Arc::new(Doorman::new(gate, counters.clone()));
        doorman.clone().install(&context).await;

        let server = MqttServer::new(context.clone()).listener_by_id(listener, 1).build();
        let accepting = tokio::spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "the embedded broker stopped accepting connections");
            }
        });
        let (down, waiting) = mpsc::channel(DOWN_QUEUE);
        let sending = tokio::spawn(downlink::run(context.clone(), waiting));
        Ok(BrokerHandle { address, down, doorman, counters, accepting, sending, context })
    }
}

fn listen(config: &BrokerConfig) -> Result<Listener, BrokerError> {
    let path = |path: &PathBuf| Some(path.display().to_string());
    let packet_max = u32::try_from(limits::ENVELOPE_BYTES + PACKET_MARGIN).expect("packets are far below 4 GiB");
    Builder::new()
        .name("agents")
        .laddr(config.listen)
        .reuseaddr(Some(true))
        .nodelay(true)
        .allow_anonymous(false)
        .max_connections(config.sessions_max)
        .max_packet_size(packet_max)
        .max_clientid_len(limits::AGENT_BYTES + 17)
        .max_qos_allowed(rmqtt::types::QoS::AtLeastOnce)
        .max_inflight(NonZeroU16::new(64).expect("64 is not zero"))
        .max_mqueue_len(AGENT_QUEUE)
        .allow_zero_keepalive(false)
        .max_keepalive(600)
        .handshake_timeout(Duration::from_secs(10))
        .max_session_expiry_interval(Duration::from_secs(60))
        .message_expiry_interval(Duration::from_secs(60))
        .tls_cross_certificate(true)
        .tls_cert(path(&config.certificate))
        .tls_key(path(&config.key))
        .tls_client_ca_certs(path(&config.ca))
        .cert_cn_as_username(true)
        .collect_cert_info(true)
        .bind()
        .map_err(|cause| BrokerError::Listen { listen: config.listen, cause: cause.into() })?
        .tls()
        .map_err(|cause| BrokerError::Tls { certificate: config.certificate.clone(), cause: cause.into() })
}

/// The running broker. Dropping it does not stop the broker; [`BrokerHandle::stop`] does.
pub struct BrokerHandle {
    address: SocketAddr,
    down: mpsc::Sender<Down>,
    doorman: Arc<Doorman>,
    counters: Arc<Counters>,
    accepting: JoinHandle<()>,
    sending: JoinHandle<()>,
    context: ServerContext,
}

/// What others hold of the broker: sends down and ends connections. Cheap to clone, never waits.
#[derive(Clone)]
pub struct Downlink {
    down: mpsc::Sender<Down>,
}

impl BrokerHandle {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The way down to agents.
    pub fn downlink(&self) -> Downlink {
        Downlink { down: self.down.clone() }
    }

    /// See [`Line::publish`].
    pub fn publish(&self, topic: &Topic, payload: Vec<u8>, delivery: Delivery) -> Result<(), SendError> {
        self.downlink().publish(topic, payload, delivery)
    }

    /// See [`Line::kick`].
    pub fn kick(&self, client: &str) -> Result<(), SendError> {
        self.downlink().kick(client)
    }

    /// See [`Line::kick_agent`].
    pub fn kick_agent(&self, agent: &str) -> Result<(), SendError> {
        self.downlink().kick_agent(agent)
    }

    /// What is counted, for who reads it while the broker runs.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// A reading of what is counted.
    pub fn counts(&self) -> BrokerCounts {
        self.counters.read()
    }

    /// Stops listening, ends every connection and waits for them, 5 s at most. The port is free when it returns, and the
    /// gate hears nothing more: agents that lose their broker have not gone.
    pub async fn stop(self) {
        self.doorman.close();
        self.accepting.abort();
        let ended = self.accepting.await;
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(%error, "the embedded broker's listener panicked");
        }
        let all_gone = async {
            downlink::kick_all(&self.context).await;
            while self.context.connections.count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(STOP_WITHIN, all_gone).await.is_err() {
            tracing::warn!(left = self.context.connections.count(), "connections of agents did not end in time");
        }
        drop(self.down);
        self.sending.abort();
        // Aborted or ended, nothing of it is left to hear of.
        let _ended = self.sending.await;
    }
}

impl Line for Downlink {
    fn publish(&self, topic: &Topic, payload: Vec<u8>, delivery: Delivery) -> Result<(), SendError> {
        self.send(Down::Publish { topic: topic.to_string(), payload, delivery })
    }

    fn kick(&self, client: &str) -> Result<(), SendError> {
        self.send(Down::Kick { client: client.to_owned() })
    }

    fn kick_agent(&self, agent: &str) -> Result<(), SendError> {
        self.send(Down::KickAgent { agent: agent.to_owned() })
    }
}

impl Downlink {
    fn send(&self, down: Down) -> Result<(), SendError> {
        self.down.try_send(down).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Stopped,
        })
    }
}
