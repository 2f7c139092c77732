//! `watchkeep audit …` and `watchkeep replay`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::client::Client;
use super::output::{self, Format};
use super::{Failure, Outcome, exit};

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Walk the chain and name the first place that does not hold
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
    #[arg(long)]
    database: Option<String>,
}

impl Verify {
    pub fn is_local(&self) -> bool {
        self.data.is_some()
    }

    pub fn run_local(self, _format: Format) -> Outcome {
        Ok(())
    }
}

impl Replay {
    pub fn run(self, _format: Format) -> Outcome {
        Ok(())
    }
}

impl Audit {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let answer = client.get("/api/v1/audit/verify", &[]).await?;
        output::one(format, &answer, |answer| format!("{}\n", answer["text"].as_str().unwrap_or_default()));
        if answer["holds"] == true { Ok(()) } else { Err(Failure::said(exit::FOUND_WANTING)) }
    }
}
