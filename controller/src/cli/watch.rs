//! `watchkeep watch`: the ledger as it grows.

use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use serde_json::Value;
use watchkeep_desk::{Fact, explain};

use super::Outcome;
use super::client::{Client, ClientError};
use super::incidents::word;
use super::output::{Days, Format, clock, one_line, print_json_line, say};

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
        let mut days = Days::default();
        loop {
            match follow(client, format, &mut days, (&mut cursor, &mut left)).await {
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
    days: &mut Days,
    (cursor, left): (&mut Option<String>, &mut u64),
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
                match format {
                    Format::Table => say(&line(&fact, days)),
                    Format::Json | Format::Yaml => print_json_line(&fact),
                }
                *left -= 1;
                if *left == 0 {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// A fact in a line: when, what it is about, what happened, who did it.
fn line(entry: &Value, days: &mut Days) -> String {
    let at = entry["learned_at"].as_i64().unwrap_or_default();
    let (about, what) = match serde_json::from_value::<Fact>(entry["fact"].clone()) {
        Ok(fact) => told(&fact),
        // Erased, or of a later version: its kind is still known.
        Err(_) => (word(&entry["subject"], "id").to_owned(), word(entry, "kind").to_owned()),
    };
    format!("{}  {}  {about:<10} {}\n", days.turn(at), clock(at), one_line(&what, 200))
}

fn told(fact: &Fact) -> (String, String) {
    let by = explain::actor(&fact.actor);
    let by = if by.is_empty() { by } else { format!(", {by}") };
    (explain::subject(&fact.subject), format!("{}{by}", explain::sentence(&fact.subject, &fact.body)))
}
