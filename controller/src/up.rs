//! `watchkeep up`: a controller and an agent for this host, from one data directory.
//!
//! The agent is the ordinary one, enrolled with a token of its own, with the helper that acts beside it. Both are children of
//! this process and end with it. What the helper may do stands in `agent/policy.yaml`: one harmless command for the
//! demonstration, and nothing else until the operator writes it there.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use crate::access::enrolment_tokens::{self, NewToken};
use crate::access::{private_file, random};
use crate::cli::context::{self, ContextFile};
use crate::controller::{self, Controller, DataDir, Options};
use crate::core::clock;

/// `watchkeep.yaml` of a new data directory.
const SETTINGS: &str = "\
# What this controller runs by. Take changes up with: watchkeep reload
packs:
  - use: linux-host         # disks that fill, memory, processors, network, clock, reboots
  - use: systemd            # a unit failed: restart it, and see it stay up
  - use: demonstration      # watchkeep-agent event send demonstration

# Pages, signed with a shared secret that lies beside this file; then: watchkeep notice test pager
# notify:
#   - webhook: {name: pager, url: \"https://pager.example/hook\", secret_file: webhook.secret}

# How long records are kept (the values that hold where nothing is said):
# retention: {samples: 15d, events: 30d, inputs: 30d, output: 90d, notices: 90d, facts: 3y}

# Where people reach this controller, for the texts of alerts ($externalURL, $externalLabels):
# external_url: https://watch.example.com
# external_labels: {site: home}
";

/// How long a child may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// `$XDG_DATA_HOME/watchkeep`, or `~/.local/share/watchkeep`.
pub fn default_data() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    Ok(base.context("neither XDG_DATA_HOME nor HOME is set; say where with --data DIR")?.join("watchkeep"))
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(live(options))
}

async fn live(options: Options) -> anyhow::Result<()> {
    controller::start_logging();
    let data = DataDir::make(&options.data).with_context(|| format!("make \"{}\"", options.data.display()))?;
    first_settings(&data.config())?;
    let controller = Controller::start(options).await?;
    // From here on an error must not leave anything running.
    let lived = beside(&controller).await;
    println!("\nStopping.");
    controller.stop().await;
    lived
}

/// The agent beside the controller, and waiting for the end.
async fn beside(controller: &Controller) -> anyhow::Result<()> {
    let home = AgentHome::new(&controller.data.0);
    let programs = Programs::find()?;
    home.prepare()?;
    if !home.identity().exists() {
        enrol(controller, &home, &programs).await?;
    }
    let url = format!("http://{}", controller.addresses.http);
    let context = context::path();
    if let Some(path) = &context {
        let file = ContextFile { url: url.clone(), token_file: controller.data.token() };
        file.write(path).with_context(|| format!("write \"{}\"", path.display()))?;
        point_at(&home.config(), &path.with_file_name("agent.yaml"))?;
    }
    let mut act = spawn(Command::new(&programs.act).args(home.act_arguments()), "watchkeep-act")?;
    let mut agent =
        spawn(agent_command(&programs.agent).arg("--config").arg(home.config()).arg("run"), "watchkeep-agent")?;
    announce(controller, &url, context.as_deref());
    let ended = tokio::select! {
        stopped = controller::stop_signal() => stopped,
        broken = controller.broken() => Err(broken),
        ended = agent.wait() => Err(anyhow::anyhow!("the agent ended by itself ({}); its log is above", status(ended))),
        ended = act.wait() => Err(anyhow::anyhow!("the helper that acts ended by itself ({}); its log is above", status(ended))),
    };
    end(&mut agent, "watchkeep-agent").await;
    end(&mut act, "watchkeep-act").await;
    ended
}

