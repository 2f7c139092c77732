//! `watchkeep-fleetsim`, running beside a test.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::process::Process;
use crate::{Controller, built};

/// Every host says goodbye within this.
const STOP_BOUND: Duration = Duration::from_secs(20);

/// The running program; it is killed where it is dropped without [`Fleet::stop`].
pub struct Fleet {
    // Before the folder: what runs in it ends first.
    process: Process,
    _folder: TempDir,
}

impl Fleet {
    /// So many hosts enrol with `controller` and live as `options` of the program say.
    pub fn start(controller: &Controller, agents: usize, options: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("watchkeep-fleet-").tempdir()?;
        let token = folder.path().join("token");
        std::fs::write(&token, controller.ask(&["agent", "token", "create", "--uses", &agents.to_string()])?)?;
        let mut command = Command::new(built::program("watchkeep-fleetsim")?);
        command.arg("--token-file").arg(&token).arg("--folder").arg(folder.path().join("hosts"));
        command.args(["--agents", &agents.to_string()]).args(options);
        let process = Process::start("the fleet", &mut command, folder.path().join("fleet.log"))?;
        Ok(Self { process, _folder: folder })
    }

    /// An error where it has ended, with what it said last.
    pub fn ensure_runs(&mut self) -> Result<()> {
        self.process.ensure_runs()
    }

    /// Lets every host say goodbye, and gives what the program said.
    pub fn stop(mut self) -> Result<String> {
        let status = self.process.interrupt(STOP_BOUND)?;
        let said = self.process.log();
        ensure!(status.success(), "the fleet ended with {status}: {said}");
        Ok(said)
    }
}
