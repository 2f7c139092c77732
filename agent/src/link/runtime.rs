//! The link over MQTT 5 with a client certificate. One connection is one task; what it hears comes through a bounded
//! queue, and when nobody takes it, it reads no further.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, BrokerSessionResumePolicy, ConnectProperties, Event, EventLoop, LastWill, LastWillProperties,
    MqttOptions, Packet, PublishOptions, QoS, SubscribeReasonCode, TlsConfiguration, Transport,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use watchkeep_protocol::topic::{Kind, Topic, down_filter};
use watchkeep_protocol::{Envelope, Will, limits};

use super::client_id;
use crate::enrol::{EnrolError, Identity, client_config};

/// Seconds between pings of an idle connection; without an answer to one it is dropped.
const KEEP_ALIVE_SECS: u16 = 20;
/// The broker waits so long before it says that this session is gone.
const WILL_DELAY_SECS: u32 = 5;
/// The broker keeps the session so long after the connection went, so that the will's delay counts.
const SESSION_EXPIRY_SECS: u32 = 60;
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// From the first try to the subscription.
const UP_WITHIN: Duration = Duration::from_secs(25);
/// Messages between the connection's task and the agent's loop, each way.
const QUEUE: usize = 512;

/// What a connection tells.
#[derive(Debug)]
pub enum Heard {
    /// The broker took us and our subscription.
    Up,
    Message {
        topic: String,
        payload: Vec<u8>,
    },
    /// The connection is over, or did not come about; why. Nothing follows.
    Down(String),
}

/// Why there can be no connection at all.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("the broker's address \"{found}\" is none; it looks like mqtts://host:port")]
    Broker { found: String },
    #[error(transparent)]
    Identity(#[from] EnrolError),
}

/// How to connect: made once, used for each connection.
pub struct Carrier {
    agent: String,
    session: [u8; 16],
    host: String,
    port: u16,
    tls: Arc<rustls::ClientConfig>,
}

/// One connection. Dropping it ends it without a goodbye: the broker will send the will.
pub struct Connection {
    client: AsyncClient,
    heard: mpsc::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl Carrier {
    /// # Errors
    /// An address or certificates that cannot be used.
    pub fn new(identity: &Identity, session: [u8; 16]) -> Result<Self, AddressError> {
        let wrong = || AddressError::Broker { found: identity.broker.clone() };
        let address = identity.broker.strip_prefix("mqtts://").ok_or_else(wrong)?;
        let (host, port) = address.trim_end_matches('/').rsplit_once(':').ok_or_else(wrong)?;
        Ok(Self {
            agent: identity.name.clone(),
            session,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: port.parse().map_err(|_| wrong())?,
            tls: Arc::new(client_config(identity)?),
        })
    }

    /// From the next connection on, this identity is shown; of it only key and certificate may be others than before.
    ///
    /// # Errors
    /// Key or certificate cannot be used.
    pub fn show(&mut self, identity: &Identity) -> Result<(), EnrolError> {
        self.tls = Arc::new(client_config(identity)?);
        Ok(())
    }

    /// Begins a connection. With `resume` the broker goes on with the session of the connection before, and a will that
    /// waits there is not sent; that session must have been seen to work, since its subscription is trusted to be there.
    pub fn connect(&mut self, resume: bool) -> Connection {
        let (client, events) = AsyncClient::builder(self.options(resume)).capacity(QUEUE).build();
        let (sender, heard) = mpsc::channel(QUEUE);
        let task = tokio::spawn(carry(client.clone(), events, down_filter(&self.agent), sender));
        Connection { client, heard, task }
    }

    fn options(&self, resume: bool) -> MqttOptions {
        let mut options = MqttOptions::new(client_id(&self.agent, &self.session), (self.host.as_str(), self.port));
        options
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(self.tls.clone())))
            .set_keep_alive(KEEP_ALIVE_SECS)
            .set_clean_start(!resume)
            .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly)
            .set_connect_timeout(CONNECT_WITHIN)
            .set_outgoing_inflight_upper_limit(16)
            .set_connect_properties(connect_properties())
            .set_last_will(self.will());
        options
    }

    fn will(&self) -> LastWill {
        use prost::Message as _;
        let body = Will { session: self.session.to_vec() };
        let payload = Envelope::new(self.session, 0, &body).encode_to_vec();
        let topic = Topic::new(self.agent.clone(), Kind::Will).to_string();
        let properties = LastWillProperties {
            delay_interval: Some(WILL_DELAY_SECS),
            payload_format_indicator: None,
            message_expiry_interval: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        LastWill::new(topic, payload, QoS::AtLeastOnce, false, Some(properties))
    }
}

