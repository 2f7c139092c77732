//! Who comes in, and what each may do: the hooks of the broker's library, turned into calls of the gate.
//!
//! The order of the library's hooks matters. Publishes are handed over in the ACL hook, after the decision; the publish
//! hook runs before it and serves wills alone, which the ACL never sees: those are judged at the door.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use rmqtt::codec::v5::{DisconnectReasonCode, PublishAckReason, SubscribeAckReason};
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use rmqtt::net::MqttError;
use rmqtt::session::Session;
use rmqtt::types::{
    AuthResult, ConnectInfo, Disconnect, FromType, Publish, PublishAclResult, PublishResult, QoS, Reason, Subscribe,
    SubscribeAclResult,
};
use watchkeep_protocol::topic::{Topic, is_agent_name};

use super::Counters;
use crate::fleet::acl;
use crate::fleet::gate::{Gate, Gone, Peer, PublishVerdict, Suspicion};

/// The hooks in use; the library calls nothing else of ours.
const HOOKS: [Type; 7] = [
    Type::ClientAuthenticate,
    Type::ClientConnected,
    Type::ClientDisconnected,
    Type::ClientSubscribeCheckAcl,
    Type::MessagePublishCheckAcl,
    Type::MessagePublish,
    Type::MessageDropped,
];

/// Why a publish is refused.
const MAY_PUBLISH: &str = "an agent publishes to its own up/ topics only, and nothing retained";

/// How the library's text begins where it was the socket that failed, not what came over it.
const SOCKET_ERROR: &str = "io error";

pub struct Doorman {
    gate: Arc<dyn Gate>,
    counters: Arc<Counters>,
    closed: AtomicBool,
}

/// The doorman as the library owns it.
struct Post(Arc<Doorman>);

impl Doorman {
    pub fn new(gate: Arc<dyn Gate>, counters: Arc<Counters>) -> Self {
        Self { gate, counters, closed: AtomicBool::new(false) }
    }

    pub async fn install(self: Arc<Self>, context: &ServerContext) {
        let register = context.extends.hook_mgr().register();
        for hook in HOOKS {
            register.add(hook, Box::new(Post(self.clone()))).await;
        }
        register.start().await;
    }