fn status(ended: std::io::Result<std::process::ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

fn first_settings(config: &Path) -> anyhow::Result<()> {
    let path = config.join(crate::generation::SETTINGS_FILE);
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(config).with_context(|| format!("make \"{}\"", config.display()))?;
    std::fs::write(&path, SETTINGS).with_context(|| format!("write \"{}\"", path.display()))
}

/// The programs of the agent, beside our own.
struct Programs {
    agent: PathBuf,
    act: PathBuf,
}

impl Programs {
    fn find() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("find this program's own path")?;
        let beside = |name: &str| {
            let path = own.with_file_name(name);
            if path.is_file() {
                return Ok(path);
            }
            bail!(
                "\"{}\" is not there; \"up\" starts the agent from beside its own program: build or install it there",
                path.display()
            )
        };
        Ok(Self { agent: beside("watchkeep-agent")?, act: beside("watchkeep-act")? })
    }
}

/// The agent's files below the data directory.
struct AgentHome(PathBuf);

impl AgentHome {
    fn new(data: &Path) -> Self {
        Self(data.join("agent"))
    }

    fn config(&self) -> PathBuf {
        self.0.join("agent.yaml")
    }

    fn policy(&self) -> PathBuf {
        self.0.join("policy.yaml")
    }

    fn act_state(&self) -> PathBuf {
        self.0.join("act")
    }

    fn act_socket(&self) -> PathBuf {
        self.0.join("act.sock")
    }

    fn identity(&self) -> PathBuf {
        self.0.join("state/identity/cert.pem")
    }

    fn act_arguments(&self) -> Vec<std::ffi::OsString> {
        let pairs = [("--socket", self.act_socket()), ("--state", self.act_state()), ("--policy", self.policy())];
        pairs.into_iter().flat_map(|(name, path)| [name.into(), path.into_os_string()]).collect()
    }

    /// Writes what is not there yet; what an operator changed stays.
    fn prepare(&self) -> anyhow::Result<()> {
        for folder in [self.0.clone(), self.0.join("state"), self.act_state()] {
            private_file::create_directory(&folder)?;
        }
        // A path of a unix socket has 107 bytes at most (unix(7)).
        if self.0.join("events.sock").as_os_str().len() > 107 {
            bail!("\"{}\" is too long a path for sockets; choose a shorter --data", self.0.display());
        }
        let config = format!(
            "# The agent that \"watchkeep up\" runs for this host.\n\
             interval: 5s\n\
             paths: {{state: {state}}}\n\
             events: {{socket: {events}}}\n\
             act: {{socket: {act}}}\n",
            state = quoted(&self.0.join("state"))?,
            events = quoted(&self.0.join("events.sock"))?,
            act = quoted(&self.act_socket())?,
        );
        write_new(&self.config(), &config)?;
        write_new(&self.policy(), &policy())
    }
}

/// The demonstration policy. Root hands the program to somebody who may nothing.
fn policy() -> String {
    let user = if is_root() { "user: nobody\n" } else { "" };
    format!(
        "# What may be done to this host. The controller cannot change it.\n\
         allow:\n\
         \x20 - run: {{argv: [/usr/bin/uname, -a]}}      # the demonstration\n\
         # To let a failed unit be restarted, as the systemd pack does:\n\
         #  - run: {{argv: [/usr/bin/journalctl, '*']}}\n\
         #  - service: {{name: '*.service', state: [started, restarted]}}\n\
         {user}"
    )
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A path as a YAML string.
fn quoted(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().with_context(|| format!("\"{}\" is no UTF-8; choose another --data", path.display()))?;
    Ok(serde_json::to_string(text)?)
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| format!("write \"{}\"", path.display()))
}

