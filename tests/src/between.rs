//! A broker in hostile hands: two mosquittos, and somebody between them who holds both.
//!
//! Agents connect to the one, the controller to the other, and whatever travels passes through here: to be let through, kept
//! back, dropped, said again, or said by somebody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, PublishOptions, QoS, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::runtime::Runtime;
use watchkeep::access::ca::Ca;

use crate::controller::Controller;
use crate::mosquitto::Mosquitto;

/// Messages that are kept to be looked at and said again.
const KEPT: usize = 20_000;

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    pub topic: String,
    pub payload: Vec<u8>,
}

impl Passing {
    pub fn is_up(&self) -> bool {
        self.topic.contains("/up/")
    }

    /// Whether its kind has this word.
    pub fn is(&self, kind: &str) -> bool {
        self.topic.ends_with(&format!("/{kind}"))
    }
}

/// What becomes of each message: those that go on, in their order.
pub type Will = Box<dyn FnMut(Passing) -> Vec<Passing> + Send>;

/// Whoever holds both brokers.
pub struct Between {
    _runtime: Runtime,
    /// To where agents are, and to where the controller is.
    agents: AsyncClient,
    controller: AsyncClient,
    shared: Arc<Shared>,
}

struct Shared {
    will: Mutex<Will>,
    seen: Mutex<Vec<Passing>>,
}

impl Between {
    /// Stands between the two from now on, and lets everything through.
    pub fn stand(of: &Controller, agents: &Mosquitto, controller: &Mosquitto) -> Result<Self> {
        let runtime = Runtime::new().context("start a runtime")?;
        let tls = Arc::new(tls(of)?);
        let (to_agents, from_agents) = client(agents, &tls);
        let (to_controller, from_controller) = client(controller, &tls);
        let shared = Arc::new(Shared { will: Mutex::new(Box::new(|passing| vec![passing])), seen: Mutex::default() });
        runtime.spawn(carry(from_agents, to_agents.clone(), to_controller.clone(), "up", Arc::clone(&shared)));
        runtime.spawn(carry(from_controller, to_controller.clone(), to_agents.clone(), "down", Arc::clone(&shared)));
        Ok(Self { _runtime: runtime, agents: to_agents, controller: to_controller, shared })
    }

    /// Does this with every message from now on.
    pub fn does(&self, will: impl FnMut(Passing) -> Vec<Passing> + Send + 'static) {
        *lock(&self.shared.will) = Box::new(will);
    }

    /// All that came so far, both ways.
    pub fn seen(&self) -> Vec<Passing> {
        lock(&self.shared.seen).clone()
    }

    /// Says something in whoever's name its topic has.
    pub fn say(&self, passing: &Passing) -> Result<()> {
        let to = if passing.is_up() { &self.controller } else { &self.agents };
        publish(to, passing).context("publish as the broker's owner")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn publish(to: &AsyncClient, passing: &Passing) -> Result<(), rumqttc::ClientError> {
    to.try_publish(passing.topic.clone(), passing.payload.clone(), PublishOptions::new(QoS::AtMostOnce))
}

async fn carry(mut events: EventLoop, own: AsyncClient, other: AsyncClient, way: &'static str, shared: Arc<Shared>) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                own.try_subscribe(format!("watchkeep/v1/+/+/{way}/+"), QoS::AtMostOnce).expect("there is room");
            }
            Ok(Event::Incoming(Packet::Publish(publish_packet))) => {
                let topic = String::from_utf8_lossy(&publish_packet.topic).into_owned();
                let passing = Passing { topic, payload: publish_packet.payload.to_vec() };
                {
                    let mut seen = lock(&shared.seen);
                    if seen.len() < KEPT {
                        seen.push(passing.clone());
                    }
                }
                let go_on = lock(&shared.will)(passing);
                // What finds no room is dropped; nobody promised otherwise.
                go_on.iter().for_each(|passing| drop(publish(&other, passing)));
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn client(at: &Mosquitto, tls: &Arc<rustls::ClientConfig>) -> (AsyncClient, EventLoop) {
    let id = format!("between-{}", at.at().port());
    let mut options = MqttOptions::new(id, (at.at().ip().to_string(), at.at().port()));
    options
        .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))))
        .set_keep_alive(30_u16)
        .set_clean_start(true)
        .set_outgoing_inflight_upper_limit(16);
    options.set_unlimited_incoming_packet_size();
    AsyncClient::builder(options).capacity(4_096).build()
}

/// With a certificate of the controller's CA, as the broker's owner has one at hand.
fn tls(of: &Controller) -> Result<rustls::ClientConfig> {
    let now =
        std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).context("read the clock")?;
    let ca = Ca::open(&of.data(), i64::try_from(now.as_millis())?).context("open the controller's CA")?;
    let own = ca.controller(i64::try_from(now.as_millis())?).context("issue a certificate")?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).context("read the CA")?).context("take the CA")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let certificate = CertificateDer::from_pem_slice(own.certificate.as_bytes()).context("read the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).context("read the key")?;
    Ok(builder.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key)?)
}
