//! The one task through which messages and kicks go down to agents, so that callers never wait.

use std::time::Duration;

use rmqtt::context::ServerContext;
use rmqtt::session::SessionState;
use rmqtt::types::{From, Id, Publish, QoS};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Delivery;

/// Kicks under way at once; each takes 5 s at most.
const KICKS: usize = 64;
/// What a message is kept for where its agent is away for a moment.
const KEPT: Duration = Duration::from_secs(60);

pub enum Down {
    Publish { topic: String, payload: Vec<u8>, delivery: Delivery },
    Kick { client: String },
    KickAgent { agent: String },
}

/// Works off what is handed down until every sender is gone.
pub async fn run(context: ServerContext, mut waiting: mpsc::Receiver<Down>) {
    let from = From::from_system(Id::from(context.node.id(), "controller".into()));
    let mut kicks = JoinSet::new();
    while let Some(down) = waiting.recv().await {
        match down {
            Down::Publish { topic, payload, delivery } => {
                let publish = message(topic, payload, delivery);
                if let Err(error) = SessionState::forwards(&context, from.clone(), publish, false, Some(KEPT)).await {
                    tracing::warn!(%error, "a message to an agent was not forwarded");
                }
            }
            Down::Kick { client } => {
                let ids = sessions(&context, |id| &*id.client_id == client.as_str()).await;
                spawn(&context, &mut kicks, ids).await;
            }
            Down::KickAgent { agent } => {
                let ids = sessions(&context, |id| id.username_ref() == agent).await;
                spawn(&context, &mut kicks, ids).await;
            }
        }
        while kicks.try_join_next().is_some() {}
    }
}

/// Ends every session there is.
pub async fn kick_all(context: &ServerContext) {
    let mut kicks = JoinSet::new();
    let ids = sessions(context, |_| true).await;
    spawn(context, &mut kicks, ids).await;
    while kicks.join_next().await.is_some() {}
}

async fn sessions(context: &ServerContext, wanted: impl Fn(&Id) -> bool) -> Vec<Id> {
    let shared = context.extends.shared().await;
    shared.iter().map(|entry| entry.id()).filter(wanted).collect()
}

async fn spawn(context: &ServerContext, kicks: &mut JoinSet<()>, ids: Vec<Id>) {
    for id in ids {
        if kicks.len() >= KICKS {
            kicks.join_next().await;
        }
        let context = context.clone();
        kicks.spawn(async move { kick(&context, id).await });
    }
}

async fn kick(context: &ServerContext, id: Id) {
    let mut entry = context.extends.shared().await.entry(id.clone());
    if let Err(error) = entry.kick(true, true, true).await {
        tracing::warn!(client = %id.client_id, %error, "a connection was not ended");
    }
}

fn message(topic: String, payload: Vec<u8>, delivery: Delivery) -> Publish {
    rmqtt::codec::types::Publish {
        dup: false,
        retain: false,
        qos: match delivery {
            Delivery::AtMostOnce => QoS::AtMostOnce,
            Delivery::AtLeastOnce => QoS::AtLeastOnce,
        },
        topic: topic.into(),
        packet_id: None,
        payload: payload.into(),
        properties: Some(rmqtt::codec::v5::PublishProperties::default()),
    }
    .into()
}
