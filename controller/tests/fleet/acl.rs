//! What an agent may do on the broker, as a table: the same cases can be put to any other broker.

use watchkeep_protocol::topic::shard_of;

use crate::client::{Answer, Client, Wish};
use crate::world::{Heard, World};

/// What is tried, with topics as `web-3` would write them; `{s}` is its shard, `{o}` that of `db-1`.
#[derive(Clone, Copy, Debug)]
pub enum Try {
    Publish(&'static str),
    PublishRetained(&'static str),
    Subscribe(&'static str),
    Will(&'static str),
    WillRetained(&'static str),
}

/// Each act of `web-3`, and whether it is allowed.
pub const CASES: &[(Try, bool)] = &[
    (Try::Publish("watchkeep/v1/{s}/web-3/up/hello"), true),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/layout"), true),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/report"), true),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/event"), true),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/inventory"), true),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/result"), true),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/status"), true),
    (Try::Subscribe("watchkeep/v1/{s}/web-3/down/+"), true),
    (Try::Subscribe("watchkeep/v1/{s}/web-3/down/ack"), true),
    (Try::Subscribe("watchkeep/v1/{s}/web-3/down/resync"), true),
    (Try::Subscribe("watchkeep/v1/{s}/web-3/down/command"), true),
    (Try::Will("watchkeep/v1/{s}/web-3/up/will"), true),
    // Its will is for the broker to send.
    (Try::Publish("watchkeep/v1/{s}/web-3/up/will"), false),
    // The controller's word, in its own name and another's.
    (Try::Publish("watchkeep/v1/{s}/web-3/down/command"), false),
    (Try::Publish("watchkeep/v1/{s}/web-3/down/ack"), false),
    (Try::Publish("watchkeep/v1/{o}/db-1/down/command"), false),
    // In another's name, and in names that only look like its own.
    (Try::Publish("watchkeep/v1/{o}/db-1/up/event"), false),
    (Try::Publish("watchkeep/v1/{s}/db-1/up/event"), false),
    (Try::Publish("watchkeep/v1/{o}/web-3/up/event"), false),
    (Try::Publish("watchkeep/v1/{s}/web-33/up/event"), false),
    (Try::Publish("watchkeep/v1/{s}/WEB-3/up/event"), false),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/event/more"), false),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/"), false),
    (Try::Publish("watchkeep/v1/{s}/web-3/up/secret"), false),
    (Try::Publish("watchkeep/v1/0{s}/web-3/up/event"), false),
    (Try::Publish("watchkeep/v2/{s}/web-3/up/event"), false),
    (Try::Publish("/watchkeep/v1/{s}/web-3/up/event"), false),
    (Try::Publish("anything"), false),
    (Try::Publish("$SYS/broker/uptime"), false),
    (Try::PublishRetained("watchkeep/v1/{s}/web-3/up/event"), false),
    // What others hear and say.
    (Try::Subscribe("#"), false),
    (Try::Subscribe("+/+/+/+/+/+"), false),
    (Try::Subscribe("watchkeep/v1/{s}/web-3/#"), false),
    (Try::Subscribe("watchkeep/v1/{s}/web-3/+/ack"), false),
    (Try::Subscribe("watchkeep/v1/{s}/web-3/up/event"), false),
    (Try::Subscribe("watchkeep/v1/{s}/web-3/down/#"), false),
    (Try::Subscribe("watchkeep/v1/{s}/+/down/+"), false),
    (Try::Subscribe("watchkeep/v1/+/web-3/down/+"), false),
    (Try::Subscribe("watchkeep/v1/{o}/db-1/down/+"), false),
    (Try::Subscribe("watchkeep/v1/{o}/db-1/down/command"), false),
    (Try::Subscribe("$share/all/watchkeep/v1/{s}/web-3/down/+"), false),
    (Try::Subscribe("$SYS/#"), false),
    // A will on anything but its own will topic.
    (Try::Will("watchkeep/v1/{o}/db-1/up/will"), false),
    (Try::Will("watchkeep/v1/{s}/web-3/up/event"), false),
    (Try::Will("watchkeep/v1/{s}/web-3/down/command"), false),
    (Try::Will("watchkeep/v1/{o}/db-1/down/command"), false),
    (Try::WillRetained("watchkeep/v1/{s}/web-3/up/will"), false),
];

