//! `watchkeep status`.

use serde_json::Value;

use super::Outcome;
use super::client::Client;
use super::incidents::word;
use super::output::{self, Format};

/// Asks the controller how it stands.
pub async fn show(client: &Client, format: Format) -> Outcome {
    let answer = client.get("/api/v1/status", &[]).await?;
    output::one(format, &answer, card);
    Ok(())
}

fn card(status: &Value) -> String {
    let counts = status["incidents"].as_object().into_iter().flatten();
    let incidents: Vec<String> = counts.map(|(state, count)| format!("{count} {state}")).collect();
    let incidents = if incidents.is_empty() { "none".to_owned() } else { incidents.join(", ") };
    let generation = word(status, "generation");
    let switch = if status["stop_switch"] == true { "ON: no runbook runs" } else { "off" };
    format!(
        "agents       {} connected\nincidents    {incidents}\nstop switch  {switch}\ngeneration   {}\nledger       {} facts\nversion      {}\n",
        status["agents_connected"],
        generation.get(..12).unwrap_or(generation),
        status["ledger_head"],
        word(status, "version"),
    )
}
