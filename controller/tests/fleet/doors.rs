//! Who is let in, and how a connection ends.

use watchkeep::access::ca::Ca;
use watchkeep::fleet::gate::Gone;

use crate::client::{Client, Wish};
use crate::world::{Heard, World, host_of, now};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_comes_in_by_its_certificate_alone() {
    let world = World::new().await;
    let host = world.host("web-3");
    // A claimed user name counts for nothing.
    let wish = Wish { user_name: Some("db-1".to_owned()), ..Wish::of(&host) };
    let client = Client::connect(world.address(), &host, &wish).await.expect("connected");
    let heard = world.gate.until("web-3 connected", |heard| matches!(heard, Heard::Connected { .. })).await;
    assert_eq!(heard, Heard::Connected { client: wish.client_id.clone(), serial: host.serial.clone() });
    client.goodbye().await;
    let gone = Heard::Gone { client: wish.client_id, how: Gone::Goodbye };
    world.gate.until("a clean goodbye", |heard| *heard == gone).await;
    assert_eq!(world.broker.counts().connected, 1);
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_does_not_come_in() {
    let world = World::new().await;
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let other_ca = Ca::open(elsewhere.path(), now()).expect("a CA");

    let mut stranger = host_of(&other_ca, "web-3");
    stranger.trusts = world.ca.pem().to_owned();
    let error = Client::connect(world.address(), &stranger, &Wish::of(&stranger)).await.err();
    assert!(error.as_ref().is_some_and(|error| error.contains("UnknownCA")), "another CA's certificate: {error:?}");

    let host = world.host("web-3");
    let without = Wish { with_certificate: false, ..Wish::of(&host) };
    let error = Client::connect(world.address(), &host, &without).await.err();
    assert!(error.as_ref().is_some_and(|error| error.contains("CertificateRequired")), "no certificate: {error:?}");

    let deceived = crate::world::Host { trusts: other_ca.pem().to_owned(), ..host.clone() };
    let error = Client::connect(world.address(), &deceived, &Wish::of(&host)).await.err();
    assert!(error.as_ref().is_some_and(|error| error.contains("UnknownIssuer")), "a false controller: {error:?}");

    assert_eq!(world.gate.heard(), []);
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_id_that_is_not_the_certificates_is_refused_and_reported() {
    let world = World::new().await;
    let host = world.host("web-3");
    for id in ["db-1/00000000000000aa", "web-3", "web-3/aa", "web-3/00000000000000AA", "mqttx"] {
        world.gate.forget();
        let wish = Wish { client_id: id.to_owned(), ..Wish::of(&host) };
        let error = Client::connect(world.address(), &host, &wish).await.err();
        assert_eq!(error.as_deref(), Some("NotAuthorized"), "{id}");
        let detail = world.gate.suspicion("web-3", "client_id").await;
        assert!(detail.contains(&format!("{id:?}")), "{detail}");
    }
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_is_thrown_out_and_stays_out() {
    let world = World::new().await;
    let host = world.host("web-3");
    let mut client = Client::connect(world.address(), &host, &Wish::of(&host)).await.expect("connected");

    world.gate.revoke(&host.serial);
    world.broker.kick_agent("web-3").expect("queued");
    let end = client.end().await;
    assert!(end.contains("AdministrativeAction") || end.contains("onnection"), "{end}");
    let gone = Heard::Gone { client: Wish::of(&host).client_id, how: Gone::Kicked };
    world.gate.until("the kick", |heard| *heard == gone).await;

    let error = Client::connect(world.address(), &host, &Wish::of(&host)).await.err();
    assert_eq!(error.as_deref(), Some("NotAuthorized"));
    // Enrolled again, it has another serial and comes in.
    let again = world.host("web-3");
    let client = Client::connect(world.address(), &again, &Wish::of(&again)).await.expect("connected");
    client.goodbye().await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mqtt_3_is_refused() {
    let world = World::new().await;
    let host = world.host("web-3");
    let answer = connect_mqtt_3(&world, &host).await;
    // CONNACK, two bytes: no session, code 5 (not authorised).
    assert_eq!(answer, [0x20, 2, 0, 5]);
    assert!(world.gate.suspicion("web-3", "protocol").await.contains("MQTT 5"));
    world.broker.stop().await;
}

async fn connect_mqtt_3(world: &World, host: &crate::world::Host) -> Vec<u8> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let id = format!("{}/00000000000000aa", host.name);
    let mut packet = vec![0x10, (12 + id.len()) as u8, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 30, 0, id.len() as u8];
    packet.extend(id.bytes());
    let socket = tokio::net::TcpStream::connect(world.address()).await.expect("connected");
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("an address");
    let connector = rumqttc::tokio_rustls::TlsConnector::from(crate::client::tls(host, true));
    let mut tls = connector.connect(name, socket).await.expect("TLS");
    tls.write_all(&packet).await.expect("sent");
    let mut answer = vec![0; 4];
    tokio::time::timeout(crate::world::PATIENCE, tls.read_exact(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    answer
}
