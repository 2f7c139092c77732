//! `watchkeep broker …`: what a broker of another make needs of the controller's CA.
//!
//! Both commands read the controller's data directory and ask nobody: they run where the controller does, as its user.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::{Failure, Outcome, output};
use crate::access::ca::Ca;
use crate::access::{certificates, private_file};
use crate::controller::DataDir;
use crate::core::clock;
use crate::store;

#[derive(Debug, Subcommand)]
pub enum Brokers {
    /// Issue a certificate for the broker, with the CA and the list of revoked certificates beside it
    #[command(
        after_help = "Example: watchkeep broker certificate --name broker.example --out /etc/mosquitto/watchkeep\nThen: watchkeep serve --broker mqtts://broker.example:8883"
    )]
    Certificate(Certificate),
    /// Write the list of revoked certificates anew
    Revoked(Revoked),
}

/// Where the controller keeps its things.
#[derive(Debug, Args)]
struct At {
    /// The controller's data directory
    #[arg(long, default_value = "/var/lib/watchkeep")]
    data: PathBuf,
    /// The database, where it is not the one in the directory
    #[arg(long)]
    database: Option<String>,
}

#[derive(Debug, Args)]
pub struct Certificate {
    #[command(flatten)]
    at: At,
    /// A name or address under which the broker is reached; repeatable
    #[arg(long = "name", required = true)]
    names: Vec<String>,
    /// The folder for broker.pem, broker-key.pem, ca.pem and revoked.pem
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct Revoked {
    #[command(flatten)]
    at: At,
    /// The file
    #[arg(long)]
    out: PathBuf,
}

impl Brokers {
    pub fn run(self) -> Outcome {
        let ran = match self {
            Self::Certificate(certificate) => certificate.run(),
            Self::Revoked(revoked) => revoked.run(),
        };
        ran.map_err(|error| Failure::environment(&error))
    }
}

impl Certificate {
    fn run(self) -> anyhow::Result<()> {
        let now = clock::now().0;
        let ca = self.at.ca(now)?;
        let list = self.at.revocation_list(&ca, now)?;
        let broker = ca.broker(&self.names, now).context("issue the broker's certificate")?;
        std::fs::create_dir_all(&self.out).with_context(|| format!("make \"{}\"", self.out.display()))?;
        private_file::write(&self.out.join("broker-key.pem"), broker.key.as_bytes())?;
        for (name, content) in [("broker.pem", &*broker.certificate), ("ca.pem", ca.pem()), ("revoked.pem", &list)] {
            write_public(&self.out.join(name), content)?;
        }
        let out = self.out.display();
        output::say(&format!(
            "{out} holds broker.pem, broker-key.pem, ca.pem and revoked.pem for {}.\nThe key is readable by its owner alone; \
             give it to the broker's user.\n",
            self.names.join(", ")
        ));
        Ok(())
    }
}

impl Revoked {
    fn run(self) -> anyhow::Result<()> {
        let now = clock::now().0;
        let ca = self.at.ca(now)?;
        write_public(&self.out, &self.at.revocation_list(&ca, now)?)?;
        output::say(&format!("{} is written; the broker reads it at its next start.\n", self.out.display()));
        Ok(())
    }
}

impl At {
    /// The CA of the data directory; none is made here.
    fn ca(&self, now: i64) -> anyhow::Result<Ca> {
        if !self.data.join("ca/ca.pem").is_file() {
            bail!(
                "\"{}\" holds no controller's CA; start the controller once, or name its --data",
                self.data.display()
            );
        }
        Ca::open(&self.data, now).context("open the controller's CA")
    }

    fn revocation_list(&self, ca: &Ca, now: i64) -> anyhow::Result<String> {
        let own = DataDir(self.data.clone()).database();
        let database = store::open(self.database.as_deref().unwrap_or(&own)).context("open the store")?;
        let revoked = database.readers(1).read(|tx| certificates::revoked(tx, now));
        Ok(ca.revocation_list(&revoked.context("read the revoked certificates")?, now)?)
    }
}

/// What nobody need keep secret: readable by all.
fn write_public(path: &Path, content: &str) -> anyhow::Result<()> {
    std::fs::write(path, content).with_context(|| format!("write \"{}\"", path.display()))
}
