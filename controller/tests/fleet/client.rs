//! An MQTT client as an agent has one, and some that an agent never is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, LastWill, MqttOptions, Packet, PublishNoticeError,
    PublishOptions, QoS, SubscribeNoticeError, TlsConfiguration, Transport,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::world::{Host, PATIENCE};

/// How a client says hello; `Wish::of` is what an honest agent says.
#[derive(Clone)]
pub struct Wish {
    pub client_id: String,
    pub user_name: Option<String>,
    pub will: Option<(String, bool)>,
    pub will_delay: Option<u32>,
    pub keep_alive: u16,
    /// Seconds for which the broker keeps the session.
    pub session_expiry: Option<u32>,
    pub with_certificate: bool,
}

impl Wish {
    pub fn of(host: &Host) -> Self {
        Self {
            client_id: format!("{}/00000000000000aa", host.name),
            user_name: None,
            will: None,
            will_delay: None,
            keep_alive: 30,
            session_expiry: None,
            with_certificate: true,
        }
    }
}

pub struct Client {
    mqtt: AsyncClient,
    polling: JoinHandle<()>,
    incoming: mpsc::UnboundedReceiver<(String, Vec<u8>)>,
    ended: mpsc::UnboundedReceiver<String>,
}

/// A broker's answer to a publish or a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    /// The reason code's name.
    Refused(String),
}

impl Client {
    /// Connects, or says why not: the reason code's name, or the error where there was no answer.
    pub async fn connect(address: SocketAddr, host: &Host, wish: &Wish) -> Result<Self, String> {
        let mut options = MqttOptions::new(&wish.client_id, ("127.0.0.1", address.port()));
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls(host, wish.with_certificate))));
        options.set_keep_alive(wish.keep_alive).set_clean_start(true).set_outgoing_inflight_upper_limit(16);
        options.set_session_expiry_interval(wish.session_expiry);
        if let Some(name) = &wish.user_name {
            options.set_username(name);
        }
        if let Some((topic, retain)) = &wish.will {
            let mut will = LastWill::new(topic, "gone", QoS::AtLeastOnce, *retain, None);
            will.properties = wish.will_delay.map(|delay| rumqttc::LastWillProperties {
                delay_interval: Some(delay),
                payload_format_indicator: None,
                message_expiry_interval: None,
                content_type: None,
                response_topic: None,
                correlation_data: None,
                user_properties: Vec::new(),
            });
            options.set_last_will(will);
        }
        options.set_unlimited_incoming_packet_size();
        let (mqtt, mut events) = AsyncClient::builder(options).capacity(32).build();
        tokio::time::timeout(PATIENCE, first_answer(&mut events)).await.map_err(|_| "no answer".to_owned())??;

        let (to_incoming, incoming) = mpsc::unbounded_channel();
        let (to_ended, ended) = mpsc::unbounded_channel();
        let polling = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                        let _ = to_incoming.send((topic, publish.payload.to_vec()));
                    }
                    Ok(Event::Incoming(Packet::Disconnect(packet))) => {
                        let _ = to_ended.send(format!("{:?}", packet.reason_code));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let _ = to_ended.send(format!("{error:?}"));
                        return;
                    }
                }
            }
        });
        Ok(Self { mqtt, polling, incoming, ended })
    }

    pub async fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>, retain: bool) -> Answer {
        let options = PublishOptions::at_least_once().retain(retain);
        let notice = self.mqtt.publish_tracked(topic.to_owned(), payload.into(), options).await.expect("queued");
        match within(notice.wait_completion_async()).await {
            Ok(()) => Answer::Accepted,
            Err(PublishNoticeError::V5PubAck(reason)) => Answer::Refused(format!("{reason:?}")),
            Err(PublishNoticeError::RetainNotSupported) => Answer::Refused("RetainNotSupported".to_owned()),
            Err(other) => Answer::Refused(format!("{other:?}")),
        }
    }

    /// Publishes at QoS 0, which has no answer.
    pub async fn publish_and_hope(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        let options = PublishOptions::at_most_once();
        self.mqtt.publish(topic.to_owned(), payload.into(), options).await.expect("queued");
    }

    pub async fn subscribe(&self, filter: &str) -> Answer {
        let notice = self.mqtt.subscribe_tracked(filter.to_owned(), QoS::AtLeastOnce).await.expect("queued");
        match within(notice.wait_completion_async()).await {
            Ok(()) => Answer::Accepted,
            Err(SubscribeNoticeError::V5SubAckFailure(reasons)) => {
                Answer::Refused(reasons.iter().map(|reason| format!("{reason:?}")).collect::<Vec<_>>().join(", "))
            }
            Err(other) => Answer::Refused(format!("{other:?}")),
        }
    }

    /// The next message that comes down.
    pub async fn next(&mut self) -> (String, Vec<u8>) {
        within(self.incoming.recv()).await.expect("the connection stands")
    }

    /// The topics of what came down, after waiting so long.
    pub async fn heard(&mut self, wait: Duration) -> Vec<String> {
        tokio::time::sleep(wait).await;
        std::iter::from_fn(|| self.incoming.try_recv().ok()).map(|(topic, _)| topic).collect()
    }

    /// Waits until the connection is over, and says what it ended with.
    pub async fn end(&mut self) -> String {
        within(self.ended.recv()).await.unwrap_or_default()
    }

    /// Says DISCONNECT.
    pub async fn goodbye(mut self) {
        self.mqtt.disconnect().await.expect("queued");
        self.end().await;
    }

    /// Drops the socket without a word, as a killed process does.
    pub async fn die(self) {
        self.polling.abort();
        let _cancelled = self.polling.await;
    }
}

async fn first_answer(events: &mut rumqttc::EventLoop) -> Result<(), String> {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(ack))) if ack.code == ConnectReturnCode::Success => return Ok(()),
            Ok(_) => {}
            Err(ConnectionError::ConnectionRefused(code)) => return Err(format!("{code:?}")),
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("the broker answers in time")
}

/// TLS as an agent has it: the enrolled CA and no other, and its own certificate.
pub fn tls(host: &Host, with_certificate: bool) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(host.trusts.as_bytes()).expect("PEM")).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots);
    if !with_certificate {
        return Arc::new(config.with_no_client_auth());
    }
    let chain = vec![CertificateDer::from_pem_slice(host.certificate.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(host.key.as_bytes()).expect("PEM");
    Arc::new(config.with_client_auth_cert(chain, key).expect("key and certificate fit"))
}

/// Long enough for a thing that must not happen to happen.
pub const A_WHILE: Duration = Duration::from_millis(300);
