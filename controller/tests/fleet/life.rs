//! Messages up and down, wills, takeovers, bad packets, and the end of the broker.

use std::time::{Duration, Instant};

use watchkeep::fleet::broker::Delivery;
use watchkeep::fleet::gate::Gone;
use watchkeep_protocol::limits;
use watchkeep_protocol::topic::{Kind, Topic, down_filter};

use crate::client::{A_WHILE, Answer, Client, Wish};
use crate::world::{Heard, World};

fn up(kind: Kind) -> String {
    Topic::new("web-3", kind).to_string()
}

fn will() -> Option<(String, bool)> {
    Some((up(Kind::Will), false))
}

fn is_will(heard: &Heard) -> bool {
    matches!(heard, Heard::Publish { kind: Kind::Will, agent, .. } if agent == "web-3")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_up_is_handed_over_and_what_goes_down_arrives() {
    let world = World::new().await;
    let host = world.host("web-3");
    let mut client = Client::connect(world.address(), &host, &Wish::of(&host)).await.expect("connected");
    assert_eq!(client.subscribe(&down_filter("web-3")).await, Answer::Accepted);

    // No envelope, no protobuf: the broker carries bytes, and what reads them judges them.
    let garbage: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    assert_eq!(client.publish(&up(Kind::Event), garbage.clone(), false).await, Answer::Accepted);
    client.publish_and_hope(&up(Kind::Report), "a report").await;
    let heard = Heard::Publish {
        client: Wish::of(&host).client_id,
        agent: "web-3".to_owned(),
        kind: Kind::Event,
        payload: garbage,
    };
    world.gate.until("the event", |h| *h == heard).await;
    world.gate.until("the report", |h| matches!(h, Heard::Publish { kind: Kind::Report, .. })).await;

    for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
        let topic = Topic::new("web-3", Kind::Command);
        world.broker.publish(&topic, vec![7; 2_000], delivery).expect("queued");
        assert_eq!(client.next().await, (topic.to_string(), vec![7; 2_000]));
    }
    client.goodbye().await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_reaches_the_agent_it_is_for_and_no_other() {
    let world = World::new().await;
    let (web, db) = (world.host("web-3"), world.host("db-1"));
    let mut first = Client::connect(world.address(), &web, &Wish::of(&web)).await.expect("connected");
    let mut second = Client::connect(world.address(), &db, &Wish::of(&db)).await.expect("connected");
    first.subscribe(&down_filter("web-3")).await;
    second.subscribe(&down_filter("db-1")).await;
    world.broker.publish(&Topic::new("web-3", Kind::Ack), b"for web-3".to_vec(), Delivery::AtMostOnce).expect("queued");
    world.broker.publish(&Topic::new("db-1", Kind::Ack), b"for db-1".to_vec(), Delivery::AtMostOnce).expect("queued");
    assert_eq!(first.next().await.1, b"for web-3");
    assert_eq!(second.next().await.1, b"for db-1");
    // The third, for web-3 again, shows that nothing of db-1's came before it.
    world.broker.publish(&Topic::new("web-3", Kind::Ack), b"again".to_vec(), Delivery::AtMostOnce).expect("queued");
    assert_eq!(first.next().await.1, b"again");
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_said_to_the_agent_and_counted() {
    let world = World::new().await;
    let host = world.host("web-3");
    let client = Client::connect(world.address(), &host, &Wish::of(&host)).await.expect("connected");
    world.gate.set_full(true);
    let answer = client.publish(&up(Kind::Event), "x", false).await;
    assert_eq!(answer, Answer::Refused("QuotaExceeded".to_owned()));
    world.gate.set_full(false);
    assert_eq!(client.publish(&up(Kind::Event), "x", false).await, Answer::Accepted);
    let counts = world.broker.counts();
    assert_eq!((counts.full, counts.taken), (1, 1));
    client.goodbye().await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_will_comes_when_the_process_dies_and_not_after_a_goodbye() {
    let world = World::new().await;
    let host = world.host("web-3");
    let wish = Wish { will: will(), ..Wish::of(&host) };
    let client = Client::connect(world.address(), &host, &wish).await.expect("connected");
    client.goodbye().await;
    world.gate.until("the goodbye", |heard| matches!(heard, Heard::Gone { how: Gone::Goodbye, .. })).await;
    assert!(!world.gate.heard().iter().any(is_will), "a goodbye leaves no will");

    let client = Client::connect(world.address(), &host, &wish).await.expect("connected");
    client.die().await;
    world.gate.until("the will", is_will).await;
    world.gate.until("the end", |heard| matches!(heard, Heard::Gone { how: Gone::Closed, .. })).await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_will_waits_and_is_forgotten_when_the_process_is_back() {
    let world = World::new().await;
    let host = world.host("web-3");
    let wish = Wish { will: will(), will_delay: Some(1), session_expiry: Some(30), ..Wish::of(&host) };
    let client = Client::connect(world.address(), &host, &wish).await.expect("connected");
    client.die().await;
    world.gate.until("the end", |heard| matches!(heard, Heard::Gone { .. })).await;
    let begun = Instant::now();
    world.gate.until("the will", is_will).await;
    assert!(begun.elapsed() > Duration::from_millis(700), "it came after {:?}", begun.elapsed());

    world.gate.forget();
    let client = Client::connect(world.address(), &host, &wish).await.expect("connected");
    client.die().await;
    world.gate.until("the end", |heard| matches!(heard, Heard::Gone { .. })).await;
    let back = Client::connect(world.address(), &host, &wish).await.expect("connected");
    tokio::time::sleep(Duration::from_millis(1_000) + A_WHILE).await;
    assert!(!world.gate.heard().iter().any(is_will), "it was back in time: {:#?}", world.gate.heard());
    back.goodbye().await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_client_id_takes_over_and_another_incarnation_does_not() {
    let world = World::new().await;
    let host = world.host("web-3");
    let mut first = Client::connect(world.address(), &host, &Wish::of(&host)).await.expect("connected");
    let second = Client::connect(world.address(), &host, &Wish::of(&host)).await.expect("connected");
    first.end().await;
    let gone = Heard::Gone { client: Wish::of(&host).client_id, how: Gone::TakenOver };
    world.gate.until("the takeover", |heard| *heard == gone).await;

    let other = Wish { client_id: "web-3/00000000000000bb".to_owned(), ..Wish::of(&host) };
    let third = Client::connect(world.address(), &host, &other).await.expect("connected");
    for client in [&second, &third] {
        assert_eq!(client.publish(&up(Kind::Status), "x", false).await, Answer::Accepted);
    }
    let clients: Vec<String> = world
        .gate
        .heard()
        .into_iter()
        .filter_map(|heard| if let Heard::Publish { client, .. } = heard { Some(client) } else { None })
        .collect();
    assert_eq!(clients, [Wish::of(&host).client_id, other.client_id], "both live sessions are told apart");
    world.broker.kick("web-3/00000000000000bb").expect("queued");
    world
        .gate
        .until("the kick", |h| matches!(h, Heard::Gone { client, how: Gone::Kicked } if client.ends_with("bb")))
        .await;
    assert_eq!(second.publish(&up(Kind::Status), "x", false).await, Answer::Accepted, "the other one stays");
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_past_the_limit_ends_the_connection_and_is_reported() {
    let world = World::new().await;
    let host = world.host("web-3");
    let client = Client::connect(world.address(), &host, &Wish::of(&host)).await.expect("connected");
    let largest = vec![1; limits::ENVELOPE_BYTES];
    assert_eq!(client.publish(&up(Kind::Event), largest, false).await, Answer::Accepted);
    client.die().await;

    let answer = send_header_of(&world, &host, 200 << 20).await;
    assert!(answer, "the broker ended the connection at the header");
    world.gate.suspicion("web-3", "protocol").await;
    world.broker.stop().await;
}

/// Connects by hand and announces a packet of that many bytes; whether the broker ended the connection for it.
async fn send_header_of(world: &World, host: &crate::world::Host, bytes: u32) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let id = "web-3/00000000000000cc";
    let mut packet = vec![0x10, (13 + id.len()) as u8, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 30, 0, 0, id.len() as u8];
    packet.extend(id.bytes());
    // A PUBLISH header with its remaining length in seven-bit groups.
    packet.push(0x30);
    let mut left = bytes;
    while left >= 0x80 {
        packet.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    packet.push(left as u8);
    let socket = tokio::net::TcpStream::connect(world.address()).await.expect("connected");
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("an address");
    let connector = rumqttc::tokio_rustls::TlsConnector::from(crate::client::tls(host, true));
    let mut tls = connector.connect(name, socket).await.expect("TLS");
    tls.write_all(&packet).await.expect("sent");
    let mut all = Vec::new();
    tokio::time::timeout(crate::world::PATIENCE, tls.read_to_end(&mut all)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_stops_with_agents_connected_and_its_port_serves_again() {
    let world = World::new().await;
    let host = world.host("web-3");
    let wish = Wish { will: will(), ..Wish::of(&host) };
    let mut client = Client::connect(world.address(), &host, &wish).await.expect("connected");
    let address = world.address();
    let begun = Instant::now();
    let world = world.restart().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    client.end().await;
    assert_eq!(world.address(), address);
    let quiet = |heard: &Heard| matches!(heard, Heard::Gone { .. }) || is_will(heard);
    assert!(!world.gate.heard().iter().any(quiet), "agents that lose their broker are not gone");
    let client = Client::connect(world.address(), &host, &wish).await.expect("connected again");
    client.goodbye().await;
    world.broker.stop().await;
}
