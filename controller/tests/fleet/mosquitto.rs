//! The same cases put to mosquitto with the files that we ship. Its access list cannot say all that our own broker says at
//! once (it takes a subscription and then delivers nothing), so what counts is the effect: what reaches whom.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use watchkeep::access::ca::{Ca, Pair};
use watchkeep_protocol::topic::{Direction, Kind, Topic, down_filter};

use crate::acl::{CASES, Try, filled};
use crate::client::{A_WHILE, Client, Wish};
use crate::world::{Host, PATIENCE, host_of, now};

/// Ends with the test, however that ends.
struct Mosquitto(Child);

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // Gone already or now; either is what is wanted here.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start(ca: &Ca, folder: &Path) -> (Mosquitto, SocketAddr) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/mosquitto");
    let read = |name: &str| std::fs::read_to_string(shipped.join(name)).expect("a shipped file");
    let Pair { certificate, key } = ca.broker(&["127.0.0.1".to_owned()], now()).expect("a certificate");
    let at = folder.display().to_string();
    let listener = format!("listener {port} 127.0.0.1\n");
    let conf = read("watchkeep.conf").replace("listener 8883\n", &listener).replace("/etc/mosquitto/watchkeep", &at);
    for (name, content) in [
        ("watchkeep.conf", format!("user root\n{conf}")),
        ("watchkeep.acl", read("watchkeep.acl")),
        ("broker.pem", certificate),
        ("broker-key.pem", key),
        ("ca.pem", ca.pem().to_owned()),
        ("revoked.pem", ca.revocation_list(&[(host_of(ca, "old-1").serial, now())], now()).expect("a list")),
    ] {
        std::fs::write(folder.join(name), content).expect("written");
    }
    let mut command = Command::new("/usr/sbin/mosquitto");
    command.arg("--config-file").arg(folder.join("watchkeep.conf")).stdin(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("mosquitto is installed; `make test` as root does it");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < PATIENCE, "mosquitto does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    (Mosquitto(child), address)
}

/// What mosquitto lets through though our own broker does not: it asks for a will's topic what it asks for any other, and
/// its agent may say that anyway. The controller takes neither without the agent's seal.
const LET_THROUGH: &str = "watchkeep/v1/{s}/web-3/up/event";

/// The controller as a client.
fn controller(ca: &Ca) -> Host {
    let Pair { certificate, key } = ca.controller(now()).expect("a certificate");
    let name = watchkeep::access::ca::CONTROLLER_NAME.to_owned();
    Host { name, certificate, key, serial: String::new(), trusts: ca.pem().to_owned() }
}

