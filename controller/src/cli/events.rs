//! `watchkeep event …`.

use clap::Subcommand;

use super::Outcome;
use super::client::Client;
use super::output::{self, Format, ago, text};
use super::paging::Paging;

#[derive(Debug, Subcommand)]
pub enum Events {
    /// Events, the newest first
    List {
        /// Reported by this agent
        #[arg(long)]
        agent: Option<String>,
        /// unit_failed, unit_recovered …
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Events {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let Self::List { agent, kind, paging } = self;
        let mut filter: Vec<(&str, String)> = Vec::new();
        filter.extend(agent.map(|agent| ("agent", agent)));
        filter.extend(kind.map(|kind| ("kind", kind)));
        let answer = paging.list(client, "/api/v1/events", &filter).await?;
        let columns = [
            ago("AGE", "at"),
            text("HOST", "agent"),
            text("KIND", "labels.kind"),
            text("LABELS", "labels"),
            text("TEXT", "text"),
        ];
        output::list(format, &answer, &columns, "No event. To send one: watchkeep-agent event send demonstration");
        Ok(())
    }
}
