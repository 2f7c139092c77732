//! `watchkeep change …`.

use clap::Subcommand;

use super::Outcome;
use super::client::Client;
use super::output::{self, Format, ago, text};
use super::paging::Paging;

#[derive(Debug, Subcommand)]
pub enum Changes {
    /// Changes, the newest first
    List {
        /// Repeatable
        #[arg(long)]
        state: Vec<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One change
    Show { change: String },
}

impl Changes {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::List { state, paging } => {
                let mut filter: Vec<(&str, String)> = Vec::new();
                filter.extend((!state.is_empty()).then(|| ("state", state.join(","))));
                let answer = paging.list(client, "/api/v1/changes", &filter).await?;
                let columns = [
                    text("ID", "id"),
                    text("TYPE", "kind"),
                    text("STATE", "state"),
                    text("RUN", "run"),
                    ago("AGE", "opened_at"),
                    text("TITLE", "title"),
                ];
                output::list(format, &answer, &columns, "No change yet. Every runbook run is one.");
            }
            Self::Show { change } => {
                let answer = client.get(&format!("/api/v1/changes/{change}"), &[]).await?;
                output::one(format, &answer, output::card);
            }
        }
        Ok(())
    }
}
