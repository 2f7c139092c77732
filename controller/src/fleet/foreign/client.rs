//! The controller as a client of the broker.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, PublishOptions, QoS, SubscribeFilter, SubscribeReasonCode,
    TlsConfiguration, Transport,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use watchkeep_protocol::limits;
use watchkeep_protocol::topic::{SHARDS, Topic};

use super::keys::Keys;
use super::{Counters, count};
use crate::access::ca::Pair;
use crate::access::holder::CertificateReader;
use crate::access::keys::SigningKey;
use crate::access::{hex, random};
use crate::fleet::gate::{Delivery, ForeignGate, Line, SendError};

/// Messages on their way to the broker.
const DOWN_QUEUE: usize = 16_384;
/// Filters in one SUBSCRIBE.
const FILTERS: usize = 64;
/// Seconds between pings of an idle connection.
const KEEP_ALIVE_SECS: u16 = 20;
/// From the first try to the last subscription.
const UP_WITHIN: Duration = Duration::from_secs(25);
/// First and longest pause between connections.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// `mqtts://host:port`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no address of a broker; it looks like mqtts://broker.example:8883");
        let rest = text.strip_prefix("mqtts://").ok_or_else(wrong)?.trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains('/') {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| wrong())? })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let colons = self.host.contains(':');
        let (open, close) = if colons { ("[", "]") } else { ("", "") };
        write!(f, "mqtts://{open}{}{close}:{}", self.host, self.port)
    }
}

/// How the broker is reached, and as whom.
pub struct ForeignConfig {
    pub address: Address,
    /// The controller's own client certificate.
    pub identity: Pair,
    /// The CA that signed the broker's certificate, PEM.
    pub ca_pem: String,
    /// Signs offers; agents know it from enrolment.
    pub signer: Arc<SigningKey>,
    pub reader: CertificateReader,
    /// UTC milliseconds.
    pub now: fn() -> i64,
}

/// Why there can be no connection at all.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    #[error("read the CA of the broker \"{}\"", path.display())]
    CaFile { path: PathBuf, source: std::io::Error },
    #[error("set up TLS to the broker {address}: {found}")]
    Tls { address: Address, found: String },
}

/// A broker that is not ours.
pub struct ForeignBroker;

/// The running connection; [`ForeignHandle::stop`] ends it.
pub struct ForeignHandle {
    address: Address,
    line: ForeignLine,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The way down through the broker. Cheap to clone.
#[derive(Clone)]
pub struct ForeignLine {
    keys: Arc<Mutex<Keys>>,
    counters: Arc<Counters>,
    /// The connection that stands.
    client: Arc<Mutex<Option<AsyncClient>>>,
}

impl ForeignBroker {
    /// Connects, and connects again whenever that ends, until it is stopped. Does not wait for the first connection: an
    /// operator starts broker and controller in any order.
    ///
    /// # Errors
    /// Certificates that cannot be used.
    pub fn start(config: ForeignConfig, gate: Arc<dyn ForeignGate>) -> Result<ForeignHandle, ForeignError> {
        let tls = Arc::new(tls(&config)?);
        let counters = Arc::new(Counters::default());
        let keys = Keys::new(Arc::clone(&gate), Arc::clone(&counters), config.signer, config.reader);
        let keys = Arc::new(Mutex::new(keys));
        let line = ForeignLine { keys, counters: Arc::clone(&counters), client: Arc::default() };
        let (stop, stopped) = watch::channel(false);
        gate.hears(false);
        let uplink = Uplink { address: config.address.clone(), tls, line: line.clone(), gate, now: config.now };
        let task = tokio::spawn(uplink.run(stopped));
        Ok(ForeignHandle { address: config.address, line, counters, stop, task })
    }
}

impl ForeignHandle {
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub fn line(&self) -> ForeignLine {
        self.line.clone()
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Says goodbye to the broker and waits for it, 2 s at most.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let mut task = self.task;
        if tokio::time::timeout(STOP_WITHIN, &mut task).await.is_err() {
            tracing::warn!(broker = %self.address, "the connection to the broker did not end in time");
            task.abort();
        }
    }
}

impl Line for ForeignLine {
    fn publish(&self, topic: &Topic, payload: Vec<u8>, delivery: Delivery) -> Result<(), SendError> {
        let sealed = lock(&self.keys).seal(topic, &payload).ok_or(SendError::NoKey);
        let sent = sealed.and_then(|sealed| self.send(topic, sealed, delivery));
        if sent.is_err() {
            count(&self.counters.down_dropped);
        }
        sent
    }

    /// The broker's connections are not ours to end; the session's key is.
    fn kick(&self, client: &str) -> Result<(), SendError> {
        lock(&self.keys).forget_client(client);
        Ok(())
    }

    fn kick_agent(&self, agent: &str) -> Result<(), SendError> {
        lock(&self.keys).forget_agent(agent);
        Ok(())
    }
}

impl ForeignLine {
    fn send(&self, topic: &Topic, payload: Vec<u8>, delivery: Delivery) -> Result<(), SendError> {
        let quality = match delivery {
            Delivery::AtMostOnce => QoS::AtMostOnce,
            Delivery::AtLeastOnce => QoS::AtLeastOnce,
        };
        let client = lock(&self.client);
        let client = client.as_ref().ok_or(SendError::Stopped)?;
        client.try_publish(topic.to_string(), payload, PublishOptions::new(quality)).map_err(|_| SendError::Full)
    }

