//! The agent on a host, as an operator installs it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::Host;
use crate::built;

/// What a host allows so that its services can be mended: to restart them, and to read why they failed.
pub const MENDING: &str = "allow:
  - service: {name: '*.service', state: [started, restarted]}
  - run: {argv: [/usr/bin/journalctl, '*']}
user: watchkeep-run
";

impl Host {
    /// Installs the agent's package, says what may be done to the host, enrols it under its own name, and starts it.
    pub fn install_agent(&self, enrolment_token: &str, policy: &str) -> Result<()> {
        self.install_deb(&package()?)?;
        self.write("/etc/watchkeep/policy.yaml", policy)?;
        self.write("/root/token", enrolment_token)?;
        self.run(["watchkeep-agent", "enroll", "--token-file", "/root/token"])?;
        self.run(["systemctl", "start", "watchkeep-agent"])?;
        Ok(())
    }
}

impl Host {
    /// KiB of memory that the installed agent holds resident now (`VmRSS`).
    pub fn agent_resident_kib(&self) -> Result<u64> {
        let pid = self.run(["systemctl", "show", "--value", "--property=MainPID", "watchkeep-agent"])?;
        let status = self.run(["cat", &format!("/proc/{pid}/status")])?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the agent has no VmRSS")?;
        line.trim().trim_end_matches(" kB").parse().with_context(|| format!("read VmRSS of {line:?}"))
    }
}

/// The agent's Debian package, as `make package` leaves it.
fn package() -> Result<PathBuf> {
    let folder = built::target()?.join("debian");
    let begin = format!("watchkeep-agent_{}_", env!("CARGO_PKG_VERSION"));
    for entry in fs::read_dir(&folder).with_context(|| format!("look for the package in {}", folder.display()))? {
        let entry = entry.context("look for the package")?;
        if entry.file_name().to_string_lossy().starts_with(&begin) {
            return Ok(entry.path());
        }
    }
    bail!("{}/{begin}*.deb is not built; `make package` does it", folder.display())
}
