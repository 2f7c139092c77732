//! `watchkeep watch`: the ledger as it grows.

use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::Outcome;
use super::client::{Client, ClientError};
use super::incidents::word;
use super::output::{Format, local, print_json};

#[derive(Debug, Args)]
pub struct Watch {
    /// Begin behind this cursor; without it, with what comes next
    #[arg(long)]
    from: Option<String>,
    /// End after this many facts
    #[arg(long)]
    count: Option<u64>,
}

impl Watch {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let mut cursor = self.from.clone();
        let mut left = self.count.unwrap_or(u64::MAX);
        loop {
            match follow(client, format, &mut cursor, &mut left).await {
                Ok(()) if left == 0 => return Ok(()),
                // The controller ended the stream, or the line broke: go on from the cursor.
                Ok(()) | Err(ClientError::Unreachable { .. }) if cursor.is_some() => {
                    eprintln!("watchkeep: the stream ended; trying again in 2 s");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                Ok(()) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

async fn follow(
    client: &Client,
    format: Format,
    cursor: &mut Option<String>,
    left: &mut u64,
) -> Result<(), ClientError> {
    let mut stream = client.stream(cursor.as_deref()).await?.bytes_stream();
    let mut text = String::new();
    while let Some(Ok(bytes)) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(&bytes));
        while let Some(end) = text.find("\n\n") {
            let message: String = text.drain(..end + 2).collect();
            let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let Some(id) = field("id:") {
                *cursor = Some(id.to_owned());
            }
            if let Some(Ok(fact)) = field("data:").map(serde_json::from_str::<Value>) {
                show(format, &fact);
                *left -= 1;
                if *left == 0 {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn show(format: Format, fact: &Value) {
    if format != Format::Table {
        return print_json(fact);
    }
    let subject = &fact["subject"];
    let reason = fact["reasons"].as_array().into_iter().flatten().next().map_or("", |reason| word(reason, "sentence"));
    println!(
        "{}  {:<24} {:<10} {reason}",
        local(fact["learned_at"].as_i64().unwrap_or_default()),
        word(fact, "kind"),
        subject["id"].as_str().unwrap_or_else(|| word(subject, "kind")),
    );
}