async fn enrol(controller: &Controller, home: &AgentHome, programs: &Programs) -> anyhow::Result<()> {
    let now = clock::now().0;
    let labels = std::collections::BTreeMap::new();
    let new = NewToken { labels, uses_max: 1, expires_at: now + 600_000, created_by: "controller".to_owned() };
    let state = &controller.state;
    let (drawn, fingerprint, url) = ((random(), random()), state.ca_fingerprint, state.enrol_url.clone());
    let token = state
        .write(move |tx| enrolment_tokens::create(tx, &new, drawn, (fingerprint, &url), now))
        .await
        .map_err(|problem| anyhow::anyhow!("make a token for the agent: {}", problem.detail))?;
    let file = home.0.join("token");
    private_file::write(&file, token.to_text().as_bytes())?;
    let mut command = Command::new(&programs.agent);
    command.arg("--config").arg(home.config()).arg("enroll").arg("--token-file").arg(&file);
    let enrolled = command.arg("--act-state").arg(home.act_state()).stdin(Stdio::null()).output().await;
    let removed = std::fs::remove_file(&file);
    let enrolled = enrolled.with_context(|| format!("run \"{}\"", programs.agent.display()))?;
    if !enrolled.status.success() {
        bail!("enrol this host: {}", String::from_utf8_lossy(&enrolled.stderr).trim());
    }
    removed.with_context(|| format!("remove \"{}\"", file.display()))
}

/// The agent with one heap for its few threads, as its unit runs it.
fn agent_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("MALLOC_ARENA_MAX", "1");
    command
}

/// Starts a child that ends with this process, in a group of its own: Ctrl-C reaches us alone, and we end it in order.
fn spawn(command: &mut Command, name: &str) -> anyhow::Result<Child> {
    let child = command.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn();
    child.with_context(|| format!("start {name}"))
}

/// Asks a child to end, and kills it where it does not.
async fn end(child: &mut Child, name: &str) {
    let Some(id) = child.id() else { return };
    // The standard library has no signal but kill; the program of that name is on every Debian host.
    let asked = Command::new("kill").arg(id.to_string()).status().await;
    if asked.is_ok_and(|asked| asked.success()) && tokio::time::timeout(END_WITHIN, child.wait()).await.is_ok() {
        return;
    }
    tracing::warn!(name, "did not end in time and is killed");
    if let Err(error) = child.kill().await {
        tracing::error!(name, %error, "cannot be killed");
    }
}

fn on_path(folder: &Path) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|known| known == folder))
}

/// Leaves a link to the agent's settings where its command line looks, so that `event send` needs no option.
fn point_at(config: &Path, link: &Path) -> anyhow::Result<()> {
    if std::fs::read_link(link).is_ok_and(|known| known == config) {
        return Ok(());
    }
    if link.is_symlink() {
        std::fs::remove_file(link).with_context(|| format!("remove \"{}\"", link.display()))?;
    }
    if link.exists() {
        tracing::warn!(file = %link.display(), "is a file of yours and stays; name the agent's with --config");
        return Ok(());
    }
    std::os::unix::fs::symlink(config, link).with_context(|| format!("link \"{}\"", link.display()))
}

fn announce(controller: &Controller, url: &str, context: Option<&Path>) {
    println!();
    println!("Watchkeep keeps watch at {url}");
    println!("  token     {}", controller.data.token().display());
    println!("  agents    enrol at {}, report to {}", controller.state.enrol_url, controller.addresses.mqtt);
    println!("  data      {}", controller.data.0.display());
    if let Some(context) = context {
        println!("  context   {} (the command line finds this controller by it)", context.display());
    }
    if let Ok(own) = std::env::current_exe()
        && let Some(folder) = own.parent()
        && !on_path(folder)
    {
        println!("  programs  {}: export PATH=\"{}:$PATH\"", folder.display(), folder.display());
    }
    println!();
    println!("Three things to try, in another terminal:");
    println!("  1. watchkeep-agent event send demonstration");
    println!("     then: watchkeep incident list   and: watchkeep why INC-1");
    println!("  2. watchkeep ci list --class listening_endpoint      what listens on this host");
    println!("  3. watchkeep watch      the ledger as it grows");
    println!();
    println!("Ctrl-C stops all of it; a second \"up\" goes on from the same data.");
}
