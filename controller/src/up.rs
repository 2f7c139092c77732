//! `watchkeep up`: a controller and an agent for this host, from one data directory.
//!
//! The agent is the ordinary one, enrolled with a token of its own, with the helper that acts beside it. Both are children of
//! this process and end with it; one that ends by itself is started again. What the helper may do stands in
//! `agent/policy.yaml`: one harmless command for the demonstration, and nothing else until the operator writes it there.

mod agent_home;
mod children;
mod place;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::sync::watch;

use crate::access::enrolment_tokens::{self, NewToken};
use crate::access::people::{self, NewPerson};
use crate::access::roles::Role;
use crate::access::{private_file, random, sessions};
use crate::api::users::link_path;
use crate::cli::context::{self, ContextFile};
use crate::controller::{self, Controller, DataDir, Options};
use crate::core::clock;
use agent_home::AgentHome;
use children::Kept;
use place::{Place, Standing};

/// `watchkeep.yaml` of a new data directory. Without its hash each line of an example is taken as it stands.
const SETTINGS: &str = "\
# What this controller runs by. Take changes up with: watchkeep reload
packs:
  - use: linux-host         # disks that fill, memory, processors, network, clock, reboots
#     overrides: {FilesystemFillingUp: {for: 10m}, HostHighCpu: {for: 30m}}
  - use: systemd            # a unit failed: restart it, and see it stay up
  - use: demonstration      # watchkeep-agent event send demonstration
# \"overrides\" changes single figures of a pack's rules. Rules and runbooks of your own are files in rules/ and runbooks/
# beside this one; look at them first with: watchkeep rules check FILE

# Pages, signed with a secret that lies beside this file (README, \"Pages\"); then: watchkeep notice test pager
# notify:
#   - webhook: {name: pager, url: \"https://pager.example/hook\", secret_file: webhook.secret}

# How long records are kept (the values that hold where nothing is said):
# retention: {samples: 15d, events: 30d, inputs: 30d, output: 90d, notices: 90d, facts: 3y}

# Where people reach this controller, for the texts of alerts ($externalURL, $externalLabels):
# external_url: https://watch.example.com
# external_labels: {site: home}
";

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
    let context = own_context(controller)?;
    let place = match context::path() {
        Some(path) => Some(Place::take(&path, context, home.config(), &controller.state.http).await?),
        None => None,
    };
    let lived = with_children(controller, &home, &programs, place.as_ref()).await;
    place.map_or(Ok(()), Place::give_back).and(lived)
}

/// How the command line finds this controller, which stands in its data directory as well.
fn own_context(controller: &Controller) -> anyhow::Result<ContextFile> {
    let url = format!("http://{}", controller.addresses.http);
    let context = ContextFile { url, token_file: controller.data.token() };
    let path = context_of(&controller.data);
    context.write(&path).with_context(|| format!("write \"{}\"", path.display()))?;
    Ok(context)
}

fn context_of(data: &DataDir) -> PathBuf {
    data.0.join("context.yaml")
}

/// Starts the agent and its helper, keeps them running, and ends them with the controller.
async fn with_children(
    controller: &Controller,
    home: &AgentHome,
    programs: &Programs,
    place: Option<&Place>,
) -> anyhow::Result<()> {
    let act = Kept::start("watchkeep-act", act_command(&programs.act, home))?;
    let agent = Kept::start("watchkeep-agent", agent_command(&programs.agent, home))?;
    let (stop, stopping) = watch::channel(false);
    let kept = [tokio::spawn(act.keep(stopping.clone())), tokio::spawn(agent.keep(stopping))];
    announce(controller, home, place, &login_link(controller).await?);
    let ended = tokio::select! {
        stopped = controller::stop_signal() => stopped,
        broken = controller.broken() => Err(broken),
    };
    // Nobody listens any more where both stay down.
    let _ = stop.send(true);
    for child in kept {
        child.await.context("keep a child")?;
    }
    ended
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
fn agent_command(program: &Path, home: &AgentHome) -> Command {
    let mut command = Command::new(program);
    command.env("MALLOC_ARENA_MAX", "1").arg("--config").arg(home.config()).arg("run");
    command
}

fn act_command(program: &Path, home: &AgentHome) -> Command {
    let mut command = Command::new(program);
    command.args(home.act_arguments());
    command
}

fn on_path(folder: &Path) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|known| known == folder))
}

/// The administrator whom the first start adds, so that somebody can log in.
const FIRST_USER: &str = "admin";