    /// From now on nobody is let in and the gate is told nothing.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    fn admit(&self, info: &ConnectInfo) -> bool {
        let refused = |why: &dyn std::fmt::Display, agent: &str| {
            count(&self.counters.refused);
            tracing::warn!(agent, remote = ?info.ipaddress(), "connection refused: {why}");
            false
        };
        let peer = match judge(info) {
            Ok(peer) => peer,
            Err(Objection { agent, kind, detail }) => {
                let answer = refused(&detail, &agent);
                if self.open() && !agent.is_empty() {
                    self.gate.suspicious(Suspicion {
                        agent,
                        kind,
                        detail: format!("its connection was refused: {detail}"),
                    });
                }
                return answer;
            }
        };
        if !self.open() {
            return false;
        }
        match self.gate.connect(&peer) {
            Ok(()) => true,
            Err(refusal) => refused(&refusal, &peer.agent),
        }
    }

    fn forbidden(&self, agent: &str, kind: &'static str, what: &str, why: &str) {
        count(&self.counters.forbidden);
        let detail = format!("{what} was refused: {why}");
        tracing::warn!(agent, "{detail}");
        if self.open() {
            self.gate.suspicious(Suspicion { agent: agent.to_owned(), kind, detail });
        }
    }

    fn judge_publish(&self, session: &Session, publish: &Publish) -> PublishAclResult {
        let agent = session.id.username_ref();
        let topic = acl::publish(agent, &publish.topic);
        let Some(topic) = topic.filter(|_| !publish.retain) else {
            let retained = if publish.retain { ", retained" } else { "" };
            let what = format!("publish to {}{retained}", acl::quoted(&publish.topic));
            self.forbidden(agent, "publish", &what, MAY_PUBLISH);
            return PublishAclResult::rejected(false, Some(MAY_PUBLISH.into()));
        };
        match self.hand_over(session, topic, publish) {
            PublishVerdict::Taken => PublishAclResult::allow(),
            PublishVerdict::Full => PublishAclResult(PublishResult::reason_code(
                PublishAckReason::QuotaExceeded,
                Some("the controller is behind; send again later".into()),
                false,
            )),
        }
    }

    fn hand_over(&self, session: &Session, topic: Topic, publish: &Publish) -> PublishVerdict {
        if !self.open() {
            return PublishVerdict::Full;
        }
        let verdict = self.gate.publish(&session.id.client_id, topic, publish.payload.clone());
        count(match verdict {
            PublishVerdict::Taken => &self.counters.taken,
            PublishVerdict::Full => &self.counters.full,
        });
        verdict
    }

    fn judge_subscribe(&self, session: &Session, subscribe: &Subscribe) -> SubscribeAclResult {
        let agent = session.id.username_ref();
        let plain = subscribe.opts.shared_group().is_none() && subscribe.opts.limit_subs().is_none();
        if plain && acl::subscribe(agent, &subscribe.topic_filter) {
            return SubscribeAclResult::new_success(subscribe.opts.qos().less_value(QoS::AtLeastOnce), None);
        }
        let shared = if plain { "" } else { ", shared" };
        let what = format!("subscribe to {}{shared}", acl::quoted(&subscribe.topic_filter));
        self.forbidden(agent, "subscribe", &what, "an agent subscribes to its own down/ topics only");
        SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized)
    }

    /// A will, published by the broker on behalf of a session that is gone; its topic was judged at the door.
    fn take_will(&self, session: &Session, publish: &Publish) {
        if let Some(topic) = Topic::parse(&publish.topic) {
            self.hand_over(session, topic, publish);
        }
    }

    async fn tell_connected(&self, session: &Session) {
        count(&self.counters.connected);
        if let (true, Some(peer)) = (self.open(), peer_of(session).await) {
            self.gate.connected(&peer);
        }
    }

    async fn tell_gone(&self, session: &Session, reason: &Reason) {
        if let (true, Some(peer)) = (self.open(), peer_of(session).await) {
            let how = how_gone(session.disconnect().await.ok().flatten().as_ref(), reason);
            if let Gone::Fault(detail) = &how {
                let detail = detail.clone();
                self.gate.suspicious(Suspicion { agent: peer.agent.clone(), kind: "protocol", detail });
            }
            self.gate.gone(&peer, how);
        }
    }
}

#[async_trait]
impl Handler for Post {
    #[expect(
        elided_lifetimes_in_paths,
        reason = "the macro makes a named lifetime of '_, which the library's trait has not"
    )]
    async fn hook(&self, parameter: &Parameter, so_far: Option<HookResult>) -> ReturnType {
        let doorman = &self.0;
        match parameter {
            Parameter::ClientAuthenticate(info) => {
                let answer =
                    if doorman.admit(info) { AuthResult::Allow(false, None) } else { AuthResult::NotAuthorized };
                (false, Some(HookResult::AuthResult(answer)))
            }
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let answer = doorman.judge_subscribe(session, subscribe);
                (false, Some(HookResult::SubscribeAclResult(answer)))
            }
            Parameter::MessagePublishCheckAcl(session, publish) => {
                let answer = doorman.judge_publish(session, publish);
                (false, Some(HookResult::PublishAclResult(answer)))
            }
            Parameter::MessagePublish(Some(session), from, publish) => {
                if matches!(from.typ(), FromType::LastWill) {
                    doorman.take_will(session, publish);
                }
                (true, so_far)
            }
            Parameter::ClientConnected(session) => {
                doorman.tell_connected(session).await;
                (true, so_far)
            }
            Parameter::ClientDisconnected(session, reason) => {
                doorman.tell_gone(session, reason).await;
                (true, so_far)
            }
            Parameter::MessageDropped(Some(_), ..) => {
                count(&doorman.counters.down_dropped);
                (true, so_far)
            }
            _ => (true, so_far),
        }
    }
}

