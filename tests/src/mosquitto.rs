//! Debian's mosquitto with the files that we ship: `packaging/mosquitto/`, but for the port and the folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::built;
use crate::controller::{Controller, free_port};
use crate::process::Process;
use crate::wait;

/// The folder that the shipped configuration names.
const SHIPPED_FOLDER: &str = "/etc/mosquitto/watchkeep";
const SHIPPED_LISTENER: &str = "listener 8883\n";

pub struct Mosquitto {
    // Before the folder: what runs in it ends first.
    process: Option<Process>,
    folder: TempDir,
    address: SocketAddr,
}

impl Mosquitto {
    /// An address for one that is started later.
    pub fn address() -> Result<SocketAddr> {
        free_port(Ipv4Addr::LOCALHOST.into())
    }

    /// Starts it at `address` with a certificate of this controller's CA.
    pub fn start(controller: &Controller, address: SocketAddr) -> Result<Self> {
        let acl = shipped("watchkeep.acl")?;
        Self::with_acl(controller, address, &acl)
    }

    /// The same with another ACL: whose broker it is makes the rules.
    pub fn with_acl(controller: &Controller, address: SocketAddr, acl: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("watchkeep-mosquitto-").tempdir().context("make a folder")?;
        let data = controller.data();
        let (at, data) = (folder.path().display().to_string(), data.display().to_string());
        let name = address.ip().to_string();
        controller.ask(&["broker", "certificate", "--data", &data, "--name", &name, "--out", &at])?;
        let shipped = shipped("watchkeep.conf")?;
        ensure!(shipped.contains(SHIPPED_LISTENER) && shipped.contains(SHIPPED_FOLDER), "the shipped file has changed");
        let here = format!("listener {} {}\n", address.port(), address.ip());
        // Started by root it would become a user who may not read the key.
        let user = "user root\n";
        let conf = shipped.replace(SHIPPED_LISTENER, &here).replace(SHIPPED_FOLDER, &at);
        fs::write(folder.path().join("watchkeep.conf"), format!("{user}{conf}")).context("write its configuration")?;
        fs::write(folder.path().join("watchkeep.acl"), acl).context("write its ACL")?;
        let mut mosquitto = Self { process: None, folder, address };
        mosquitto.run()?;
        Ok(mosquitto)
    }

    /// Starts again what `kill` ended.
    pub fn run(&mut self) -> Result<()> {
        let mut command = Command::new("/usr/sbin/mosquitto");
        command.arg("--config-file").arg(self.folder.path().join("watchkeep.conf"));
        let process = Process::start("mosquitto", &mut command, self.folder.path().join("mosquitto.log"));
        self.process = Some(process.context("`make test` as root installs mosquitto")?);
        let address = self.address;
        wait::until(Duration::from_secs(10), "mosquitto to listen", || {
            self.process.as_mut().context("it was just started")?.ensure_runs()?;
            TcpStream::connect(address).with_context(|| format!("connect to {address}")).map(drop)
        })
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("mosquitto does not run")?.kill()
    }

    pub fn at(&self) -> SocketAddr {
        self.address
    }

    /// Its certificate, key, the CA and the list of revoked certificates.
    pub fn files(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("mosquitto.log")).unwrap_or_default()
    }
}

/// The text of a file under `packaging/mosquitto/`.
pub fn shipped(name: &str) -> Result<String> {
    let path: PathBuf = built::repository().join("packaging/mosquitto").join(name);
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}