    fn hear(&self, topic: &str, payload: &prost::bytes::Bytes, now: i64) {
        let reply = lock(&self.keys).hear(topic, payload, now);
        if let Some(reply) = reply
            && self.send(&reply.topic, reply.payload, Delivery::AtMostOnce).is_err()
        {
            count(&self.counters.down_dropped);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task that holds the connection.
struct Uplink {
    address: Address,
    tls: Arc<rustls::ClientConfig>,
    line: ForeignLine,
    gate: Arc<dyn ForeignGate>,
    now: fn() -> i64,
}

impl Uplink {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pause = PAUSE;
        loop {
            let (client, mut events) = AsyncClient::builder(self.options()).capacity(DOWN_QUEUE).build();
            let begun = Instant::now();
            let ended = tokio::select! {
                ended = self.serve(&client, &mut events) => Some(ended),
                _ = stop.wait_for(|stop| *stop) => None,
            };
            self.deaf();
            let Some(ended) = ended else { return goodbye(&client, &mut events).await };
            // A connection that stood for a while is worth a quick new try.
            pause = if begun.elapsed() > PAUSE_MAX { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
            let pause = pause / 2 + pause.mul_f64(f64::from(random::<1>()[0]) / 512.0);
            tracing::error!(broker = %self.address, "{ended}; next try in {:.1} s", pause.as_secs_f64());
            tokio::select! {
                () = sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn deaf(&self) {
        self.gate.hears(false);
        *lock(&self.line.client) = None;
    }

    fn options(&self) -> MqttOptions {
        let id = format!("watchkeep/{}", hex(&random::<8>()));
        let mut options = MqttOptions::new(id, (self.address.host.as_str(), self.address.port));
        options
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(&self.tls))))
            .set_keep_alive(KEEP_ALIVE_SECS)
            .set_clean_start(true)
            .set_connect_timeout(Duration::from_secs(15))
            .set_outgoing_inflight_upper_limit(64);
        let mut properties = rumqttc::ConnectProperties::new();
        properties.max_packet_size = Some(u32::try_from(limits::ENVELOPE_BYTES + 1024).unwrap_or(u32::MAX));
        options.set_connect_properties(properties);
        options
    }

    /// Serves one connection; returns why it is over.
    async fn serve(&self, client: &AsyncClient, events: &mut EventLoop) -> String {
        let deadline = Instant::now() + UP_WITHIN;
        let mut wanted = SHARDS as usize;
        loop {
            let polled = if wanted == 0 { Ok(events.poll().await) } else { timeout_at(deadline, events.poll()).await };
            match polled {
                Err(_) => return format!("the broker did not take us within {} s", UP_WITHIN.as_secs()),
                Ok(Err(error)) => return format!("no connection to the broker: {error}"),
                Ok(Ok(Event::Incoming(packet))) => match self.take(packet, client) {
                    Ok(subscribed) => {
                        let before = wanted;
                        wanted = wanted.saturating_sub(subscribed);
                        if before > 0 && wanted == 0 {
                            self.up(client);
                        }
                    }
                    Err(why) => return why,
                },
                Ok(Ok(_)) => {}
            }
        }
    }

    fn up(&self, client: &AsyncClient) {
        *lock(&self.line.client) = Some(client.clone());
        self.gate.hears(true);
        tracing::info!(broker = %self.address, "connected to the broker");
    }

    /// One packet; how many subscriptions stand by it.
    fn take(&self, packet: Packet, client: &AsyncClient) -> Result<usize, String> {
        match packet {
            Packet::ConnAck(_) => subscribe(client).map(|()| 0),
            Packet::SubAck(answer) => {
                let good = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                match answer.return_codes.iter().find(|code| !good(code)) {
                    None => Ok(answer.return_codes.len()),
                    Some(code) => Err(format!(
                        "subscribe to \"watchkeep/v1/<shard>/+/up/+\" refused: {code:?}; the broker's ACL must let the user \
                         \"{}\" read them",
                        crate::access::ca::CONTROLLER_NAME
                    )),
                }
            }
            Packet::Publish(publish) => {
                self.line.hear(&String::from_utf8_lossy(&publish.topic), &publish.payload, (self.now)());
                Ok(0)
            }
            Packet::Disconnect(packet) => Err(format!("the broker said goodbye: {:?}", packet.reason_code)),
            _ => Ok(0),
        }
    }
}

async fn goodbye(client: &AsyncClient, events: &mut EventLoop) {
    if client.try_disconnect().is_ok() {
        let ended = async { while events.poll().await.is_ok() {} };
        // Not heard, the broker notices by itself.
        let _heard = tokio::time::timeout(STOP_WITHIN / 2, ended).await;
    }
}

/// One plain subscription a shard, so that a fleet can be divided among controllers.
fn subscribe(client: &AsyncClient) -> Result<(), String> {
    let filter = |shard| SubscribeFilter::new(format!("watchkeep/v1/{shard}/+/up/+"), QoS::AtMostOnce);
    let filters: Vec<SubscribeFilter> = (0..SHARDS).map(filter).collect();
    for part in filters.chunks(FILTERS) {
        client.try_subscribe_many(part.to_vec()).map_err(|error| format!("subscribe: {error}"))?;
    }
    Ok(())
}

fn tls(config: &ForeignConfig) -> Result<rustls::ClientConfig, ForeignError> {
    let failed = |found: String| ForeignError::Tls { address: config.address.clone(), found };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(config.ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|error| failed(format!("its CA: {error:?}")))?;
        roots.add(certificate).map_err(|error| failed(format!("its CA: {error}")))?;
    }
    let own = CertificateDer::from_pem_slice(config.identity.certificate.as_bytes());
    let own = own.map_err(|error| failed(format!("the controller's certificate: {error:?}")))?;
    let key = PrivateKeyDer::from_pem_slice(config.identity.key.as_bytes());
    let key = key.map_err(|error| failed(format!("the controller's key: {error:?}")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_root_certificates(roots).with_client_auth_cert(vec![own], key))
        .map_err(|error| failed(error.to_string()))
}