fn connect_properties() -> ConnectProperties {
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(SESSION_EXPIRY_SECS);
    properties.max_packet_size = Some(u32::try_from(limits::ENVELOPE_BYTES + 1024).unwrap_or(u32::MAX));
    properties
}

impl Connection {
    /// What comes next. After [`Heard::Down`] only that again.
    pub async fn heard(&mut self) -> Heard {
        self.heard.recv().await.unwrap_or_else(|| Heard::Down("the connection ended".to_owned()))
    }

    /// Hands a message over for sending at QoS 0; false where the queue is full (it will be sent again for want of an ack).
    pub fn publish(&self, topic: String, payload: Vec<u8>) -> bool {
        self.client.try_publish(topic, payload, PublishOptions::new(QoS::AtMostOnce)).is_ok()
    }

    /// Says goodbye, so that no will is sent, and waits for it to be on its way.
    pub async fn goodbye(mut self, within: Duration) {
        let farewell = async {
            if self.client.disconnect_with_timeout(within).await.is_ok() {
                while !matches!(self.heard().await, Heard::Down(_)) {}
            }
        };
        let _ = tokio::time::timeout(within, farewell).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Drives one connection until it ends.
async fn carry(client: AsyncClient, mut events: EventLoop, filter: String, sender: mpsc::Sender<Heard>) {
    let mut up = false;
    let deadline = Instant::now() + UP_WITHIN;
    loop {
        // Cut off only when all is given up: between two polls nothing is lost.
        let polled = if up { Ok(events.poll().await) } else { timeout_at(deadline, events.poll()).await };
        let heard = match polled {
            Err(_) => Some(Heard::Down(format!("the broker did not take us within {} s", UP_WITHIN.as_secs()))),
            Ok(Ok(Event::Incoming(packet))) => understood(packet, &client, &filter),
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(Heard::Down(error.to_string())),
        };
        let Some(heard) = heard else { continue };
        up |= matches!(heard, Heard::Up);
        let over = matches!(heard, Heard::Down(_));
        if sender.send(heard).await.is_err() || over {
            return;
        }
    }
}

/// What a packet means to the agent, if anything.
fn understood(packet: Packet, client: &AsyncClient, filter: &str) -> Option<Heard> {
    match packet {
        // The session goes on, and its subscription with it; the client library refuses to subscribe anew in one.
        Packet::ConnAck(answer) if answer.session_present => Some(Heard::Up),
        Packet::ConnAck(_) => {
            let refused = client.try_subscribe(filter.to_owned(), QoS::AtMostOnce).err()?;
            Some(Heard::Down(format!("subscribe to \"{filter}\": {refused}")))
        }
        Packet::SubAck(answer) => Some(match answer.return_codes.first() {
            Some(SubscribeReasonCode::Success(_)) => Heard::Up,
            other => Heard::Down(format!("subscribe to \"{filter}\" refused: {other:?}")),
        }),
        Packet::Publish(publish) => Some(Heard::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
        }),
        Packet::Disconnect(why) => Some(Heard::Down(format!("the broker said goodbye: {:?}", why.reason_code))),
        _ => None,
    }
}
