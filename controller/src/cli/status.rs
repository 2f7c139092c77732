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
    let rules = rules(status["failing_rules"].as_array().map_or(&[], Vec::as_slice));
    let notices = notices(&status["notices"]);
    let samples = samples(&status["unsealed_samples"]);
    let switch = if status["stop_switch"] == true { "ON: no runbook runs" } else { "off" };
    format!(
        "agents       {} connected\nincidents    {incidents}\n{rules}{notices}{samples}stop switch  {switch}\ngeneration   {}\nledger       {} facts\nversion      {}\n",
        status["agents_connected"],
        generation.get(..12).unwrap_or(generation),
        status["ledger_head"],
        word(status, "version"),
    )
}

/// Notices that have not arrived; nothing where all have.
fn notices(counts: &Value) -> String {
    let (retried, dead) = (counts["retried"].as_u64().unwrap_or(0), counts["dead"].as_u64().unwrap_or(0));
    let retried = (retried > 0).then(|| format!("{retried} tried again"));
    let dead = (dead > 0).then(|| format!("{dead} given up: watchkeep notice list --state dead"));
    let told: Vec<String> = retried.into_iter().chain(dead).collect();
    if told.is_empty() { String::new() } else { format!("notices      {}\n", told.join(", ")) }
}

/// Samples that cannot be put into block files, and what that means; nothing where they can.
fn samples(unsealed: &Value) -> String {
    let (Some(error), Some(bytes)) = (unsealed["error"].as_str(), unsealed["bytes"].as_u64()) else {
        return String::new();
    };
    let means = if unsealed["holds_back"] == true {
        "reports are not taken until one can be written: agents hold them"
    } else {
        "they are in memory, and in the next file once it can be written"
    };
    format!("samples      {} MiB are not on disk: {error}\n             {means}\n", bytes.div_ceil(1 << 20))
}

/// Which rules cannot be evaluated, and why; nothing where all can.
fn rules(failing: &[Value]) -> String {
    let mut text = String::new();
    if !failing.is_empty() {
        text = format!("rules        {} cannot be evaluated\n", failing.len());
    }
    for rule in failing {
        let hosts = match (rule["agent"].as_str(), rule["hosts"].as_u64()) {
            (Some(agent), Some(2..)) => format!(" for {agent} and {} more", rule["hosts"].as_u64().unwrap_or(1) - 1),
            (Some(agent), _) => format!(" for {agent}"),
            (None, _) => " across hosts".to_owned(),
        };
        let (group, name, why) = (word(rule, "group"), word(rule, "rule"), word(rule, "message"));
        text.push_str(&format!("             {group}: {name}{hosts}: {why}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn notices_are_told_of_where_they_have_not_arrived() {
        assert_eq!(notices(&json!({"retried": 0, "dead": 0})), "");
        let told = notices(&json!({"retried": 2, "dead": 1}));
        assert_eq!(told, "notices      2 tried again, 1 given up: watchkeep notice list --state dead\n");
    }

    #[test]
    fn samples_that_cannot_be_sealed_are_told_of_and_whether_reports_wait_for_that() {
        assert_eq!(samples(&Value::Null), "");
        let error = "write block file \"/var/lib/watchkeep/samples/1-0.block\": No space left on device (os error 28)";
        let mut unsealed = json!({"error": error, "bytes": 3 << 20, "holds_back": false});
        insta::assert_snapshot!(samples(&unsealed), @r#"
        samples      3 MiB are not on disk: write block file "/var/lib/watchkeep/samples/1-0.block": No space left on device (os error 28)
                     they are in memory, and in the next file once it can be written
        "#);
        unsealed["holds_back"] = json!(true);
        insta::assert_snapshot!(samples(&unsealed), @r#"
        samples      3 MiB are not on disk: write block file "/var/lib/watchkeep/samples/1-0.block": No space left on device (os error 28)
                     reports are not taken until one can be written: agents hold them
        "#);
    }

    #[test]
    fn rules_that_fail_are_told_of_with_their_reason() {
        assert_eq!(rules(&[]), "");
        let rule = |agent: Value, hosts: u64| json!({"group": "disk.yaml;disk", "rule": "Full", "message": "no", "agent": agent, "hosts": hosts});
        let failing = [rule(json!("web-1"), 3), rule(json!("web-1"), 1), rule(Value::Null, 1)];
        insta::assert_snapshot!(rules(&failing), @r"
        rules        3 cannot be evaluated
                     disk.yaml;disk: Full for web-1 and 2 more: no
                     disk.yaml;disk: Full for web-1: no
                     disk.yaml;disk: Full across hosts: no
        ");
    }
}