/// What of these would be looked at as an agent's word: wills are hints, and what is under no topic of ours is passed over.
fn believed(heard: &[String]) -> Vec<&String> {
    let up = |topic: &Topic| topic.kind.direction() == Direction::Up && topic.kind != Kind::Will;
    heard.iter().filter(|topic| Topic::parse(topic).is_some_and(|topic| up(&topic))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_mosquitto_an_agent_reaches_nobody_whom_it_may_not_and_hears_only_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::open(folder.path(), now()).expect("a CA");
    let (_mosquitto, address) = start(&ca, folder.path());
    let (host, other) = (host_of(&ca, "web-3"), host_of(&ca, "db-1"));
    let mut controller = connect(address, &controller(&ca), "watchkeep/1").await;
    controller.subscribe("#").await;
    let mut other = connect(address, &other, "db-1/00000000000000bb").await;
    other.subscribe(&down_filter("db-1")).await;

    let mut wrong = Vec::new();
    for (number, (attempt, allowed)) in CASES.iter().enumerate() {
        let heard = put(address, &host, *attempt, number, (&controller, &other)).await;
        let (at_controller, at_other) = (controller.heard(A_WHILE).await, other.heard(A_WHILE / 10).await);
        let own = |topic: &&String| topic.starts_with(down_filter("web-3").trim_end_matches('+'));
        let strange: Vec<_> = heard.iter().filter(|topic| !own(topic)).collect();
        let probed = matches!(attempt, Try::Subscribe(_));
        if !strange.is_empty() || (probed && *allowed && heard.is_empty()) {
            wrong.push(format!("{attempt:?}: it hears {heard:?}"));
        }
        // The probes of a subscription are the controller's and the other agent's own.
        let publishes = matches!(attempt, Try::Publish(_) | Try::PublishRetained(_)) && *allowed;
        let comes = publishes || matches!(attempt, Try::Will(LET_THROUGH));
        if !probed && (believed(&at_controller).is_empty() == comes || !at_other.is_empty()) {
            wrong.push(format!("{attempt:?}: the controller hears {at_controller:?}, the other agent {at_other:?}"));
        }
        if matches!(attempt, Try::Will(_)) && *allowed && at_controller.is_empty() {
            wrong.push(format!("{attempt:?}: its will does not come"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mosquitto_turns_away_what_is_revoked_and_whoever_has_no_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::open(folder.path(), now()).expect("a CA");
    let (revoked, host) = (host_of(&ca, "old-2"), host_of(&ca, "web-3"));
    let list = ca.revocation_list(&[(revoked.serial.clone(), now())], now()).expect("a list");
    let (mosquitto, _) = start(&ca, folder.path());
    drop(mosquitto);
    std::fs::write(folder.path().join("revoked.pem"), &list).expect("written");
    let (_mosquitto, address) = restart(folder.path());
    assert!(Client::connect(address, &host, &Wish::of(&host)).await.is_ok());
    assert!(Client::connect(address, &revoked, &Wish::of(&revoked)).await.is_err(), "it was revoked");
    let without = Wish { with_certificate: false, ..Wish::of(&host) };
    assert!(Client::connect(address, &host, &without).await.is_err(), "without a certificate");
}

/// The same files, run again.
fn restart(folder: &Path) -> (Mosquitto, SocketAddr) {
    let conf = folder.join("watchkeep.conf");
    let text = std::fs::read_to_string(&conf).expect("its configuration");
    let port = text.lines().find_map(|line| line.strip_prefix("listener ")).and_then(|rest| rest.split(' ').next());
    let port: u16 = port.and_then(|digits| digits.parse().ok()).expect("a port");
    let mut command = Command::new("/usr/sbin/mosquitto");
    let child = command.arg("--config-file").arg(&conf).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mosquitto = Mosquitto(child.expect("it was started before"));
    let (address, begun) = (SocketAddr::from(([127, 0, 0, 1], port)), Instant::now());
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < PATIENCE, "mosquitto does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    (mosquitto, address)
}

async fn connect(address: SocketAddr, host: &Host, client_id: &str) -> Client {
    let wish = Wish { client_id: client_id.to_owned(), ..Wish::of(host) };
    Client::connect(address, host, &wish).await.expect("connected")
}

/// Puts one case and says which topics `web-3` heard of.
async fn put(
    address: SocketAddr,
    host: &Host,
    attempt: Try,
    number: usize,
    (controller, other): (&Client, &Client),
) -> Vec<String> {
    let mut wish = Wish { client_id: format!("web-3/{number:016x}"), ..Wish::of(host) };
    if let Try::Will(topic) | Try::WillRetained(topic) = attempt {
        wish.will = Some((filled(topic), matches!(attempt, Try::WillRetained(_))));
    }
    // One that is turned away reaches nobody.
    let Ok(mut client) = Client::connect(address, host, &wish).await else { return Vec::new() };
    match attempt {
        Try::Publish(topic) => drop(client.publish(&filled(topic), "payload", false).await),
        Try::PublishRetained(topic) => drop(client.publish(&filled(topic), "payload", true).await),
        Try::Subscribe(filter) => {
            client.subscribe(&filled(filter)).await;
            for (from, agent, kind) in [
                (controller, "web-3", Kind::Command),
                (controller, "web-3", Kind::Ack),
                (controller, "web-3", Kind::Resync),
                (controller, "db-1", Kind::Command),
                (other, "db-1", Kind::Event),
            ] {
                from.publish(&Topic::new(agent, kind).to_string(), "probe", false).await;
            }
        }
        Try::Will(_) | Try::WillRetained(_) => {
            client.die().await;
            return Vec::new();
        }
    }
    client.heard(A_WHILE / 3).await
}
