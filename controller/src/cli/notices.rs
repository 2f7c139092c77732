//! `watchkeep notice …`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Outcome;
use super::client::Client;
use super::incidents::word;
use super::output::{self, Format, ago, text};
use super::paging::Paging;

#[derive(Debug, Subcommand)]
pub enum Notices {
    /// Notices, one line for each channel that they go to, the newest first
    List {
        /// waiting, delivered or dead; repeatable
        #[arg(long)]
        state: Vec<String>,
        /// The name of a channel
        #[arg(long)]
        channel: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One notice: how it stands on each channel, and what it says
    Show {
        /// Its id, as "notice list" shows it
        notice: String,
    },
    /// Send a notice again, to the channels that have not taken it; receivers know it by its id
    Resend {
        /// Its id, as "notice list" shows it
        notice: String,
        /// To this channel alone, even if it has taken it
        #[arg(long)]
        channel: Option<String>,
    },
    /// The channels that notices go out on
    Channels,
    /// Send a notice that tells of nothing on a channel, and say whether it was taken
    Test {
        /// Its name, as "notice channels" shows it
        channel: String,
    },
}

impl Notices {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::List { state, channel, paging } => {
                let mut filter: Vec<(&str, String)> = Vec::new();
                filter.extend((!state.is_empty()).then(|| ("state", state.join(","))));
                filter.extend(channel.map(|channel| ("channel", channel)));
                let answer = paging.list(client, "/api/v1/notices", &filter).await?;
                let columns = [
                    text("ID", "id"),
                    text("CHANNEL", "channel"),
                    text("STATE", "state"),
                    text("WHY", "why"),
                    text("INCIDENT", "incident"),
                    text("PROBLEM", "problem"),
                    ago("AGE", "owed_at"),
                    text("FAILED", "attempts"),
                    text("LAST ERROR", "last_error"),
                ];
                output::list(
                    format,
                    &answer,
                    &columns,
                    "No notice. To see whether a channel works: watchkeep notice test CHANNEL",
                );
            }
            Self::Show { notice } => {
                let answer = client.get(&format!("/api/v1/notices/{notice}"), &[]).await?;
                output::one(format, &answer, output::card);
            }
            Self::Resend { notice, channel } => {
                let path = format!("/api/v1/notices/{notice}/resend");
                let answer = client.post(&path, &json!({ "channel": channel })).await?;
                output::one(format, &answer, sent);
            }
            Self::Channels => {
                let answer = client.get("/api/v1/channels", &[]).await?;
                let columns = [text("NAME", "name"), text("KIND", "kind"), text("TO", "to")];
                let empty = "No channel is set up: nobody is told. Add one under \"notify\" in watchkeep.yaml.";
                output::list(format, &answer, &columns, empty);
            }
            Self::Test { channel } => {
                let answer = client.post(&format!("/api/v1/channels/{channel}/test"), &json!({})).await?;
                output::one(format, &answer, |answer| format!("{} has taken the notice\n", word(answer, "channel")));
            }
        }
        Ok(())
    }
}

fn sent(answer: &Value) -> String {
    let to: Vec<&str> = answer["sent_to"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    format!("{} is sent again, to {}\n", word(answer, "id"), to.join(", "))
}
