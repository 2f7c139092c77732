//! A real Prometheus beside the controller.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::world::{Caller, PATIENCE};

/// It ends with the test, however that ends.
pub struct Prometheus {
    pub caller: Caller,
    /// `host:port`.
    pub address: String,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Gone already or now; either is what is wanted here.
        let _killed = self.process.kill();
        let _reaped = self.process.wait();
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
        let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = format!("127.0.0.1:{}", listener.expect("a free port").port());
        let config = config(&address);
        for (name, text) in files.iter().copied().chain([("prometheus.yml", config.as_str())]) {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}")).args(flags);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("prometheus is installed; `make test` as root does it");
        let caller = Caller { url: format!("http://{address}"), token: None, ..own.clone() };
        let started = Self { caller, address, process, _folder: folder };
        started.is_ready().await;
        started
    }

    async fn is_ready(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let asked = self.caller.http.get(format!("{}/-/ready", self.caller.url)).send().await;
            if asked.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(Instant::now() < until, "Prometheus is ready on {}: {asked:?}", self.address);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
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
