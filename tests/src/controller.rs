//! The built controller, with data and ports of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::built;
use crate::process::Process;
use crate::wait;

const READY_BOUND: Duration = Duration::from_secs(30);
const AGENT_BOUND: Duration = Duration::from_secs(30);
const STOP_BOUND: Duration = Duration::from_secs(20);
const ANSWER_BOUND: Duration = Duration::from_secs(30);

/// What a controller is started with, beyond the defaults.
pub struct Setup {
    /// Where agents reach it; loopback, or this machine's end of a test host's link.
    pub address: IpAddr,
    /// A PostgreSQL address; SQLite without it.
    pub database: Option<String>,
    /// The broker of another make that it reaches agents through; its own without it.
    pub broker: Option<SocketAddr>,
    /// How long agents' certificates live, as `10s`; the controller's default without it.
    pub certificate_life: Option<String>,
    /// Path below the configuration directory → content.
    pub files: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            database: None,
            broker: None,
            certificate_life: None,
            files: Vec::new(),
        }
    }
}

/// `watchkeep serve`, which can be killed and started again over the same data and ports.
pub struct Controller {
    // Before the folder: what runs in it ends first.
    process: Option<Process>,
    folder: TempDir,
    setup: Setup,
    http: SocketAddr,
    mqtt: SocketAddr,
    enrol: SocketAddr,
}

impl Controller {
    /// Starts a controller and waits until it is ready.
    pub fn start(setup: Setup) -> Result<Self> {
        let mut controller = Self::prepare(setup)?;
        controller.run()?;
        Ok(controller)
    }

