//! A real Prometheus, Alertmanager or VictoriaMetrics beside the controller.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::world::{Caller, PATIENCE};

/// A server in a folder of its own; it ends with the test, however that ends.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already or now; either is what is wanted here.
        let _killed = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Server {
    /// Starts a program of this Debian package there.
    fn start(program: &str, folder: tempfile::TempDir, args: &[String]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn();
        let process = process.unwrap_or_else(|error| panic!("{program}: {error}; `make test` as root installs it"));
        Self { process, folder }
    }

    /// Waits until it says so at `path`.
    async fn is_ready(&self, caller: &Caller, path: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let asked = caller.http.get(format!("{}{path}", caller.url)).send().await;
            if asked.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(Instant::now() < until, "process {} is ready on {}: {asked:?}", self.process.id(), caller.url);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// An address of loopback that nobody listens at now.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    format!("127.0.0.1:{}", listener.expect("a free port").port())
}

pub struct Prometheus {
    pub caller: Caller,
    _server: Server,
}

pub struct Alertmanager {
    pub caller: Caller,
    _server: Server,
}

impl Alertmanager {
    pub async fn start(own: &Caller) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let address = free_address();
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, "route: {receiver: people}\nreceivers: [{name: people}]\n").expect("written");
        let args = [
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", folder.path().join("data").display()),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".to_owned(),
        ];
        let server = Server::start("prometheus-alertmanager", folder, &args);
        let caller = Caller { url: format!("http://{address}"), token: None, ..own.clone() };
        server.is_ready(&caller, "/-/ready").await;
        Self { caller, _server: server }
    }
}

impl Prometheus {
    /// Starts it in a folder with these files and flags, and waits until it answers; `config` is told its address and makes
    /// `prometheus.yml`.
    pub async fn start(
        own: &Caller,
        files: &[(&str, &str)],
        flags: &[&str],
        config: impl FnOnce(&str) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let address = free_address();
        let config = config(&address);
        for (name, text) in files.iter().copied().chain([("prometheus.yml", config.as_str())]) {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let own_flags = [
            format!("--config.file={}", folder.path().join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let args: Vec<String> = own_flags.into_iter().chain(flags.iter().map(|flag| (*flag).to_owned())).collect();
        let server = Server::start("prometheus", folder, &args);
        let caller = Caller { url: format!("http://{address}"), token: None, ..own.clone() };
        server.is_ready(&caller, "/-/ready").await;
        Self { caller, _server: server }
    }

    /// A job that scrapes itself five times a second.
    pub fn scrapes_itself(address: &str) -> String {
        format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 15s}}
scrape_configs: [{{job_name: own, static_configs: [{{targets: ['{address}']}}]}}]
"
        )
    }

    /// What has it write to the controller.
    pub fn writes_to(own: &Caller) -> String {
        format!(
            "remote_write:
  - url: {}/prometheus/api/v1/write
    authorization: {{credentials: {}}}
    queue_config: {{batch_send_deadline: 100ms}}
    metadata_config: {{send_interval: 1s}}
",
            own.url,
            own.token.as_deref().unwrap_or_default()
        )
    }
}

/// A single node that can be away for a while and come back with what it had.
pub struct VictoriaMetrics {
    pub caller: Caller,
    server: Server,
}

impl VictoriaMetrics {
    pub async fn start(own: &Caller) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        Self::start_at(own, &free_address(), folder).await
    }

    /// At this address, over what is in the folder.
    pub async fn start_at(own: &Caller, address: &str, folder: tempfile::TempDir) -> Self {
        let args = [
            format!("-storageDataPath={}", folder.path().join("data").display()),
            format!("-httpListenAddr={address}"),
            "-search.latencyOffset=0s".to_owned(),
            "-retentionPeriod=1y".to_owned(),
        ];
        let server = Server::start("victoria-metrics", folder, &args);
        let caller = Caller { url: format!("http://{address}"), token: None, ..own.clone() };
        server.is_ready(&caller, "/health").await;
        Self { caller, server }
    }

    /// Ends it as an operator does, so that all it took is on disk; its folder.
    pub fn stop(self) -> tempfile::TempDir {
        let Self { mut server, .. } = self;
        let sent = Command::new("kill").args(["-INT", &server.process.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        server.process.wait().expect("it can be waited for");
        std::mem::replace(&mut server.folder, tempfile::tempdir().expect("a folder for the test"))
    }
}
