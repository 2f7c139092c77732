//! `watchkeep audit …` and `watchkeep replay`.
//!
//! With `--data` both read what a controller left, without one running; neither makes, migrates or changes anything there.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Client;
use super::output::{self, Format};
use super::{Failure, Outcome, exit};
use crate::access::keys::{Purpose, SigningKey};
use crate::controller::DataDir;
use crate::core::checkpoints::CheckpointKey;
use crate::store::{self, Database};
use crate::{ledger, replay};

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Walk the chain and name the first place that does not hold; exit code 1 where one does not
    #[command(
        after_help = "Examples:\n  watchkeep audit verify\n  watchkeep audit verify --data /var/lib/watchkeep     # no controller needed"
    )]
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A controller's data directory, read here; without it the controller is asked
    #[arg(long)]
    data: Option<PathBuf>,
    /// With --data: the database, where it is not the one in the directory
    #[arg(long, requires = "data")]
    database: Option<String>,
}

/// Decide the stored inputs again and compare every fact, byte for byte.
#[derive(Debug, Args)]
pub struct Replay {
    /// A controller's data directory
    #[arg(long)]
    data: PathBuf,
    /// The database, where it is not the one in the directory
    #[arg(long)]
    database: Option<String>,
}

impl Verify {
    /// Walks the ledger of a data directory, where one was named.
    pub fn run_local(&self, format: Format) -> Option<Outcome> {
        let data = self.data.as_deref()?;
        let report = walk(data, self.database.as_deref()).map_err(|error| Failure::environment(&error));
        Some(report.and_then(|report| {
            let answer = json!({"holds": report.holds(), "text": report.to_string(), "report": report});
            tell(format, &answer)
        }))
    }
}

impl Replay {
    pub fn run(self, format: Format) -> Outcome {
        let replayed = self.replay().map_err(|error| Failure::environment(&error))?;
        let text = replayed.to_string();
        tell(format, &json!({"holds": replayed.holds(), "text": text, "report": replayed}))
    }

    fn replay(&self) -> anyhow::Result<replay::Report> {
        let database = database(&self.data, self.database.as_deref())?;
        let inputs = DataDir(self.data.clone()).inputs();
        replay::replay(&database, inputs).with_context(|| format!("replay \"{}\"", self.data.display()))
    }
}

impl Audit {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        tell(format, &client.get("/api/v1/audit/verify", &[]).await?)
    }
}

/// Shows a report that holds or does not.
fn tell(format: Format, answer: &Value) -> Outcome {
    output::one(format, answer, |answer| format!("{}\n", answer["text"].as_str().unwrap_or_default()));
    if answer["holds"] == true { Ok(()) } else { Err(Failure::said(exit::FOUND_WANTING)) }
}

fn walk(data: &Path, address: Option<&str>) -> anyhow::Result<ledger::Report> {
    let database = database(data, address)?;
    let key = SigningKey::read(data, Purpose::Checkpoint)?;
    let key = key.with_context(|| format!("\"{}\" has no key of checkpoints; restore keys/", data.display()))?;
    let key = CheckpointKey::of(&key);
    let signed_by = |id: &str, message: &[u8], signature: &[u8]| key.signed(id, message, signature);
    ledger::verify(&database.readers(1), &signed_by).context("walk the ledger")
}

fn database(data: &Path, address: Option<&str>) -> anyhow::Result<Database> {
    let address = address.map_or_else(|| DataDir(data.to_owned()).database(), str::to_owned);
    store::existing(&address).with_context(|| format!("read the data directory \"{}\"", data.display()))
}
