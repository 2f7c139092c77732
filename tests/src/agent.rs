//! The built agent and its privileged helper on this machine, with folders of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use watchkeep_protocol::Event;

use crate::built;
use crate::controller::Controller;
use crate::process::Process;
use crate::wait;

/// `watchkeep-agent run` with `watchkeep-act`; several run beside each other.
pub struct Agent {
    name: String,
    // Before the folder: what runs in it ends first.
    agent: Option<Process>,
    act: Option<Process>,
    folder: TempDir,
}

impl Agent {
    /// Enrols an agent of this name, starts it with its helper, and waits until the controller knows that it is there.
    /// `policy` is what the helper may do.
    pub fn start(name: &str, controller: &Controller, policy: &str) -> Result<Self> {
        let mut agent = Self::enrolled(name, controller)?;
        agent.write("policy.yaml", policy)?;
        agent.run()?;
        agent.await_connected(controller)?;
        Ok(agent)
    }

    /// Enrols an agent of this name and starts nothing.
    pub fn enrolled(name: &str, controller: &Controller) -> Result<Self> {
        Self::enrolled_with(name, &controller.enrolment_token()?)
    }

    /// The same with a token that came from elsewhere.
    pub fn enrolled_with(name: &str, token: &str) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("watchkeep-agent-").tempdir().context("make the agent's folder")?;
        let agent = Self { name: name.to_owned(), agent: None, act: None, folder };
        agent.write("agent.yaml", &agent.config())?;
        agent.enrol(token)?;
        Ok(agent)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder with its state, spool and configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Key, certificate and CA as PEM files.
    pub fn identity(&self) -> PathBuf {
        self.state().join("identity")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn act_socket(&self) -> PathBuf {
        self.folder.path().join("act.sock")
    }

    /// Starts both programs.
    pub fn run(&mut self) -> Result<()> {
        self.run_act()?;
        self.run_agent()
    }

    pub fn run_act(&mut self) -> Result<()> {
        let mut command = Command::new(built::program("watchkeep-act")?);
        command.arg("--socket").arg(self.act_socket()).arg("--state").arg(self.folder.path().join("act"));
        command.arg("--policy").arg(self.folder.path().join("policy.yaml"));
        self.act = Some(Process::start("act", &mut command, self.folder.path().join("act.log"))?);
        let socket = self.act_socket();
        wait::until(Duration::from_secs(10), "act's socket", || {
            self.act.as_mut().context("it was just started")?.ensure_runs()?;
            ensure!(socket.exists(), "{} is not there", socket.display());
            Ok(())
        })
    }

    pub fn run_agent(&mut self) -> Result<()> {
        let mut command = self.command(&["run"])?;
        self.agent = Some(Process::start("the agent", &mut command, self.folder.path().join("agent.log"))?);
        Ok(())
    }

    /// SIGKILL of the agent; the helper stays.
    pub fn kill_agent(&mut self) -> Result<()> {
        self.agent.take().context("the agent does not run")?.kill()
    }

    /// SIGKILL of the helper; the agent stays.
    pub fn kill_act(&mut self) -> Result<()> {
        self.act.take().context("act does not run")?.kill()
    }

    /// Ctrl-C for the agent; the helper stays.
    pub fn stop_agent(&mut self) -> Result<()> {
        self.agent.take().context("the agent does not run")?.interrupt(Duration::from_secs(20))?;
        Ok(())
    }

    pub fn process(&self) -> &Process {
        self.agent.as_ref().expect("the test starts the agent before it asks for its process")
    }

    /// Hands the running agent an event.
    pub fn send_event(&self, kind: &str, labels: &[(&str, &str)]) -> Result<()> {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut args = vec!["event", "send", kind];
        args.extend(labels.iter().flat_map(|label| ["--label", label]));
        let output = self.command(&args)?.output().context("run watchkeep-agent event send")?;
        ensure_success("event send", &output)
    }

    /// The same without a program between, for events by the thousand; returns the number of its matter.
    pub fn send_directly(&self, kind: &str, labels: &[(&str, &str)]) -> Result<u64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let labels = labels.chain([("kind".to_owned(), kind.to_owned())]).collect();
        let event = Event { labels, text: String::new() };
        watchkeep_agent::event::send(&self.folder.path().join("events.sock"), &event).context("hand the agent an event")
    }

    /// The built agent's command line with this agent's configuration.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(built::program("watchkeep-agent")?);
        command.arg("--config").arg(self.folder.path().join("agent.yaml")).args(args);
        Ok(command)
    }

    /// Waits until the controller knows that this agent is there; says its log where it does not come.
    pub fn await_connected(&mut self, controller: &Controller) -> Result<()> {
        self.agent.as_mut().context("the agent does not run")?.ensure_runs()?;
        controller.await_agent(&self.name).with_context(|| format!("the agent's log:\n{}", self.log()))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let path = self.folder.path().join(path);
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))
    }

    fn enrol(&self, token: &str) -> Result<()> {
        self.write("token", token)?;
        let token = self.folder.path().join("token");
        let act = self.folder.path().join("act");
        let mut command = self.command(&["enroll", "--name", &self.name, "--token-file"])?;
        let output = command.arg(token).arg("--act-state").arg(act).output().context("run watchkeep-agent enroll")?;
        ensure_success("enroll", &output)
    }

    fn config(&self) -> String {
        let at = self.folder.path().display();
        format!(
            "interval: 1s\npaths: {{state: {at}/state}}\nevents: {{socket: {at}/events.sock}}\nact: {{socket: {at}/act.sock}}\n"
        )
    }
}

fn ensure_success(what: &str, output: &Output) -> Result<()> {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "watchkeep-agent {what}: {}\n{said}{complained}", output.status);
    Ok(())
}