/// The topic of a case, with its shards.
pub fn filled(topic: &str) -> String {
    topic.replace("{s}", &shard_of("web-3").to_string()).replace("{o}", &shard_of("db-1").to_string())
}

/// Puts one case to the broker and gives its answer.
async fn put(world: &World, attempt: Try, number: usize) -> Answer {
    let host = world.host("web-3");
    let mut wish = Wish { client_id: format!("web-3/{number:016x}"), ..Wish::of(&host) };
    if let Try::Will(topic) | Try::WillRetained(topic) = attempt {
        wish.will = Some((filled(topic), matches!(attempt, Try::WillRetained(_))));
    }
    let client = match Client::connect(world.address(), &host, &wish).await {
        Ok(client) => client,
        Err(reason) => return Answer::Refused(reason),
    };
    let answer = match attempt {
        Try::Publish(topic) => client.publish(&filled(topic), "payload", false).await,
        Try::PublishRetained(topic) => client.publish(&filled(topic), "payload", true).await,
        Try::Subscribe(filter) => client.subscribe(&filled(filter)).await,
        Try::Will(_) | Try::WillRetained(_) => Answer::Accepted,
    };
    client.goodbye().await;
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_act_outside_an_agents_own_topics_is_refused_and_reported() {
    assert_ne!(shard_of("web-3"), shard_of("db-1"), "the cases need two shards");
    let world = World::new().await;
    let mut wrong = Vec::new();
    for (number, (attempt, allowed)) in CASES.iter().enumerate() {
        world.gate.forget();
        let answer = put(&world, *attempt, number).await;
        if (answer == Answer::Accepted) != *allowed {
            wrong.push(format!("{attempt:?}: {answer:?}"));
        }
        let published = world.gate.heard().iter().any(|heard| matches!(heard, Heard::Publish { .. }));
        let publishes = matches!(attempt, Try::Publish(_) | Try::PublishRetained(_));
        if published != (publishes && *allowed) {
            wrong.push(format!("{attempt:?}: handed over: {published}"));
        }
        let reported = world.gate.heard().iter().any(|heard| matches!(heard, Heard::Suspicious { .. }));
        // These the broker's library or the client refuses before anybody is asked.
        let before_us = matches!(&answer, Answer::Refused(reason) if reason.contains("TopicFilterInvalid")
            || reason.contains("RetainNotSupported") || reason.contains("SharedSubscriptions"));
        if reported == *allowed && !before_us {
            wrong.push(format!("{attempt:?}: reported: {reported}; answer {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(CASES.len() > 40);
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_carries_the_reason_code_of_mqtt_5() {
    let world = World::new().await;
    let host = world.host("web-3");
    let client = Client::connect(world.address(), &host, &Wish::of(&host)).await.expect("connected");
    assert_eq!(client.publish("anything", "x", false).await, Answer::Refused("NotAuthorized".to_owned()));
    assert_eq!(client.subscribe("#").await, Answer::Refused("NotAuthorized".to_owned()));
    let told = world.gate.suspicion("web-3", "publish").await;
    assert!(told.starts_with("publish to \"anything\" was refused: an agent publishes to its own"), "{told}");
    let told = world.gate.suspicion("web-3", "subscribe").await;
    assert_eq!(told, "subscribe to \"#\" was refused: an agent subscribes to its own down/ topics only");
    // It is refused, not thrown out: the connection still serves.
    let topic = watchkeep_protocol::topic::Topic::new("web-3", watchkeep_protocol::topic::Kind::Event).to_string();
    assert_eq!(client.publish(&topic, "x", false).await, Answer::Accepted);
    client.goodbye().await;
    world.broker.stop().await;
}
