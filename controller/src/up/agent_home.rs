//! What the agent beside the controller runs by: its settings, and what may be done to this host.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::access::private_file;

/// The agent's files below the data directory.
pub struct AgentHome(pub PathBuf);

impl AgentHome {
    pub fn new(data: &Path) -> Self {
        Self(data.join("agent"))
    }

    pub fn config(&self) -> PathBuf {
        self.0.join("agent.yaml")
    }

    fn policy(&self) -> PathBuf {
        self.0.join("policy.yaml")
    }

    /// Where the helper that acts keeps what it has done.
    pub fn act_state(&self) -> PathBuf {
        self.0.join("act")
    }

    fn act_socket(&self) -> PathBuf {
        self.0.join("act.sock")
    }

    /// The certificate: there once the host is enrolled.
    pub fn identity(&self) -> PathBuf {
        self.0.join("state/identity/cert.pem")
    }

    /// The command line of the helper that acts.
    pub fn act_arguments(&self) -> Vec<std::ffi::OsString> {
        let pairs = [("--socket", self.act_socket()), ("--state", self.act_state()), ("--policy", self.policy())];
        pairs.into_iter().flat_map(|(name, path)| [name.into(), path.into_os_string()]).collect()
    }

    /// Writes what is not there yet; what an operator changed stays.
    ///
    /// # Errors
    /// A folder or file cannot be written, or its path is too long for a socket.
    pub fn prepare(&self) -> anyhow::Result<()> {
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
