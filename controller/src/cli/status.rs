//! `watchkeep status`.

use serde_json::Value;

use super::Outcome;
use super::client::Client;
use super::incidents::word;
use super::output::{self, Format, age};

/// Lines of faults that are shown of a configuration.
const FAULTS: usize = 8;

/// Asks the controller how it stands.
pub async fn show(client: &Client, format: Format) -> Outcome {
    let answer = client.get("/api/v1/status", &[]).await?;
    output::one(format, &answer, |answer| card(answer, chrono::Utc::now().timestamp_millis()));
    Ok(())
}

fn card(status: &Value, now: i64) -> String {
    let generation = word(status, "generation");
    let mut text = agents(status, now);
    for (name, counts) in [("incidents", &status["incidents"]), ("problems", &status["problems"])] {
        text.push_str(&format!("{name:<12} {}\n", counted(counts)));
    }
    text.push_str(&rules(status["failing_rules"].as_array().map_or(&[], Vec::as_slice)));
    text.push_str(&notices(&status["notices"]));
    text.push_str(&samples(&status["unsealed_samples"]));
    text.push_str(&remote_write(status["remote_write"].as_array().map_or(&[], Vec::as_slice)));
    let switch = if status["stop_switch"] == true { "ON: no runbook runs" } else { "off" };
    text.push_str(&format!("stop switch  {switch}\ngeneration   {}\n", generation.get(..12).unwrap_or(generation)));
    text.push_str(&configuration(&status["configuration"]));
    text.push_str(&format!("ledger       {} facts\nversion      {}\n", status["ledger_head"], word(status, "version")));
    text
}

/// `3 new, 1 known error`
fn counted(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let told: Vec<String> = counts.map(|(state, count)| format!("{count} {}", state.replace('_', " "))).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// How many there are, and who is away since when and why.
fn agents(status: &Value, now: i64) -> String {
    let counts = &status["agents"];
    let of = |standing: &str| counts[standing].as_u64().unwrap_or(0);
    let mut told = format!("agents       {} connected", status["agents_connected"]);
    if of("away") > 0 {
        told.push_str(&format!(", {} away", of("away")));
    }
    told.push('\n');
    let away = status["agents_away"].as_array().map_or(&[][..], Vec::as_slice);
    for agent in away {
        let since = agent["since"].as_i64().map_or_else(String::new, |since| format!(" for {}", age(now - since)));
        let why = agent["lost"].as_str().map_or_else(String::new, |lost| format!(": {}", lost.replace('_', " ")));
        told.push_str(&format!("             {} is away{since}{why}\n", word(agent, "name")));
    }
    let unnamed = of("away").saturating_sub(away.len() as u64);
    if unnamed > 0 {
        told.push_str(&format!("             {unnamed} more: watchkeep agent list --standing away\n"));
    }
    told
}

/// What a reload would do; nothing where the files are what runs.
fn configuration(on_disk: &Value) -> String {
    match word(on_disk, "standing") {
        "waiting" => "on disk      changed and not taken up: watchkeep reload\n".to_owned(),
        "faulty" => {
            let mut told =
                "on disk      FAULTY: what ran last goes on running, and is what the next start takes\n".to_owned();
            let faults = word(on_disk, "faults");
            // Each fault is a line, with its place shown below it: indented, or behind a number and a bar.
            let is_fault =
                |line: &&str| !line.starts_with([' ', '|']) && !line.starts_with(|c: char| c.is_ascii_digit());
            for fault in faults.lines().filter(is_fault).take(FAULTS) {
                told.push_str(&format!("             {fault}\n"));
            }
            if faults.lines().filter(is_fault).count() > FAULTS {
                told.push_str("             the rest: watchkeep reload\n");
            }
            told
        }
        _ => String::new(),
    }
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

/// What became of the samples for each store, and why the last were not taken.
fn remote_write(stores: &[Value]) -> String {
    let mut text = String::new();
    for store in stores {
        let of = |count: &str| store[count].as_u64().unwrap_or(0);
        text.push_str(&format!("remote write {}: {} samples sent", word(store, "name"), of("sent")));
        let waiting = format!("wait ({} MiB)", of("queue_bytes").div_ceil(1 << 20));
        for (count, what) in [("pending", waiting.as_str()), ("refused", "refused"), ("dropped", "dropped")] {
            if of(count) > 0 {
                text.push_str(&format!(", {} {what}", of(count)));
            }
        }
        text.push('\n');
        if let Some(trouble) = store["trouble"].as_str() {
            text.push_str(&format!("             {}: {trouble}\n", word(store, "to")));
        }
    }
    text
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
    fn the_card_says_what_is_wrong_and_where_to_look() {
        let status = json!({
            "version": "0.1.0", "generation": "0123456789abcdef", "ledger_head": 42, "stop_switch": false,
            "agents_connected": 2, "agents": {"away": 7, "connected": 2},
            "agents_away": [{"name": "web-3", "since": 0, "lost": "link_down"}, {"name": "web-4", "since": 60_000, "lost": null}],
            "incidents": {"new": 2, "on_hold": 1}, "problems": {"known_error": 1},
            "notices": {"retried": 0, "dead": 0}, "failing_rules": [],
            "configuration": {"standing": "faulty", "faults": "rules/own.yaml:3:5: unknown key \"exp\"\n  |\n3 |     exp: up"},
        });
        insta::assert_snapshot!(card(&status, 180_000), @r#"
        agents       2 connected, 7 away
                     web-3 is away for 3 min: link down
                     web-4 is away for 2 min
                     5 more: watchkeep agent list --standing away
        incidents    2 new, 1 on hold
        problems     1 known error
        stop switch  off
        generation   0123456789ab
        on disk      FAULTY: what ran last goes on running, and is what the next start takes
                     rules/own.yaml:3:5: unknown key "exp"
        ledger       42 facts
        version      0.1.0
        "#);
    }

    #[test]
    fn the_card_of_a_quiet_controller_is_short() {
        let status = json!({
            "version": "0.1.0", "generation": "0123456789abcdef", "ledger_head": 42, "stop_switch": false,
            "agents_connected": 1, "agents": {"connected": 1}, "agents_away": [], "incidents": {}, "problems": {},
            "notices": {"retried": 0, "dead": 0}, "failing_rules": [], "configuration": {"standing": "in_force"},
        });
        insta::assert_snapshot!(card(&status, 180_000), @r"
        agents       1 connected
        incidents    none
        problems     none
        stop switch  off
        generation   0123456789ab
        ledger       42 facts
        version      0.1.0
        ");
        let waiting = configuration(&json!({"standing": "waiting"}));
        assert_eq!(waiting, "on disk      changed and not taken up: watchkeep reload\n");
    }

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
    fn stores_are_told_of_with_what_waits_and_why() {
        assert_eq!(remote_write(&[]), "");
        let well = json!({"name": "long-term", "to": "https://m.example", "sent": 1200, "refused": 0, "dropped": 0,
            "pending": 0, "queue_bytes": 70, "trouble": null});
        let ill = json!({"name": "other", "to": "http://127.0.0.1:1", "sent": 7, "refused": 2, "dropped": 3,
            "pending": 90, "queue_bytes": 3 << 20, "trouble": "answered 503 Service Unavailable: starting"});
        insta::assert_snapshot!(remote_write(&[well, ill]), @r"
        remote write long-term: 1200 samples sent
        remote write other: 7 samples sent, 90 wait (3 MiB), 2 refused, 3 dropped
                     http://127.0.0.1:1: answered 503 Service Unavailable: starting
        ");
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