    /// A controller that was never started, with its folder and ports.
    pub fn prepare(setup: Setup) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("watchkeep-controller-").tempdir().context("make a data folder")?;
        let (http, mqtt, enrol) =
            (free_port(Ipv4Addr::LOCALHOST.into())?, free_port(setup.address)?, free_port(setup.address)?);
        let controller = Self { folder, setup, http, mqtt, enrol, process: None };
        for (path, content) in &controller.setup.files {
            controller.configure(path, content)?;
        }
        Ok(controller)
    }

    /// Starts again what `kill` or `stop` ended.
    pub fn run(&mut self) -> Result<()> {
        self.run_with(&[])
    }

    /// The same with further arguments.
    pub fn run_with(&mut self, args: &[&str]) -> Result<()> {
        let mut command = self.command(args)?;
        self.process = Some(Process::start("the controller", &mut command, self.folder.path().join("controller.log"))?);
        self.await_ready()
    }

    /// `watchkeep serve` as it is run here, with further arguments.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(built::program("watchkeep")?);
        command.args(["serve", "--data"]).arg(self.data());
        for (flag, address) in [("--listen", self.http), ("--enrol-listen", self.enrol)] {
            command.args([flag, &address.to_string()]);
        }
        match self.setup.broker {
            Some(broker) => command.args(["--broker", &format!("mqtts://{broker}")]),
            None => command.args(["--mqtt-listen", &self.mqtt.to_string()]),
        };
        command.args(["--name", &self.setup.address.to_string()]);
        if let Some(life) = &self.setup.certificate_life {
            command.args(["--agent-certificate-life", life]);
        }
        if let Some(database) = &self.setup.database {
            command.args(["--database", database]);
        }
        command.args(args);
        Ok(command)
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.as_mut().context("it was started")?.ended()
    }

    fn await_ready(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("it was just started")?;
        let http = self.http;
        wait::until(READY_BOUND, "the controller to be ready", || {
            process.ensure_runs()?;
            let (status, body) = get(http, "/readyz", None)?;
            ensure!(status == 200, "/readyz answers {status}: {body}");
            Ok(())
        })
        .with_context(|| format!("its log:\n{}", self.log()))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("the controller does not run")?.kill()
    }

    /// Ctrl-C, and the end that should follow.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the controller does not run")?;
        let status = process.interrupt(STOP_BOUND)?;
        ensure!(status.success(), "after SIGINT the controller ended with {status}; its log:\n{}", process.log());
        Ok(())
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where agents' MQTT arrives.
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the test starts the controller before it asks for its process")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("controller.log")).unwrap_or_default()
    }

    /// Writes a file of the configuration directory; a reload takes it up.
    pub fn configure(&self, path: &str, content: &str) -> Result<()> {
        let path = self.data().join("config").join(path);
        fs::create_dir_all(path.parent().context("it lies in the configuration directory")?)
            .context("make its folder")?;
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))
    }

    /// What it tells whoever scrapes it, in Prometheus's text format.
    pub fn metrics(&self) -> Result<String> {
        let (status, body) = get(self.http, "/metrics", Some(&self.token()?))?;
        ensure!(status == 200, "GET /metrics answers {status}: {body}");
        Ok(body)
    }

    /// `GET` of a path of the API; anything but 200 is an error with what was answered.
    pub fn api(&self, path: &str) -> Result<Value> {
        let (status, body) = get(self.http, path, Some(&self.token()?))?;
        ensure!(status == 200, "GET {path} answers {status}: {body}");
        serde_json::from_str(&body).with_context(|| format!("GET {path} answers no JSON: {body}"))
    }

    /// All items of a list of the API, page after page; `path` has no query but filters.
    pub fn all(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let page = self.api(&format!("{path}{sign}limit=500{cursor}"))?;
            items.extend(
                page["items"].as_array().with_context(|| format!("{path} is no list: {page}"))?.iter().cloned(),
            );
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Runs the operator's command line against this controller.
    pub fn cli(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(built::program("watchkeep")?);
        command.args(args).env("WATCHKEEP_URL", format!("http://{}", self.http)).env("WATCHKEEP_TOKEN", self.token()?);
        command.output().with_context(|| format!("run watchkeep {}", args.join(" ")))
    }

    /// The same, for a command that must succeed; its standard output.
    pub fn ask(&self, args: &[&str]) -> Result<String> {
        let output = self.cli(args)?;
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "watchkeep {}: {}\n{said}{complained}", args.join(" "), output.status);
        Ok(said.trim_end().to_owned())
    }

    /// Waits until the agent of this name is connected.
    pub fn await_agent(&self, name: &str) -> Result<()> {
        let path = format!("/api/v1/agents/{name}");
        wait::until(AGENT_BOUND, &format!("agent \"{name}\" to connect"), || {
            let agent = self.api(&path)?;
            ensure!(agent["session"].is_string() && agent["lost"].is_null(), "{agent}");
            Ok(())
        })
        .with_context(|| format!("the controller's log:\n{}", self.log()))
    }

    /// A token with which one host may enrol.
    pub fn enrolment_token(&self) -> Result<String> {
        self.ask(&["agent", "token", "create"])
    }

    /// The address of its API, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The token of who may do everything.
    ///
    /// # Errors
    /// The file that it wrote cannot be read.
    pub fn token(&self) -> Result<String> {
        let path = self.data().join("token");
        let token = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(token.trim().to_owned())
    }
}

/// One request and its answer: status and body.
fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Result<(u16, String)> {
    let mut connection =
        TcpStream::connect_timeout(&address, ANSWER_BOUND).with_context(|| format!("connect to {address}"))?;
    connection.set_read_timeout(Some(ANSWER_BOUND)).context("bound the reading")?;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    // HTTP/1.0: the answer comes in one piece and the connection ends with it.
    write!(connection, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{authorization}\r\n").context("ask")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).with_context(|| format!("read the answer to GET {path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("GET {path}: cut short: {answer:?}"))?;
    let Some(Ok(status)) = head.split(' ').nth(1).map(str::parse) else { bail!("GET {path}: no status in {head:?}") };
    Ok((status, body.to_owned()))
}

/// A port that is free now, below those that the kernel gives to clients, and not given to anybody else by this process.
pub fn free_port(address: IpAddr) -> Result<SocketAddr> {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests run in processes of their own; each begins elsewhere.
    let begin = (std::process::id() % 1000) as u16 * 10;
    for _ in 0..10_000 {
        let port = 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind((address, port)).is_ok() {
            return Ok((address, port).into());
        }
    }
    bail!("no port of {address} between 20000 and 30000 is free")
}