/// What speaks against a connection before anybody is asked.
struct Objection {
    /// Empty where the certificate names no agent.
    agent: String,
    kind: &'static str,
    detail: String,
}

/// Certificate, protocol version, client id and will of a CONNECT.
fn judge(info: &ConnectInfo) -> Result<Peer, Objection> {
    let cert = info.cert();
    let name = cert.and_then(|cert| cert.common_name.as_deref()).filter(|name| is_agent_name(name));
    let agent = name.unwrap_or_default().to_owned();
    let object = |kind, detail: String| Err(Objection { agent: agent.clone(), kind, detail });
    let (Some(cert), false) = (cert, agent.is_empty()) else {
        return object("certificate", "the certificate's common name is no name of an agent".to_owned());
    };
    if !matches!(info, ConnectInfo::V5(..)) {
        return object("protocol", "MQTT 3 is not spoken here; agents speak MQTT 5".to_owned());
    }
    let client = info.client_id();
    let Some(incarnation) = acl::incarnation(&agent, client) else {
        let detail = format!("client id {} is not \"{agent}/<16 hexadecimal digits>\"", acl::quoted(client));
        return object("client_id", detail);
    };
    if let Some(topic) = will_topic(info).filter(|(topic, retain)| *retain || !acl::will(&agent, topic)) {
        let retained = if topic.1 { ", retained" } else { "" };
        let detail = format!(
            "a will on {}{retained}; an agent leaves one on its own up/will, not retained",
            acl::quoted(topic.0)
        );
        return object("will", detail);
    }
    Ok(Peer {
        serial: serial_text(cert.serial.as_deref().unwrap_or_default()),
        client: client.to_string(),
        incarnation: incarnation.to_owned(),
        remote: Some(info.ipaddress().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))),
        agent,
    })
}

fn will_topic(info: &ConnectInfo) -> Option<(&str, bool)> {
    match info {
        ConnectInfo::V5(_, connect) => connect.last_will.as_ref().map(|will| (&*will.topic, will.retain)),
        ConnectInfo::V3(_, connect) => connect.last_will.as_ref().map(|will| (&*will.topic, will.retain)),
    }
}

/// The library writes serials without leading zeros; ours always have 32 digits.
fn serial_text(digits: &str) -> String {
    format!("{:0>32}", digits.to_ascii_lowercase())
}

async fn peer_of(session: &Session) -> Option<Peer> {
    let info = session.connect_info().await.ok()?;
    judge(&info).ok()
}

/// How a connection ended, from what the library noted in its course.
fn how_gone(said: Option<&Disconnect>, reason: &Reason) -> Gone {
    if let Some(Disconnect::V5(packet)) = said
        && packet.reason_code == DisconnectReasonCode::NormalDisconnection
    {
        return Gone::Goodbye;
    }
    match reason {
        Reason::Reasons(all) => all.first().map_or(Gone::Closed, |first| how_gone(None, first)),
        Reason::ConnectKicked(true) => Gone::Kicked,
        Reason::ConnectKicked(false) => Gone::TakenOver,
        Reason::ConnectKeepaliveTimeout | Reason::ConnectReadWriteTimeout => Gone::KeepAlive,
        Reason::MqttError(
            MqttError::ReadTimeout | MqttError::WriteTimeout | MqttError::FlushTimeout | MqttError::CloseTimeout,
        ) => Gone::KeepAlive,
        Reason::ConnectRemoteClose | Reason::ConnectReadWriteError | Reason::ConnectDisconnect(_) | Reason::Unknown => {
            Gone::Closed
        }
        Reason::Error(text) => how_broken(text),
        other => Gone::Fault(acl::quoted(&other.to_string())),
    }
}

/// What the library gives as text alone: a broken socket, or a packet that does not decode.
fn how_broken(text: &str) -> Gone {
    if !text.starts_with(SOCKET_ERROR) {
        Gone::Fault(acl::quoted(text))
    } else if text.contains("timed out") || text.contains("unreachable") {
        Gone::KeepAlive
    } else {
        Gone::Closed
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
