//! What the embedded broker costs: resident size when idle, and CPU time for each 100,000 publishes handed over.
//!
//!     cargo run --release -p watchkeep --example broker_load -- [MESSAGES] [BYTES] [AGENTS]
//!
//! The agents run in a process of their own, so that the broker's CPU time is the broker's alone. Linux only.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use prost::bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use watchkeep::access::ca::{Ca, CertificateRequest};
use watchkeep::access::random;
use watchkeep::fleet::broker::{Broker, BrokerConfig};
use watchkeep::fleet::gate::{Gate, Gone, Peer, PublishVerdict, Refusal, Suspicion};
use watchkeep_protocol::topic::{Kind, Topic};

/// Hands nothing over and counts.
#[derive(Default)]
struct Count(AtomicU64);

impl Gate for Count {
    fn connect(&self, _peer: &Peer) -> Result<(), Refusal> {
        Ok(())
    }

    fn connected(&self, _peer: &Peer) {}

    fn publish(&self, _client: &str, _topic: Topic, _payload: Bytes) -> PublishVerdict {
        self.0.fetch_add(1, Ordering::Relaxed);
        PublishVerdict::Taken
    }

    fn gone(&self, _peer: &Peer, _how: Gone) {}

    fn suspicious(&self, what: Suspicion) {
        eprintln!("{what:?}");
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let outcome = if arguments.first().is_some_and(|word| word == "agents") {
        agents(Path::new(&arguments[1]), number(2, 0) as u16, number(3, 1), number(4, 1), number(5, 1)).await
    } else {
        measure(number(0, 100_000), number(1, 2_048), number(2, 10)).await
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(messages: u64, bytes: u64, count: u64) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("watchkeep-broker-load-{}", std::process::id()));
    let now = chrono::Utc::now().timestamp_millis();
    let ca = Ca::open(&folder, now)?;
    for number in 0..count {
        let (name, key) = (format!("load-{number}"), KeyPair::generate()?);
        let request = CertificateParams::default().serialize_request(&key)?.pem()?;
        let issued = ca.sign_agent(&name, &CertificateRequest::parse(&request)?, random(), now)?;
        std::fs::write(folder.join(format!("{name}.pem")), issued.pem)?;
        std::fs::write(folder.join(format!("{name}-key.pem")), key.serialize_pem())?;
    }
    let before = resident_kib()?;
    let files = ca.server(&[], now)?;
    let gate = Arc::new(Count::default());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let (certificate, key) = (files.certificate, files.key);
    let config = BrokerConfig { listen, certificate, key, ca: files.ca, sessions_max: 100_000 };
    let broker = Broker::start(config, gate.clone()).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("idle: {} KiB resident, {} KiB more than before it started", resident_kib()?, resident_kib()? - before);

    let (cpu, begun) = (cpu_seconds()?, Instant::now());
    let port = broker.address().port().to_string();
    let each = messages.div_ceil(count);
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "agents",
            &folder.display().to_string(),
            &port,
            &count.to_string(),
            &each.to_string(),
            &bytes.to_string(),
        ])
        .spawn()?;
    let (wanted, deadline) = ((each + 1) * count, Instant::now() + Duration::from_secs(600));
    while gate.0.load(Ordering::Relaxed) < wanted && Instant::now() < deadline && child.try_wait()?.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (taken, spent, wall) = (gate.0.load(Ordering::Relaxed), cpu_seconds()? - cpu, begun.elapsed().as_secs_f64());
    println!(
        "{taken} of {wanted} publishes of {bytes} bytes by {count} agents: {:.2} s of CPU for each 100,000, {:.0} a second, \
         {} KiB resident",
        spent * 100_000.0 / taken.max(1) as f64,
        taken as f64 / wall,
        resident_kib()?
    );
    child.wait()?;
    broker.stop().await;
    std::fs::remove_dir_all(&folder).context("remove the certificates")
}

async fn agents(folder: &Path, port: u16, count: u64, each: u64, bytes: u64) -> anyhow::Result<()> {
    let mut running = tokio::task::JoinSet::new();
    for number in 0..count {
        let name = format!("load-{number}");
        let tls = tls(folder, &name)?;
        running.spawn(agent(name, port, tls, each, bytes));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

async fn agent(
    name: String,
    port: u16,
    tls: Arc<rustls::ClientConfig>,
    messages: u64,
    bytes: u64,
) -> anyhow::Result<()> {
    let mut options = MqttOptions::new(format!("{name}/0123456789abcdef"), ("127.0.0.1", port));
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    options.set_keep_alive(60).set_clean_start(true).set_outgoing_inflight_upper_limit(16);
    let (client, mut events) = AsyncClient::builder(options).capacity(256).build();
    let topic = Topic::new(name, Kind::Report).to_string();
    let publishing = tokio::spawn(async move {
        let payload = vec![7u8; bytes as usize];
        for _ in 0..messages {
            client.publish(topic.clone(), payload.clone(), PublishOptions::at_most_once()).await?;
        }
        // Its acknowledgement says that the broker has read all before it; a socket closed earlier may take them with it.
        let last = client.publish_tracked(topic, "last", PublishOptions::at_least_once()).await?;
        last.wait_completion_async().await?;
        client.disconnect().await?;
        anyhow::Ok(())
    });
    loop {
        match events.poll().await {
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) | Err(rumqttc::ConnectionError::RequestsDone) => break,
            Ok(Event::Incoming(Packet::Disconnect(packet))) => anyhow::bail!("thrown out: {packet:?}"),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
    publishing.await?
}

fn tls(folder: &Path, name: &str) -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca/ca.pem"))?)?;
    let chain = vec![CertificateDer::from_pem_file(folder.join(format!("{name}.pem")))?];
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}-key.pem")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(Arc::new(config))
}

fn resident_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS is in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// User and system time of this process; the kernel counts it in hundredths of a second.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, after) = stat.rsplit_once(')').context("the name ends in /proc/self/stat")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}