/// A link that logs in to the console once: as the first administrator, who is added where there is nobody.
async fn login_link(controller: &Controller) -> anyhow::Result<String> {
    let (state, now) = (&controller.state, clock::now().0);
    let (new_id, drawn) = (crate::access::hex(&random::<6>()), random());
    let made = state.write(move |tx| {
        if people::list(tx, "", false, 1)?.is_empty() {
            let (id, name, created_by) = (new_id.clone(), FIRST_USER.to_owned(), "controller".to_owned());
            people::add(tx, &NewPerson { id, name, role: Role::Admin, password: None, created_by }, now)?;
        }
        // Whoever renamed or removed that one knows their own way in.
        let Some(person) = people::find(tx, FIRST_USER)?.filter(|person| person.role == Role::Admin) else {
            return Ok(None);
        };
        sessions::link(tx, &person.id, drawn, now).map(Some)
    });
    let secret = made.await.map_err(|problem| anyhow::anyhow!("make a link to log in with: {}", problem.detail))?;
    let path = secret.map_or_else(|| "/".to_owned(), |secret| link_path(&secret));
    Ok(format!("http://{}{path}", controller.addresses.http))
}

fn announce(controller: &Controller, home: &AgentHome, place: Option<&Place>, console: &str) {
    println!();
    println!("Watchkeep keeps watch at http://{}", controller.addresses.http);
    println!("  console   {console}");
    println!("            logs in once, within an hour; another: watchkeep user link {FIRST_USER}");
    println!("  token     {}", controller.data.token().display());
    println!("  agents    enrol at {}, report to {}", controller.state.enrol_url, controller.addresses.mqtt);
    println!("  data      {}", controller.data.0.display());
    if let Ok(own) = std::env::current_exe()
        && let Some(folder) = own.parent()
        && !on_path(folder)
    {
        println!("  programs  {}: export PATH=\"{}:$PATH\"", folder.display(), folder.display());
    }
    print!("{}", found(place, &context_of(&controller.data), &home.config()));
    println!();
    println!("Three things to try, in another terminal:");
    println!("  1. watchkeep-agent event send demonstration");
    println!("     then: watchkeep incident list   and: watchkeep why INC-1");
    println!("  2. watchkeep ci list --class listening_endpoint      what listens on this host");
    println!("  3. watchkeep watch      the ledger as it grows");
    println!();
    println!("Ctrl-C stops all of it; a second \"up\" goes on from the same data.");
}

/// How the command line finds this controller.
fn found(place: Option<&Place>, own: &Path, agent: &Path) -> String {
    let exports = format!(
        "              export WATCHKEEP_CONTEXT={}\n              export WATCHKEEP_AGENT_CONFIG={}\n",
        own.display(),
        agent.display()
    );
    let Some(place) = place else {
        return format!("  context   neither XDG_CONFIG_HOME nor HOME is set; in the other terminal:\n{exports}");
    };
    let path = place.path().display();
    match place.standing() {
        Standing::Ours => format!("  context   {path} (the command line finds this controller by it)\n"),
        Standing::Instead { of, .. } => {
            format!("  context   {path} (it named {}, which does not answer; put back at the end)\n", of.url)
        }
        Standing::Theirs { url } => format!(
            "  context   {path} stays with {url}, which runs.\n            To reach this controller, in the other terminal first:\n{exports}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::generation::{Generation, SETTINGS_FILE};

    /// The line without its hash, where it is an example and not a sentence.
    fn taken(line: &str) -> &str {
        let example = line.strip_prefix("# ").filter(|rest| {
            let first = rest.split_whitespace().next().unwrap_or_default();
            first == "-" || first.ends_with(':')
        });
        example.unwrap_or(line)
    }

    #[test]
    fn every_example_of_the_first_settings_is_taken_as_it_stands() {
        let shown: String = SETTINGS.lines().map(|line| format!("{}\n", taken(line))).collect();
        let check = |text: &str| {
            Generation::check(BTreeMap::from([(SETTINGS_FILE.to_owned(), text.to_owned())]))
                .unwrap_or_else(|faults| panic!("{faults}\n{text}"))
        };
        assert!(check(SETTINGS).channels().is_empty());
        let all = check(&shown);
        assert_eq!(all.channels(), ["pager"]);
        assert_eq!(all.installation.external_url, "https://watch.example.com");
        let (plain, changed) = (check(SETTINGS).config.rules, all.config.rules);
        let filling = |book: &watchkeep_rules::model::RuleBook| {
            book.alert_rules.iter().find(|rule| rule.name == "FilesystemFillingUp").map(|rule| rule.hold)
        };
        assert_ne!(filling(&plain), filling(&changed), "the override changes the rule");
    }
}
