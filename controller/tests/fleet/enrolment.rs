//! From a token to a connection: enrolment over HTTPS, against a real database.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use watchkeep::access::ca::Ca;
use watchkeep::access::certificates::{self, Certificate};
use watchkeep::access::enrolment_tokens::{self, NewToken};
use watchkeep::access::keys::{Purpose, SigningKey};
use watchkeep::access::random;
use watchkeep::fleet::enrol::{self, EnrolConfig, EnrolHandle, Given, Office};
use watchkeep::store::{self, Database, writing};
use watchkeep_desk::input::AgentEvent;
use watchkeep_protocol::renewal::signed_bytes;
use watchkeep_protocol::token::Token;

use crate::client::{Client, Wish};
use crate::world::{Heard, Host, World, host_of, key_and_request, now};

/// An enrolment listener beside a broker, with a database of its own.
struct Registry {
    database: Database,
    handle: EnrolHandle,
    fingerprint: [u8; 32],
    /// What the desk was told.
    told: Arc<Mutex<Vec<Certificate>>>,
    /// Whether the desk takes what it is told.
    deaf: Arc<AtomicBool>,
    client: reqwest::Client,
    _data: tempfile::TempDir,
}

impl Registry {
    async fn beside(world: &World) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let database = store::open(&format!("sqlite:{}", data.path().join("store.db").display())).expect("a database");
        let key = SigningKey::open(data.path(), Purpose::Command).expect("a key");
        let (told, deaf) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let ca = Ca::open(world.data(), now()).expect("the world's CA");
        let (fingerprint, files) = (ca.fingerprint(), ca.server(&[], now()).expect("a server certificate"));
        let root = reqwest::Certificate::from_pem(ca.pem().as_bytes()).expect("PEM");
        let tell = {
            let (told, deaf) = (told.clone(), deaf.clone());
            Box::new(move |certificate: &Certificate| {
                if deaf.load(Ordering::Relaxed) {
                    return Err("the desk is not ready".to_owned());
                }
                told.lock().expect("no panic").push(certificate.clone());
                Ok(())
            })
        };
        let writer = database.writer().expect("a connection");
        let broker = format!("mqtts://{}", world.address());
        let given = Given { broker, sealed: false, command_keys: vec![key.public_key_text()] };
        let office = Arc::new(Office::new(writer, ca, given, tell));
        let config = EnrolConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            certificate: files.certificate,
            key: files.key,
        };
        let handle = enrol::listen(config, office).await.expect("it listens");
        // What the process does first thing; a second time in one process it is there already.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().tls_certs_only([root]).no_proxy().build().expect("an HTTP client");
        Self { database, handle, fingerprint, told, deaf, client, _data: data }
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.handle.address().port())
    }

    fn token(&self, uses_max: u32, expires_at: i64) -> Token {
        let labels = BTreeMap::from([("environment".to_owned(), "production".to_owned())]);
        let new = NewToken { labels, uses_max, expires_at, created_by: "token:1".to_owned() };
        let mut store = self.database.writer().expect("a connection");
        let place = (self.fingerprint, self.url(""));
        writing(store.as_mut(), |tx| {
            enrolment_tokens::create(tx, &new, (random(), random()), (place.0, &place.1), now())
        })
        .expect("written")
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        self.post_to("/enrol", body).await
    }

    async fn post_to(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.client.post(self.url(path)).header("content-type", "application/json").body(body);
        let response = request.send().await.expect("an answer");
        let (status, kind) = (response.status().as_u16(), response.headers().get("content-type").cloned());
        let text = response.text().await.expect("a body");
        let expected = if status == 200 { "application/json" } else { "application/problem+json" };
        assert_eq!(kind.as_ref().and_then(|kind| kind.to_str().ok()), Some(expected), "{text}");
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    async fn enrol(&self, token: &Token, name: &str, request: &str) -> (u16, Value) {
        let body = json!({"token": token.to_text(), "name": name, "csr_pem": request});
        self.post(body.to_string()).await
    }

    /// Asks for a certificate in place of `pem`, signed by `key`.
    async fn renew(&self, pem: &str, key: &str, request: &str) -> (u16, Value) {
        let der = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM").1.contents;
        let key = rcgen::KeyPair::from_pem(key).expect("a key");
        let signature = rcgen::SigningKey::sign(&key, &signed_bytes(request)).expect("signed");
        let body = json!({
            "certificate": STANDARD.encode(der), "csr_pem": request, "signature": STANDARD.encode(signature),
        });
        self.post_to("/renew", body.to_string()).await
    }

    fn told(&self) -> Vec<Certificate> {
        self.told.lock().expect("no panic").clone()
    }
}

