//! Whom Watchkeep is measured beside: programs of Debian, each with a folder and a port of its own, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::controller::free_port;
use crate::process::Process;
use crate::wait;

/// A server that takes what is written to it, and answers questions about it.
pub struct Peer {
    pub name: &'static str,
    // Before the folder: what runs in it ends first.
    process: Process,
    folder: TempDir,
    address: SocketAddr,
    pub write: &'static str,
    pub query: &'static str,
}

impl Peer {
    /// Debian's Prometheus, which scrapes nothing.
    ///
    /// # Errors
    /// It is not installed, or did not start.
    pub fn prometheus() -> Result<Self> {
        Self::start("prometheus", ["/api/v1/write", "/api/v1/query"], |folder, address| {
            std::fs::write(folder.path().join("prometheus.yml"), "global: {}\n").context("write its settings")?;
            let mut command = Command::new("prometheus");
            command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
            command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
            command.arg(format!("--web.listen-address={address}")).arg("--web.enable-remote-write-receiver");
            Ok(command)
        })
    }

    /// The same, with rules once [`Peer::give_rules`] gives it some, whose alerts go to this Alertmanager.
    ///
    /// # Errors
    /// It is not installed, or did not start.
    pub fn prometheus_with_rules(alertmanager: &Self) -> Result<Self> {
        let settings = serde_json::json!({
            "global": {"evaluation_interval": format!("{}s", super::beside::EVALUATION.as_secs())},
            "rule_files": ["rules/*.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.address.to_string()]}]}]},
        });
        Self::start("prometheus", ["/api/v1/write", "/api/v1/query"], |folder, address| {
            // JSON is YAML.
            std::fs::write(folder.path().join("prometheus.yml"), settings.to_string()).context("write its settings")?;
            let mut command = Command::new("prometheus");
            command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
            command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
            command.arg(format!("--web.listen-address={address}"));
            command.args(["--web.enable-remote-write-receiver", "--web.enable-lifecycle"]);
            Ok(command)
        })
    }

    /// Writes a file of rules where it reads them when it is told to reload.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn give_rules(&self, rules: &str) -> Result<()> {
        let folder = self.folder.path().join("rules");
        std::fs::create_dir_all(&folder).context("make the folder of rules")?;
        std::fs::write(folder.join("usual.yaml"), rules).context("write the rules")
    }

    /// Debian's Alertmanager, which tells nobody.
    ///
    /// # Errors
    /// It is not installed, or did not start.
    pub fn alertmanager() -> Result<Self> {
        Self::start("prometheus-alertmanager", ["/api/v2/alerts", "/api/v2/alerts"], |folder, address| {
            let settings = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
            std::fs::write(folder.path().join("alertmanager.yml"), settings).context("write its settings")?;
            let mut command = Command::new("prometheus-alertmanager");
            command.arg(format!("--config.file={}", folder.path().join("alertmanager.yml").display()));
            command.arg(format!("--storage.path={}", folder.path().join("data").display()));
            command.arg(format!("--web.listen-address={address}")).arg("--cluster.listen-address=");
            Ok(command)
        })
    }

    /// Debian's VictoriaMetrics, a single node.
    ///
    /// # Errors
    /// It is not installed, or did not start.
    pub fn victoria_metrics() -> Result<Self> {
        Self::start("victoria-metrics", ["/api/v1/write", "/api/v1/query"], |folder, address| {
            let mut command = Command::new("victoria-metrics");
            command.arg(format!("-storageDataPath={}", folder.path().join("data").display()));
            command.arg(format!("-httpListenAddr={address}"));
            Ok(command)
        })
    }

    fn start(
        name: &'static str,
        [write, query]: [&'static str; 2],
        command: impl FnOnce(&TempDir, SocketAddr) -> Result<Command>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("watchkeep-bench-").tempdir().context("make a folder")?;
        let address = free_port(Ipv4Addr::LOCALHOST.into())?;
        let mut command = command(&folder, address)?;
        let mut process = Process::start(name, &mut command, folder.path().join("log"))
            .with_context(|| format!("`make bench` as root installs {name}"))?;
        wait::until(Duration::from_secs(60), &format!("{name} to listen"), || {
            process.ensure_runs()?;
            std::net::TcpStream::connect(address).map(drop).with_context(|| format!("connect to {address}"))
        })?;
        ensure!(process.ended()?.is_none(), "{name} ended: {}", process.log());
        Ok(Self { name, process, folder, address, write, query })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn process(&self) -> &Process {
        &self.process
    }
}
