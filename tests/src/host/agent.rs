//! The agent on a host, as an operator installs it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Host;
use crate::built::repository;

impl Host {
    /// Installs the agent's package, enrols the host under its own name, and starts the services.
    pub fn install_agent(&self, enrolment_token: &str) -> Result<()> {
        self.install_deb(&package()?)?;
        self.write("/root/token", enrolment_token)?;
        self.run(["watchkeep-agent", "enroll", "--token-file", "/root/token"])?;
        self.run(["systemctl", "enable", "--now", "watchkeep-act.socket", "watchkeep-agent.service"])?;
        Ok(())
    }
}

/// The agent's Debian package, as `make package` leaves it.
fn package() -> Result<PathBuf> {
    let script = repository().join("packaging/build-deb");
    let output = Command::new(&script).arg("--where").output().with_context(|| format!("run {}", script.display()))?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    ensure!(path.is_file(), "{} is not built; `make package` does it", path.display());
    Ok(path)
}