fn hour() -> i64 {
    now() + 3_600_000
}

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_else(|| panic!("\"{key}\" is in {answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_with_a_token_becomes_an_agent_and_connects() {
    let world = World::new().await;
    let registry = Registry::beside(&world).await;
    let token = registry.token(1, hour());

    // The host fetches the CA and compares it with its token before it trusts.
    let ca_pem = registry.client.get(registry.url("/ca")).send().await.expect("an answer").text().await.expect("text");
    let der = x509_parser::pem::parse_x509_pem(ca_pem.as_bytes()).expect("PEM").1.contents;
    assert_eq!(Sha256::digest(&der).as_slice(), token.ca_fingerprint);

    let (key, request) = key_and_request("web-3");
    let (status, answer) = registry.enrol(&token, "web-3", &request).await;
    assert_eq!((status, text(&answer, "name")), (200, "web-3"), "{answer}");
    assert_eq!(text(&answer, "ca_pem"), ca_pem);
    assert_eq!(text(&answer, "broker"), format!("mqtts://{}", world.address()));
    assert!(answer.get("notice").is_none());
    assert_eq!(answer["command_keys"].as_array().map(Vec::len), Some(1));

    let told = registry.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].labels.get("environment").map(String::as_str), Some("production"));
    let host = Host {
        name: "web-3".to_owned(),
        certificate: text(&answer, "certificate_pem").to_owned(),
        key,
        serial: told[0].serial.clone(),
        trusts: ca_pem,
    };
    let client = Client::connect(world.address(), &host, &Wish::of(&host)).await.expect("connected");
    let connected = Heard::Connected { client: Wish::of(&host).client_id, serial: host.serial.clone() };
    world.gate.until("the new agent", |heard| *heard == connected).await;
    client.goodbye().await;
    registry.handle.stop().await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_gets_a_suffix_and_the_answer_says_so() {
    let world = World::new().await;
    let registry = Registry::beside(&world).await;
    let token = registry.token(5, hour());
    for expected in ["web-3", "web-3-2", "web-3-3"] {
        let (_, request) = key_and_request("web-3");
        let (status, answer) = registry.enrol(&token, "web-3", &request).await;
        assert_eq!((status, text(&answer, "name")), (200, expected));
        let said = answer["notice"].as_str().is_some_and(|notice| notice.contains("held by another host"));
        assert_eq!(said, expected != "web-3", "{answer}");
    }
    registry.handle.stop().await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_with_its_code() {
    let world = World::new().await;
    let registry = Registry::beside(&world).await;
    let (_, request) = key_and_request("web-3");
    let good = registry.token(1, hour());
    let guessed = Token { secret: vec![7; 32], ..good.clone() };
    let invented = Token { id: "enrol-0".to_owned(), ..good.clone() };
    let over = registry.token(1, now() - 1);
    let tampered = tamper(&request);

    for (token, name, request, expected) in [
        (&guessed, "web-3", &request, (401, "token_unknown")),
        (&invented, "web-3", &request, (401, "token_unknown")),
        (&over, "web-3", &request, (403, "token_expired")),
        (&good, "Web 3", &request, (422, "name_invalid")),
        (&good, "web-3", &tampered, (422, "request_invalid")),
        (&good, "web-3", &"nonsense".to_owned(), (422, "request_invalid")),
    ] {
        let (status, problem) = registry.enrol(token, name, request).await;
        assert_eq!((status, text(&problem, "code")), expected, "{problem}");
        assert_eq!(problem["status"], status);
        let shown = problem.to_string();
        assert!(!shown.contains(&token.to_text()), "a token is never shown: {shown}");
    }
    for (body, expected) in [
        ("{".to_owned(), (400, "malformed")),
        (json!({"name": "web-3"}).to_string(), (400, "malformed")),
        (json!({"token": "wk1.cut", "name": "web-3", "csr_pem": request}).to_string(), (401, "token_unknown")),
        ("x".repeat(100_000), (413, "too_large")),
    ] {
        let (status, problem) = registry.post(body).await;
        assert_eq!((status, text(&problem, "code")), expected, "{problem}");
    }
    assert_eq!(registry.told(), [], "none of it enrolled anybody");

    // None of it took the token's one use.
    assert_eq!(registry.enrol(&good, "web-3", &request).await.0, 200);
    let (_, other) = key_and_request("web-4");
    let (status, problem) = registry.enrol(&good, "web-4", &other).await;
    assert_eq!((status, text(&problem, "code")), (403, "token_used_up"), "{problem}");
    registry.handle.stop().await;
    world.broker.stop().await;
}

/// One byte of the key changed, its signature left as it was.
fn tamper(pem: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let mut der = STANDARD.decode(body.trim()).expect("base64");
    let at = der.windows(5).position(|bytes| bytes == b"web-3").expect("the name is in it");
    der[at] ^= 1;
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", STANDARD.encode(der))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_given_again_to_the_same_key_and_no_other() {
    let world = World::new().await;
    let registry = Registry::beside(&world).await;
    let token = registry.token(1, hour());
    let (_, request) = key_and_request("web-3");

    registry.deaf.store(true, Ordering::Relaxed);
    let (status, problem) = registry.enrol(&token, "web-3", &request).await;
    assert_eq!((status, text(&problem, "code")), (503, "try_again"), "{problem}");
    registry.deaf.store(false, Ordering::Relaxed);

    let (status, first) = registry.enrol(&token, "web-3", &request).await;
    assert_eq!((status, text(&first, "name")), (200, "web-3"), "{first}");
    let (_, again) = registry.enrol(&token, "web-3", &request).await;
    assert_eq!(first, again, "the same certificate, not another use");
    let serials: Vec<String> = registry.told().into_iter().map(|told| told.serial).collect();
    assert!(serials.len() == 2 && serials[0] == serials[1], "{serials:?}");

    let (_, other) = key_and_request("web-3");
    let (_, problem) = registry.enrol(&token, "web-3", &other).await;
    assert_eq!(text(&problem, "code"), "token_used_up");
    registry.handle.stop().await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_guesses_tokens_is_told_to_wait_and_then_for_how_long() {
    let world = World::new().await;
    let registry = Registry::beside(&world).await;
    let good = registry.token(1, hour());
    let guessed = Token { secret: vec![7; 32], ..good.clone() };
    let (_, request) = key_and_request("web-3");
    let mut refused = 0;
    let said = loop {
        let (status, problem) = registry.enrol(&guessed, "web-3", &request).await;
        match status {
            401 if refused < 100 => refused += 1,
            _ => break problem,
        }
    };
    assert_eq!((said["status"].as_u64(), text(&said, "code")), (Some(429), "too_often"), "after {refused}: {said}");
    assert!(refused >= 30, "{refused} may guess at first");
    assert!(text(&said, "detail").contains("try again in "), "{said}");
    assert_eq!(registry.enrol(&good, "web-3", &request).await.0, 429, "nothing of it is read");
    // What is public is told to everybody.
    assert_eq!(registry.client.get(registry.url("/ca")).send().await.expect("an answer").status(), 200);
    registry.handle.stop().await;
    world.broker.stop().await;
}

/// A roll-out: hosts behind one address, one token for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_hosts_as_a_token_has_uses_enrol_from_one_address_without_waiting() {
    const HOSTS: u32 = 200;
    let world = World::new().await;
    let registry = Arc::new(Registry::beside(&world).await);
    let token = registry.token(HOSTS, hour());
    let mut hosts = tokio::task::JoinSet::new();
    for number in 0..HOSTS {
        let (registry, token) = (Arc::clone(&registry), token.clone());
        hosts.spawn(async move {
            let name = format!("web-{number}");
            let (_, request) = key_and_request(&name);
            let (status, answer) = registry.enrol(&token, &name, &request).await;
            assert_eq!((status, text(&answer, "name")), (200, name.as_str()), "{answer}");
        });
    }
    while let Some(enrolled) = hosts.join_next().await {
        enrolled.expect("it was granted");
    }
    assert_eq!(registry.told().len(), HOSTS as usize);
    // One more than it was made for is no guess either: it is told why, however often it asks.
    for _ in 0..40 {
        let (_, request) = key_and_request("web-late");
        let (status, problem) = registry.enrol(&token, "web-late", &request).await;
        assert_eq!((status, text(&problem, "code")), (403, "token_used_up"), "{problem}");
    }
    let registry = Arc::into_inner(registry).expect("no host holds it any more");
    registry.handle.stop().await;
    world.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_by_its_holder_alone_and_while_it_is_in_force() {
    let world = World::new().await;
    let registry = Registry::beside(&world).await;
    let (key, request) = key_and_request("web-3");
    let (_, enrolled) = registry.enrol(&registry.token(1, hour()), "web-3", &request).await;
    let old = text(&enrolled, "certificate_pem");
    let serial = registry.told()[0].serial.clone();

    // Whoever has seen the certificate has not its key.
    let (new_key, new_request) = key_and_request("web-3");
    let (status, problem) = registry.renew(old, &new_key, &new_request).await;
    assert_eq!((status, text(&problem, "code")), (403, "signature_invalid"), "{problem}");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let stranger = host_of(&Ca::open(elsewhere.path(), now()).expect("another CA"), "web-3");
    let (status, problem) = registry.renew(&stranger.certificate, &stranger.key, &new_request).await;
    assert_eq!((status, text(&problem, "code")), (403, "certificate_invalid"), "{problem}");
    let (status, problem) = registry.post_to("/renew", r#"{"certificate": "§", "csr_pem": "", "signature": ""}"#).await;
    assert_eq!((status, text(&problem, "code")), (400, "malformed"), "{problem}");

    // Its holder gets one under the same name, whatever the request asks for, and the desk learns of it once.
    let (new_key, new_request) = key_and_request("web-1");
    let (status, renewed) = registry.renew(old, &key, &new_request).await;
    assert_eq!((status, text(&renewed, "name")), (200, "web-3"), "{renewed}");
    let new = text(&renewed, "certificate_pem");
    let told = registry.told();
    let learnt: Vec<AgentEvent> = told[1].changes().into_iter().map(|change| change.what).collect();
    assert_eq!(learnt, [AgentEvent::Renewed { serial: told[1].serial.clone(), before: serial }]);
    assert_eq!(told[1].labels, told[0].labels);

    // The answer was lost: the same request gets the same certificate; another one gets none from the old certificate.
    assert_eq!(text(&registry.renew(old, &key, &new_request).await.1, "certificate_pem"), new);
    let (_, another) = key_and_request("web-3");
    let (status, problem) = registry.renew(old, &key, &another).await;
    assert_eq!((status, text(&problem, "code")), (403, "certificate_not_in_force"), "{problem}");

    // What is revoked is not renewed.
    let mut store = registry.database.writer().expect("a connection");
    writing(store.as_mut(), |tx| certificates::revoke(tx, "web-3", "token:1", "stolen", now())).expect("written");
    let (status, problem) = registry.renew(new, &new_key, &another).await;
    assert_eq!((status, text(&problem, "code")), (403, "certificate_not_in_force"), "{problem}");
    assert!(text(&problem, "detail").contains("enrol again"), "{problem}");
    let (status, _) = registry.renew(old, &key, &new_request).await;
    assert_eq!(status, 403, "nor is its answer said again");
    registry.handle.stop().await;
    world.broker.stop().await;
}
